using System.Buffers;
using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Inet.Loopback;

/// <summary>UDP within the sandbox. Control messages are accepted and none are brought; nothing is sent to groups.</summary>
internal sealed class LoopbackDatagram(LoopbackNetwork network, int family, OpenFlags flags, Credentials creator)
    : LoopbackSocket(network, family, SocketType.SOCK_DGRAM, IPPROTO_UDP, flags, creator)
{
    private const int IPPROTO_UDP = 17, LargestDatagram = 65507;

    /// <summary>What a datagram takes of the receive buffer besides its bytes.</summary>
    private const int Overhead = 512;

    private readonly Lock _lock = new();
    private readonly Queue<Datagram> _incoming = new();
    private int _charged;

    private readonly record struct Datagram(byte[] Bytes, int Length, InetEndpoint From);

    public override int StateNumber => Remote.Port != 0 ? 1 : 7;

    public override PollEvents Poll()
    {
        PollEvents events = PollEvents.POLLOUT | PollEvents.POLLWRNORM;
        if (HasError)
            events |= PollEvents.POLLERR;
        if (_charged > 0 || (ShutdownBits & ShutReceive) != 0)
            events |= PollEvents.POLLIN | PollEvents.POLLRDNORM;
        if ((ShutdownBits & ShutReceive) != 0)
            events |= PollEvents.POLLRDHUP;
        return ShutdownBits == (ShutReceive | ShutSend) ? events | PollEvents.POLLHUP : events;
    }

    public override int Score(InetEndpoint destination, InetEndpoint source)
    {
        int score = base.Score(destination, source);
        if (score == 0 || Remote.Port == 0)
            return score;
        return Remote == source ? score + 4 : 0;
    }

    public override Errno Connect(in Caller caller, ReadOnlySpan<byte> name)
    {
        if (name.Length >= sizeof(ushort) && MemoryMarshal.Read<ushort>(name) == AddressFamily.AF_UNSPEC)
        {
            Remote = default;
            return Errno.OK;
        }
        Errno error = ParseDestination(name, out InetEndpoint destination);
        if (error != Errno.OK)
            return error;
        lock (Network.Lock)
        {
            error = EnsureBound(destination);
            if (error != Errno.OK)
                return error;
            SetLocal(SourceOf(destination));
            Remote = destination;
            return Errno.OK;
        }
    }

    public override SysResult Send(SocketMessage message)
    {
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return Errno.EOPNOTSUPP;
        InetEndpoint destination = Remote;
        if (message.NameLength > 0 || message.HasEmptyName)
        {
            Errno wrong = ParseDestination(message.NameBytes, out destination);
            if (wrong != Errno.OK)
                return wrong;
            if (destination.Port == 0)
                return Errno.EINVAL;
        }
        else if (destination.Port == 0)
        {
            return Errno.EDESTADDRREQ;
        }
        Errno error = TakeError();
        if (error != Errno.OK)
            return error;
        if ((ShutdownBits & ShutSend) != 0)
            return Errno.EPIPE;
        if (message.Data.Remaining > LargestDatagram)
            return Errno.EMSGSIZE;
        if (!IsBound)
        {
            lock (Network.Lock)
                error = EnsureBound(destination);
            if (error != Errno.OK)
                return error;
        }
        InetEndpoint source = SourceOf(destination);
        LoopbackDatagram? receiver = Network.Find(stream: false, destination, source) as LoopbackDatagram;
        if (receiver is not null && !receiver.TryAddReference())
            receiver = null;
        int length = (int)message.Data.Remaining;
        byte[] bytes = ArrayPool<byte>.Shared.Rent(length);
        if (message.Data.CopyTo(bytes.AsSpan(0, length)) != length)
        {
            ArrayPool<byte>.Shared.Return(bytes);
            receiver?.DropReference();
            return Errno.EFAULT;
        }
        if (receiver is null || !receiver.Take(new Datagram(bytes, length, source)))
            ArrayPool<byte>.Shared.Return(bytes);
        if (receiver is null && Remote.Port != 0)
        {
            // The answer that nobody is there concerns connected sockets alone.
            SetError(Errno.ECONNREFUSED);
            Waiters.Wake(PollEvents.POLLERR);
        }
        receiver?.DropReference();
        return length;
    }

    /// <summary>Takes a datagram in; what does not fit is lost.</summary>
    private bool Take(in Datagram datagram)
    {
        lock (_lock)
        {
            if (_charged + datagram.Length + Overhead > BufferSize(SocketOption.SO_RCVBUF))
                return false;
            _charged += datagram.Length + Overhead;
            _incoming.Enqueue(datagram);
        }
        Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM);
        return true;
    }

    public override SysResult Receive(SocketMessage message)
    {
        if ((message.Flags & (MsgFlags.MSG_OOB | MsgFlags.MSG_ERRQUEUE)) != 0)
            return Errno.EAGAIN;
        Errno error = TakeError();
        if (error != Errno.OK)
            return error;
        bool peek = (message.Flags & MsgFlags.MSG_PEEK) != 0;
        lock (_lock)
        {
            if (!_incoming.TryPeek(out Datagram datagram))
                return (ShutdownBits & ShutReceive) != 0 ? 0 : Errno.EAGAIN;
            int wanted = (int)Math.Min((ulong)datagram.Length, message.Data.Remaining);
            int got = message.Data.CopyFrom(datagram.Bytes.AsSpan(0, wanted));
            bool cut = got < wanted || (wanted < datagram.Length && message.Data.IsCut);
            message.NameLength = datagram.From.Write(Family, message.Name);
            if (got < datagram.Length)
                message.ResultFlags |= MsgFlags.MSG_TRUNC;
            if (!peek)
            {
                _incoming.Dequeue();
                _charged -= datagram.Length + Overhead;
                ArrayPool<byte>.Shared.Return(datagram.Bytes);
            }
            return cut ? Errno.EFAULT : (message.Flags & MsgFlags.MSG_TRUNC) != 0 ? datagram.Length : got;
        }
    }

    public override Errno Shutdown(int how)
    {
        if (Remote.Port == 0)
            return Errno.ENOTCONN;
        AddShutdown(how switch
        {
            ShutdownHow.SHUT_RD => ShutReceive,
            ShutdownHow.SHUT_WR => ShutSend,
            _ => ShutReceive | ShutSend,
        });
        Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM | PollEvents.POLLRDHUP | PollEvents.POLLHUP);
        return Errno.OK;
    }

    public override SysResult GetInputQueued()
    {
        lock (_lock)
            return _incoming.TryPeek(out Datagram datagram) ? datagram.Length : 0;
    }

    public override SysResult GetOutputQueued() => 0;

    protected override void Release()
    {
        lock (Network.Lock)
            Network.Unbind(this);
        lock (_lock)
        {
            while (_incoming.TryDequeue(out Datagram datagram))
                ArrayPool<byte>.Shared.Return(datagram.Bytes);
            _charged = 0;
        }
    }
}
