using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Inet.Loopback;

/// <summary>
/// TCP as programs see it, without packets: connections within the sandbox, whose two sides hand bytes to each other. There is no
/// urgent data.
/// </summary>
internal sealed partial class LoopbackStream(LoopbackNetwork network, int family, OpenFlags flags, Credentials creator)
    : LoopbackSocket(network, family, SocketType.SOCK_STREAM, IPPROTO_TCP, flags, creator)
{
    private const int IPPROTO_TCP = 6;

    private enum State
    {
        Closed,
        Listening,

        /// <summary>Waits for room in the listener's queue.</summary>
        Connecting,

        /// <summary>A connect is over, well or not, and its caller has not asked yet.</summary>
        Decided,
        Connected,
    }

    /// <summary>What the peer has sent and this side has not read.</summary>
    private readonly StreamBuffer _incoming = new();

    /// <summary>Changes under the network's lock.</summary>
    private volatile State _state;

    private LoopbackStream? _peer;

    /// <summary>The peer sends no more; it has closed altogether.</summary>
    private volatile bool _ended, _peerGone;

    /// <summary>The connection was reset, or could not be made.</summary>
    private volatile bool _reset;

    protected override bool IsListening => _state == State.Listening;

    public override int ReceiveLowWater => BufferSize(SocketOption.SO_RCVLOWAT);

    public override int StateNumber
    {
        get
        {
            const int ESTABLISHED = 1, SYN_SENT = 2, FIN_WAIT2 = 5, CLOSE = 7, CLOSE_WAIT = 8, LAST_ACK = 9, LISTEN = 10;
            bool sent = (ShutdownBits & ShutSend) != 0;
            return _state switch
            {
                State.Listening => LISTEN,
                State.Connecting => SYN_SENT,
                State.Decided or State.Connected when _peer is not null && !_reset
                    => sent ? _ended ? LAST_ACK : FIN_WAIT2 : _ended ? CLOSE_WAIT : ESTABLISHED,
                _ => CLOSE,
            };
        }
    }

    public override PollEvents Poll()
    {
        const PollEvents In = PollEvents.POLLIN | PollEvents.POLLRDNORM, Out = PollEvents.POLLOUT | PollEvents.POLLWRNORM;
        PollEvents events = HasError ? PollEvents.POLLERR : PollEvents.None;
        switch (_state)
        {
            case State.Listening:
                return events | (HasPending ? In : PollEvents.None);
            case State.Connecting:
                return events;
        }
        bool receives = (ShutdownBits & ShutReceive) == 0 && !_ended, sends = (ShutdownBits & ShutSend) == 0;
        if (_peer is null || _reset || (!receives && !sends))
            events |= PollEvents.POLLHUP;
        if (!receives || _reset)
            events |= In | PollEvents.POLLRDHUP;
        if (_incoming.Used > 0)
            events |= In;
        return !sends || _peer is null || _reset || _peerGone || _peer._incoming.HasRoom ? events | Out : events;
    }

    public override SysResult Send(SocketMessage message)
    {
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return Errno.EOPNOTSUPP;
        Errno error = message.Done > 0 ? Errno.OK : TakeError();
        if (error != Errno.OK)
            return error;
        if ((ShutdownBits & ShutSend) != 0 || _reset || _state is State.Closed or State.Listening)
            return Errno.EPIPE;
        if (_state == State.Connecting)
            return Errno.EAGAIN;
        if (_peer is not { } peer)
            return Errno.EPIPE;
        ulong wanted = message.Data.Remaining;
        bool faulted = false;
        int sent = _peerGone ? 0 : peer._incoming.Write(message.Data, out faulted);
        if (sent > 0)
            peer.Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM);
        if (sent > 0 || wanted == 0)
            return sent;
        if (faulted)
            return Errno.EFAULT;
        if (!_peerGone)
            return Errno.EAGAIN;
        // Nobody is there: these bytes are lost, and the answer is a reset.
        Reset(_ended ? Errno.EPIPE : Errno.ECONNRESET);
        message.Data.Advance(wanted);
        return wanted;
    }

    public override SysResult Receive(SocketMessage message)
    {
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return Errno.EINVAL;
        if ((message.Flags & MsgFlags.MSG_ERRQUEUE) != 0)
            return Errno.EAGAIN;
        if (_state is State.Closed or State.Listening && !_reset)
            return Errno.ENOTCONN;
        bool peek = (message.Flags & MsgFlags.MSG_PEEK) != 0, faulted = false, madeRoom;
        int got = (message.Flags & MsgFlags.MSG_TRUNC) != 0 && !peek
            ? _incoming.Discard(message.Data.Remaining, out madeRoom)
            : _incoming.Read(message.Data, peek, peek ? (int)message.Done : 0, out faulted, out madeRoom);
        if (got > 0)
        {
            if (madeRoom)
                _peer?.Waiters.Wake(PollEvents.POLLOUT | PollEvents.POLLWRNORM);
            return got;
        }
        if (faulted)
            return Errno.EFAULT;
        Errno error = message.Done > 0 ? Errno.OK : TakeError();
        if (error != Errno.OK)
            return error;
        return _ended || _reset || (ShutdownBits & ShutReceive) != 0 ? 0 : Errno.EAGAIN;
    }

    public override Errno Shutdown(int how)
    {
        AddShutdown(how switch
        {
            ShutdownHow.SHUT_RD => ShutReceive,
            ShutdownHow.SHUT_WR => ShutSend,
            _ => ShutReceive | ShutSend,
        });
        switch (_state)
        {
            case State.Listening when how != ShutdownHow.SHUT_WR:
                StopListening();
                break;
            case State.Closed or State.Connecting:
                return Errno.ENOTCONN;
            case State.Connected or State.Decided:
                if (_peer is null || _reset)
                    return Errno.ENOTCONN;
                if (how != ShutdownHow.SHUT_RD)
                    _peer.EndIncoming();
                break;
        }
        Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM | PollEvents.POLLRDHUP | PollEvents.POLLHUP | PollEvents.POLLOUT);
        return Errno.OK;
    }

    public override SysResult GetInputQueued() => _state == State.Listening ? Errno.EINVAL : _incoming.Used;

    public override SysResult GetOutputQueued() => _state == State.Listening ? Errno.EINVAL : _peer?._incoming.Used ?? 0;

    /// <summary>The peer sends no more.</summary>
    private void EndIncoming()
    {
        _ended = true;
        PollEvents events = PollEvents.POLLIN | PollEvents.POLLRDNORM | PollEvents.POLLRDHUP;
        if (_peerGone)
            events |= PollEvents.POLLOUT | PollEvents.POLLWRNORM;
        if ((ShutdownBits & ShutSend) != 0)
            events |= PollEvents.POLLHUP;
        Waiters.Wake(events);
    }

    /// <summary>The connection is no more.</summary>
    private void Reset(Errno error)
    {
        SetError(error);
        _reset = true;
        _incoming.Discard(ulong.MaxValue, out _);
        Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM | PollEvents.POLLOUT | PollEvents.POLLWRNORM | PollEvents.POLLERR | PollEvents.POLLHUP | PollEvents.POLLRDHUP);
    }
}
