using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>SOCK_DGRAM: messages with borders, from anybody to anybody, reliable and in order.</summary>
internal sealed class UnixDatagram(Sentry sentry, OpenFlags flags, Credentials creator)
    : UnixSocket(sentry, SocketType.SOCK_DGRAM, flags, creator)
{
    /// <summary>net.unix.max_dgram_qlen: what a socket takes from those it is not connected to.</summary>
    private const int LongestQueue = 10;

    /// <summary>What a datagram may not take of the send buffer.</summary>
    private const int Headroom = 32;

    /// <summary>A peer that answers this socket only takes as much as the send buffer lets through.</summary>
    protected override bool IsPeerFull
    {
        get
        {
            if (Peer is not { } peer || !IsFull(peer))
                return false;
            WaitForRoom(peer);
            return IsFull(peer);
        }
    }

    private bool IsFull(UnixSocket other) => other != this && other.Peer != this && other.Queue.Count > LongestQueue;

    public override Errno Connect(in Caller caller, ReadOnlySpan<byte> name)
    {
        if (name.Length < UnixAddress.PathAt)
            return Errno.EINVAL;
        UnixSocket? other = null;
        if (UnixAddress.FamilyOf(name) != AddressFamily.AF_UNSPEC)
        {
            Errno error = UnixAddress.Check(name);
            if (error == Errno.OK)
                error = AutobindForCredentials();
            if (error == Errno.OK)
                error = Find(in caller, name, out other);
            if (error == Errno.OK && !MaySend(other!))
                error = Errno.EPERM;
            if (error != Errno.OK)
                return error;
        }
        UnixSocket? old = Peer;
        SetPeer(other);
        SetState(other is null ? UnixState.Closed : UnixState.Connected);
        if (old is not null && old != other)
            Disconnected(old);
        WakeAll();
        return Errno.OK;
    }

    /// <summary>A socket that is connected takes nothing from others.</summary>
    private bool MaySend(UnixSocket other) => other.Peer is null || other.Peer == this;

    /// <summary>What had been sent by a former peer is lost, and a peer that still believes in the connection is told.</summary>
    private void Disconnected(UnixSocket former)
    {
        if (Queue.Count == 0)
            return;
        Purge();
        RoomWaiters.Wake(PollEvents.POLLOUT);
        if (!former.IsDead && former.Peer == this && former is UnixDatagram datagram)
        {
            datagram.SetError(Errno.ECONNRESET);
            datagram.WakeAll();
        }
    }

    public override Errno PrepareSend(SocketMessage message)
    {
        message.Destination = null;
        if (message.NameLength == 0)
            return Errno.OK;
        Errno error = UnixAddress.Check(message.NameBytes);
        if (error != Errno.OK)
            return error;
        message.DestinationError = Find(message.Caller, message.NameBytes, out UnixSocket? found);
        message.Destination = found;
        return Errno.OK;
    }

    public override SysResult Send(SocketMessage message)
    {
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return Errno.EOPNOTSUPP;
        UnixAncillary ancillary = default;
        Errno error = message.ControlUsed > 0 ? UnixAncillary.Parse(message, Sentry, out ancillary) : Errno.OK;
        if (error != Errno.OK)
            return error;
        error = AutobindForCredentials();
        if (error == Errno.OK)
            error = CheckSend((int)Math.Min(message.Data.Remaining, int.MaxValue));
        SysResult result = error == Errno.OK ? SendChecked(message, ref ancillary) : error;
        ancillary.Drop();
        return result;
    }

    /// <summary>The data comes before who receives it, as on Linux: EFAULT outranks ENOENT or ECONNREFUSED.</summary>
    private SysResult SendChecked(SocketMessage message, ref UnixAncillary ancillary)
    {
        bool named = message.NameLength > 0;
        UnixSocket? other = named ? message.Destination as UnixSocket : Peer;
        UnixQueue queue = (other ?? this).Queue;
        if (Pack(message, queue) is not { } packet)
            return Errno.EFAULT;
        Errno error = other is not null ? CheckReceiver(other, named) : named ? message.DestinationError : Errno.ENOTCONN;
        if (error == Errno.OK)
            return SendPacket(message, packet, other!, ref ancillary);
        queue.Return(packet);
        return error;
    }

    private Errno CheckSend(int length)
    {
        if (length > Options.SendBuffer - Headroom)
            return Errno.EMSGSIZE;
        Errno error = TakeError();
        if (error != Errno.OK)
            return error;
        if ((ShutdownBits & ShutSend) != 0)
            return Errno.EPIPE;
        return IsSendBufferFull ? Errno.EAGAIN : Errno.OK;
    }

    private Errno CheckReceiver(UnixSocket other, bool named)
    {
        if (other.IsDead)
        {
            if (!named && TryReplacePeer(other, null))
            {
                SetState(UnixState.Closed);
                Disconnected(other);
            }
            return Errno.ECONNREFUSED;
        }
        if (!MaySend(other))
            return Errno.EPERM;
        if (other.IsReceiveShut)
            return Errno.EPIPE;
        if (!IsFull(other))
            return Errno.OK;
        WaitForRoom(other);
        return IsFull(other) ? Errno.EAGAIN : Errno.OK;
    }

    public override SysResult Receive(SocketMessage message)
    {
        SysResult result = ReceivePacket(message);
        bool noWait = IsNonBlocking || (message.Flags & MsgFlags.MSG_DONTWAIT) != 0;
        // Only who would wait is told of the end.
        return result.Error == Errno.EAGAIN && IsReceiveShut && !noWait ? 0 : result;
    }

    public override SysResult GetInputQueued()
    {
        lock (Queue.ReadLock)
            return Queue.First?.Length ?? 0;
    }

    protected override void OnReleased(UnixSocket? peer)
    {
    }
}

/// <summary>SOCK_SEQPACKET: messages with borders over a connection.</summary>
internal sealed class UnixSeqPacket(Sentry sentry, OpenFlags flags, Credentials creator)
    : UnixConnected(sentry, SocketType.SOCK_SEQPACKET, flags, creator)
{
    private const int Headroom = 32;

    protected override UnixConnected MakeSibling(Credentials creator) => new UnixSeqPacket(Sentry, OpenFlags.O_RDONLY, creator);

    public override SysResult Send(SocketMessage message)
    {
        Errno error = TakeError();
        if (error != Errno.OK)
            return error;
        if (State != UnixState.Connected || Peer is not { } peer)
            return Errno.ENOTCONN;
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return Errno.EOPNOTSUPP;
        UnixAncillary ancillary = default;
        if (message.ControlUsed > 0)
            error = UnixAncillary.Parse(message, Sentry, out ancillary);
        if (error != Errno.OK)
            return error;
        SysResult result;
        if (message.Data.Remaining > (ulong)(Options.SendBuffer - Headroom))
            result = Errno.EMSGSIZE;
        else if ((ShutdownBits & ShutSend) != 0)
            result = Errno.EPIPE;
        else if (IsSendBufferFull)
            result = Errno.EAGAIN;
        else
            result = Pack(message, peer.Queue) is { } packet ? SendPacket(message, packet, peer, ref ancillary) : Errno.EFAULT;
        ancillary.Drop();
        return result;
    }

    public override SysResult Receive(SocketMessage message)
    {
        if (State != UnixState.Connected)
            return Errno.ENOTCONN;
        SysResult result = ReceivePacket(message);
        return result.Error == Errno.EAGAIN && IsReceiveShut ? 0 : result;
    }
}
