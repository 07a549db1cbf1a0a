using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>Where an AF_UNIX socket is in its life.</summary>
internal enum UnixState
{
    Closed,
    Listening,
    Connected,

    /// <summary>The last descriptor is gone.</summary>
    Dead,
}

/// <summary>
/// An AF_UNIX socket (man 7 unix). Senders put packets straight into the receiver's queue and are charged for them until they are read.
/// </summary>
/// <remarks>
/// Locks: <see cref="StateLock"/> (state, backlog, address), or the queue's read lock and then its own. None is held together with another
/// socket's, nor while a queue is woken or a description is released. Peers hold no reference to one another: they are objects, and a dead one
/// says so.
/// </remarks>
internal abstract partial class UnixSocket : Socket
{
    protected const int ShutReceive = 1, ShutSend = 2, ShutBoth = 3;

    private const PollEvents Input = PollEvents.POLLIN | PollEvents.POLLRDNORM;
    private const PollEvents Output = PollEvents.POLLOUT | PollEvents.POLLWRNORM | PollEvents.POLLWRBAND;

    /// <summary>To all who wait: look again.</summary>
    private const PollEvents Anything = Input | Output | PollEvents.POLLRDHUP | PollEvents.POLLHUP | PollEvents.POLLERR;

    private volatile UnixSocket? _peer;
    private volatile UnixPeer? _peerIdentity;
    private int _state;
    private int _shutdown;
    private int _error;
    private int _charged;

    protected UnixSocket(Sentry sentry, int type, OpenFlags flags, Credentials creator)
        : base(AddressFamily.AF_UNIX, type, 0, flags, creator)
    {
        Sentry = sentry;
        Options.Set(SocketOption.SO_PASSRIGHTS, on: true);
        sentry.UnixNames.Add(this);
    }

    protected Sentry Sentry { get; }

    protected UnixNames Names => Sentry.UnixNames;

    /// <summary>Guards the changes of address, state and backlog.</summary>
    protected Lock StateLock { get; } = new();

    /// <summary>What has been sent here.</summary>
    public UnixQueue Queue { get; } = new();

    /// <summary>Options of SOL_SOCKET.</summary>
    public SocketOptions Options { get; } = new();

    /// <summary>Who waits for room here: senders of datagrams, and connections that the backlog does not take.</summary>
    public WaitQueue RoomWaiters { get; } = new();

    public sealed override WaitQueue Waiters { get; } = new();

    /// <summary>How often it is on its way through other sockets. Guarded by the lock of <see cref="UnixGarbage"/>.</summary>
    public int InFlight { get; set; }

    /// <summary>False: a connection that waits to be accepted.</summary>
    public virtual bool IsAccepted => true;

    /// <summary>The other side: of a stream the one connected to, of datagrams the default destination.</summary>
    public UnixSocket? Peer => _peer;

    public UnixState State => (UnixState)Volatile.Read(ref _state);

    public bool IsDead => State == UnixState.Dead;

    protected int ShutdownBits => Volatile.Read(ref _shutdown);

    /// <summary>True when it takes nothing any more.</summary>
    public bool IsReceiveShut => (ShutdownBits & ShutReceive) != 0;

    /// <summary>Something to read or to accept.</summary>
    protected virtual bool HasInput => Queue.Count > 0;

    public sealed override int ReceiveLowWater => Options.ReceiveLowWater;

    public override PollEvents Poll()
    {
        UnixState state = State;
        int shutdown = ShutdownBits;
        PollEvents events = Volatile.Read(ref _error) != 0 ? PollEvents.POLLERR : PollEvents.None;
        if (shutdown == ShutBoth)
            events |= PollEvents.POLLHUP;
        if ((shutdown & ShutReceive) != 0)
            events |= PollEvents.POLLRDHUP | Input;
        if (HasInput)
            events |= Input;
        if (Type != SocketType.SOCK_DGRAM && state is UnixState.Closed or UnixState.Dead)
            events |= PollEvents.POLLHUP;
        if (state != UnixState.Listening && IsWritable && !IsPeerFull)
            events |= Output;
        return events;
    }

    /// <summary>Less than a quarter of the send buffer is in use.</summary>
    private bool IsWritable => ((long)Volatile.Read(ref _charged) + 1) * 4 <= Options.SendBuffer;

    /// <summary>The send buffer takes no more.</summary>
    protected bool IsSendBufferFull => Volatile.Read(ref _charged) >= Options.SendBuffer;

    /// <summary>The default destination of datagrams takes no more; when it does, <see cref="FileDescription.Waiters"/> is woken.</summary>
    protected virtual bool IsPeerFull => false;

    /// <summary>Counts a packet against the send buffer.</summary>
    protected void Charge(int bytes) => Interlocked.Add(ref _charged, bytes);

    /// <summary>A packet of this sender's has been read or thrown away.</summary>
    public void Uncharge(int bytes)
    {
        Interlocked.Add(ref _charged, -bytes);
        if (IsWritable)
            Waiters.Wake(Output);
    }

    /// <summary>Something came: sockets tell of input of every kind, whatever it is.</summary>
    protected void WakeInput() => Waiters.Wake(Input | PollEvents.POLLPRI | PollEvents.POLLRDBAND);

    /// <summary>Everything may be different.</summary>
    protected void WakeAll() => Waiters.Wake(Anything);

    /// <summary>Takes the error that waits to be told (SO_ERROR).</summary>
    protected Errno TakeError()
        => Volatile.Read(ref _error) == 0 ? Errno.OK : (Errno)Interlocked.Exchange(ref _error, 0);

    /// <summary>Leaves an error for the next call.</summary>
    protected void SetError(Errno error) => Volatile.Write(ref _error, (int)error);

    protected void SetPeer(UnixSocket? peer) => _peer = peer;

    /// <summary>Puts another peer in place of one; false when it was not that one any more.</summary>
    protected bool TryReplacePeer(UnixSocket? old, UnixSocket? peer)
#pragma warning disable CS0420 // Interlocked works on it as on any field.
        => Interlocked.CompareExchange(ref _peer, peer, old) == old;
#pragma warning restore CS0420

    protected void SetState(UnixState state) => Volatile.Write(ref _state, (int)state);

    /// <summary>Moves on from a state; false when it was in another.</summary>
    protected bool TryMove(UnixState from, UnixState to)
        => Interlocked.CompareExchange(ref _state, (int)to, (int)from) == (int)from;

    protected void SetPeerIdentity(UnixPeer? identity) => _peerIdentity = identity;

    protected UnixPeer? PeerIdentity => _peerIdentity;

    /// <summary>Connects two new sockets to each other (socketpair(2)).</summary>
    public static void Pair(UnixSocket one, UnixSocket two, UnixPeer maker)
    {
        one._peer = two;
        two._peer = one;
        one._peerIdentity = two._peerIdentity = maker;
        one.SetState(UnixState.Connected);
        two.SetState(UnixState.Connected);
    }

    public sealed override Errno Shutdown(int how)
    {
        int mine = how + 1;
        Shut(mine);
        if (Type != SocketType.SOCK_DGRAM && Peer is { } peer)
        {
            // What one side no longer reads the other cannot send, and the other way round.
            int theirs = ((mine & ShutReceive) << 1) | ((mine & ShutSend) >> 1);
            peer.Shut(theirs);
        }
        return Errno.OK;
    }

    /// <summary>Ends directions and tells who waits.</summary>
    protected void Shut(int bits)
    {
        Interlocked.Or(ref _shutdown, bits);
        WakeAll();
    }

    public sealed override SysResult GetOutputQueued() => Volatile.Read(ref _charged);

    protected override void Release()
    {
        LeaveRoomQueues();
        UnixSocket? peer;
        lock (StateLock)
        {
            peer = _peer;
            SetState(UnixState.Dead);
            Interlocked.Or(ref _shutdown, ShutBoth);
        }
        Names.Remove(this, Address, _file);
        Queue.Close();
        RoomWaiters.Wake(Output | PollEvents.POLLHUP);
        OnReleased(peer);
        Purge();
        Queue.FreeKept();
        Sentry.UnixGarbage.CollectIfAny();
    }

    /// <summary>The last descriptor is gone, what is in the queue is not yet.</summary>
    protected abstract void OnReleased(UnixSocket? peer);

    public override void AfterDescriptorClosed()
    {
        // Perhaps the last descriptor of a socket that is on its way through itself: nobody else would notice.
        if (InFlight > 0)
            Sentry.UnixGarbage.CollectIfAny();
    }

    /// <summary>Throws everything away that has not been read.</summary>
    protected void Purge()
    {
        UnixPacket? packet;
        lock (Queue.ReadLock)
            packet = Queue.TakeAll();
        while (packet is not null)
        {
            UnixPacket? next = packet.Next;
            Drop(packet);
            packet = next;
        }
    }

    /// <summary>Gives back a packet that was taken out unread, and all that it carries.</summary>
    protected void Drop(UnixPacket packet)
    {
        UnixSocket owner = packet.Owner!;
        int charge = packet.Charge;
        FileDescription[]? rights = packet.Rights;
        Queue.Return(packet);
        owner.Uncharge(charge);
        if (rights is not null)
            UnixRights.Discard(Sentry, rights);
    }
}
