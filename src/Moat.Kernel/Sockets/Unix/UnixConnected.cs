using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>Sockets with connections (SOCK_STREAM, SOCK_SEQPACKET): listening, connecting, accepting, and how the end is told.</summary>
internal abstract class UnixConnected : UnixSocket
{
    /// <summary>net.core.somaxconn.</summary>
    private const int LongestBacklog = 4096;

    private readonly Queue<UnixConnected> _accepts = new();
    private int _acceptCount;
    private int _backlog;
    private volatile bool _accepted = true;

    protected UnixConnected(Sentry sentry, int type, OpenFlags flags, Credentials creator)
        : base(sentry, type, flags, creator)
    {
    }

    protected override bool HasInput => Volatile.Read(ref _acceptCount) > 0 || base.HasInput;

    /// <summary>A socket of the same kind, for the listener's side of a connection.</summary>
    protected abstract UnixConnected MakeSibling(Credentials creator);

    public override Errno Listen(in Caller caller, int backlog)
    {
        if (Address is null)
            return Errno.EINVAL;
        if (!TryMove(UnixState.Closed, UnixState.Listening) && State != UnixState.Listening)
            return Errno.EINVAL;
        SetPeerIdentity(new UnixPeer(caller.Task?.Group, caller.Credentials));
        lock (StateLock)
            _backlog = (int)Math.Min((uint)backlog, LongestBacklog);
        RoomWaiters.Wake(PollEvents.POLLOUT);
        return Errno.OK;
    }

    public override Errno Connect(in Caller caller, ReadOnlySpan<byte> name)
    {
        Errno error = UnixAddress.Check(name);
        if (error == Errno.OK)
            error = AutobindForCredentials();
        if (error != Errno.OK)
            return error;
        error = Find(in caller, name, out UnixSocket? found);
        if (error != Errno.OK)
            return error;
        UnixConnected listener = (UnixConnected)found!;
        error = listener.Admit(this, in caller);
        if (error != Errno.EAGAIN)
            return error;
        WaitForRoom(listener);
        return listener.Admit(this, in caller);
    }

    /// <summary>
    /// On the listener: makes the other side of a connection and queues it. ECONNREFUSED, EAGAIN (the backlog is full), EISCONN, EINVAL.
    /// </summary>
    private Errno Admit(UnixConnected client, in Caller caller)
    {
        UnixConnected made;
        lock (StateLock)
        {
            if (State != UnixState.Listening || IsReceiveShut)
                return Errno.ECONNREFUSED;
            if (_accepts.Count > _backlog)
                return client.State == UnixState.Closed ? Errno.EAGAIN : client.WhyNotClosed();
            if (!client.TryMove(UnixState.Closed, UnixState.Connected))
                return client.WhyNotClosed();
            made = MakeSibling(caller.Credentials);
            made._accepted = false;
            made.Options.Inherit(Options);
            made.ShareAddress(this);
            made.SetPeerIdentity(new UnixPeer(caller.Task?.Group, caller.Credentials));
            made.SetPeer(client);
            made.SetState(UnixState.Connected);
            client.SetPeerIdentity(PeerIdentity);
            client.SetPeer(made);
            _accepts.Enqueue(made);
            Volatile.Write(ref _acceptCount, _accepts.Count);
        }
        WakeInput();
        client.WakeAll();
        return Errno.OK;
    }

    private Errno WhyNotClosed() => State == UnixState.Connected ? Errno.EISCONN : Errno.EINVAL;

    public override bool IsAccepted => _accepted;

    public override bool AcceptsNoMore => IsReceiveShut;

    public override Errno Accept(in Caller caller, OpenFlags flags, out Socket? accepted)
    {
        accepted = null;
        lock (StateLock)
        {
            if (State != UnixState.Listening)
                return Errno.EINVAL;
            if (!_accepts.TryDequeue(out UnixConnected? made))
                return Errno.EAGAIN;
            Volatile.Write(ref _acceptCount, _accepts.Count);
            made._accepted = true;
            made.SetFlags(flags);
            accepted = made;
        }
        RoomWaiters.Wake(PollEvents.POLLOUT);
        return Errno.OK;
    }

    protected override void OnReleased(UnixSocket? peer)
    {
        if (peer is UnixConnected connected)
            connected.PeerReleased(reset: Queue.HasUnread || !_accepted);
        // Nobody pushes any more: the state says so, and it was set under the lock.
        while (_accepts.TryDequeue(out UnixConnected? made))
            made.DropReference();
    }

    /// <summary>The other side is gone; <paramref name="reset"/>: without having read everything.</summary>
    private void PeerReleased(bool reset)
    {
        if (reset)
            SetError(Errno.ECONNRESET);
        Shut(ShutBoth);
    }

    public override SysResult GetInputQueued() => State == UnixState.Listening ? Errno.EINVAL : Queue.Bytes;

    public override void AddSocketsInFlight(List<UnixSocket> into)
    {
        base.AddSocketsInFlight(into);
        lock (StateLock)
        {
            foreach (UnixConnected made in _accepts)
                made.AddSocketsInFlight(into);
        }
    }

    public override void DiscardUnreachable()
    {
        base.DiscardUnreachable();
        UnixConnected[] accepts;
        lock (StateLock)
            accepts = [.. _accepts];
        foreach (UnixConnected made in accepts)
            made.DiscardUnreachable();
    }
}
