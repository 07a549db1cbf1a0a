using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>
/// A socket of the host's network. The protocol is the host's; what waiting, time-outs, O_NONBLOCK and rights are about is
/// decided here. The host's descriptor never blocks and never reaches the guest.
/// </summary>
internal sealed partial class HostSocket : Socket, IWaitSource
{
    private const PollEvents AllEvents = PollEvents.POLLIN | PollEvents.POLLPRI | PollEvents.POLLOUT | PollEvents.POLLRDNORM
        | PollEvents.POLLWRNORM | PollEvents.POLLRDBAND | PollEvents.POLLWRBAND | PollEvents.POLLRDHUP;

    private readonly HostNotifier _notifier;
    private readonly Lock _lock = new();
    private readonly int _fd;
    private int _watch = -1;
    private ConnectName _connecting;
    private int _connectingLength;
    private volatile bool _isReceiveShut;

    /// <summary>Room for the longest address of these families (struct sockaddr_in6).</summary>
    [InlineArray(28)]
    private struct ConnectName
    {
        private byte _first;
    }

    /// <summary>Takes over the host's descriptor.</summary>
    public HostSocket(HostNotifier notifier, int fd, int family, int type, OpenFlags flags, Credentials creator)
        : base(family, type, ReadProtocol(fd), flags, creator)
    {
        _notifier = notifier;
        _fd = fd;
        Waiters = new WaitQueue(this);
    }

    public override WaitQueue Waiters { get; }

    public override int PollDescriptor => _fd;

    public override bool PollsOnHost => true;

    /// <summary>The host's descriptor, for host calls that move data from and to it.</summary>
    public int HostFd => _fd;

    public override PollEvents Poll()
    {
        PollEvents events = (PollEvents)HostEpoll.PollNow(_fd, (uint)AllEvents);
        return HasKeptErrors ? events | PollEvents.POLLERR : events;
    }

    /// <summary>Somebody waits who has no thread for it: from now on the notifier watches.</summary>
    public void BeforeWait()
    {
        if (Volatile.Read(ref _watch) >= 0)
            return;
        lock (_lock)
        {
            if (_watch < 0 && _notifier.Watch(_fd, Waiters) is { IsError: false } watch)
                Volatile.Write(ref _watch, (int)watch.Value);
        }
    }

    public override Errno Bind(in Caller caller, ReadOnlySpan<byte> name)
    {
        if (IsPrivilegedPort(name) && !caller.Credentials.Has(Capability.CAP_NET_BIND_SERVICE))
            return Errno.EACCES;
        return FromHost(HostSockets.Bind(_fd, name));
    }

    public override Errno Listen(in Caller caller, int backlog) => FromHost(HostSockets.Listen(_fd, backlog));

    public override Errno Accept(in Caller caller, OpenFlags flags, out Socket? accepted)
    {
        int fd = HostSockets.Accept(_fd, default, out _);
        accepted = fd < 0 ? null : new HostSocket(_notifier, fd, Family, Type, flags, caller.Credentials);
        return fd < 0 ? (Errno)(-fd) : Errno.OK;
    }

    /// <summary>The other side may be a socket of the sandbox, and wait.</summary>
    private void NoteChange()
    {
        if (_notifier.IsWatching)
            Tasks.Task.Current?.NoteHostChange();
    }

    public override Errno Connect(in Caller caller, ReadOnlySpan<byte> name)
    {
        Errno error = FromHost(HostSockets.Connect(_fd, name));
        NoteChange();
        if (error == Errno.EINPROGRESS)
        {
            lock (_lock)
            {
                _connectingLength = Math.Min(name.Length, 28);
                name[.._connectingLength].CopyTo(_connecting);
            }
        }
        return error;
    }

    /// <summary>
    /// Asks once more, as a blocking connect(2) does inside: so the socket is afterwards in the state that one leaves.
    /// </summary>
    public override Errno FinishConnect()
    {
        if ((Poll() & (PollEvents.POLLOUT | PollEvents.POLLERR | PollEvents.POLLHUP)) == 0)
            return Errno.EINPROGRESS;
        ConnectName name;
        int length;
        lock (_lock)
        {
            name = _connecting;
            length = _connectingLength;
        }
        Errno error = FromHost(HostSockets.Connect(_fd, ((ReadOnlySpan<byte>)name)[..length]));
        // Somebody else has asked before: it is connected.
        return error == Errno.EISCONN ? Errno.OK : error;
    }

    public override Errno GetName(Span<byte> name, out int length) => FromHost(HostSockets.GetName(_fd, name, out length));

    public override Errno GetPeerName(Span<byte> name, out int length) => FromHost(HostSockets.GetPeerName(_fd, name, out length));

    public override Errno Shutdown(int how)
    {
        // The host may say ENOTCONN and do it all the same.
        _isReceiveShut |= how is ShutdownHow.SHUT_RD or ShutdownHow.SHUT_RDWR;
        NoteChange();
        return FromHost(HostSockets.Shutdown(_fd, how));
    }

    public override SysResult GetInputQueued() => GetNumber(SocketIoctl.SIOCINQ);

    public override SysResult GetOutputQueued() => GetNumber(SocketIoctl.SIOCOUTQ);

    /// <summary>As tcp(7)'s TCP_INQ: what can be read, and 1 at the end, if it is the other side's.</summary>
    public override int GetInputHint()
    {
        if (!IsStream)
            return -1;
        SysResult queued = GetInputQueued();
        if (queued.IsError || queued.Value > 0)
            return queued.IsError ? -1 : (int)queued.Value;
        return !_isReceiveShut && (Poll() & PollEvents.POLLRDHUP) != 0 ? 1 : 0;
    }

    public override bool HasMoreToAccept => (Poll() & PollEvents.POLLIN) != 0;

    protected override void Release()
    {
        lock (_lock)
        {
            if (_watch >= 0)
                _notifier.Unwatch(_watch, _fd);
        }
        HostStreamCalls.Close(_fd);
        NoteChange();
    }

    private SysResult GetNumber(uint command)
    {
        int value = 0;
        long r = HostStreamCalls.Ioctl(_fd, command, MemoryMarshal.AsBytes(new Span<int>(ref value)));
        return r < 0 ? new SysResult(r) : value;
    }

    /// <summary>True when only CAP_NET_BIND_SERVICE may bind there, which the host would ask of Moat and not of the guest.</summary>
    private bool IsPrivilegedPort(ReadOnlySpan<byte> name)
    {
        if (name.Length < 4 || Type == SocketType.SOCK_RAW)
            return false;
        int port = BinaryPrimitives.ReadUInt16BigEndian(name[2..]);
        return port != 0 && port < HostNetwork.FirstUnprivilegedPort;
    }

    private static int ReadProtocol(int fd)
    {
        int protocol = 0;
        HostSockets.GetOption(fd, SocketOption.SOL_SOCKET, SocketOption.SO_PROTOCOL, MemoryMarshal.AsBytes(new Span<int>(ref protocol)), out _);
        return protocol;
    }

    private static Errno FromHost(int result) => result < 0 ? (Errno)(-result) : Errno.OK;
}
