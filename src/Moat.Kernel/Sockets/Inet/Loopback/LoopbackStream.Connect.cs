using System.Runtime.InteropServices;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Inet.Loopback;

/// <summary>How connections begin and end.</summary>
internal sealed partial class LoopbackStream
{
    private const PollEvents Connectable = PollEvents.POLLOUT | PollEvents.POLLWRNORM | PollEvents.POLLIN | PollEvents.POLLRDNORM;
    private const int SOMAXCONN = 4096;

    /// <summary>Connections that wait for accept(2), and connects that wait for room among them. Under the network's lock.</summary>
    private readonly Queue<LoopbackStream> _pending = new(0), _waiting = new(0);
    private int _backlog, _pendingCount;

    private bool HasPending => Volatile.Read(ref _pendingCount) > 0;

    public override Errno Listen(in Caller caller, int backlog)
    {
        lock (Network.Lock)
        {
            if (_state is not (State.Closed or State.Listening))
                return Errno.EINVAL;
            Errno error = IsBound ? Errno.OK : Network.Bind(this, Local);
            if (error != Errno.OK)
                return error;
            _backlog = (int)Math.Min((uint)backlog, SOMAXCONN);
            _state = State.Listening;
            return Errno.OK;
        }
    }

    public override Errno Accept(in Caller caller, OpenFlags flags, out Socket? accepted)
    {
        accepted = null;
        LoopbackStream? admitted = null;
        lock (Network.Lock)
        {
            if (_state != State.Listening)
                return Errno.EINVAL;
            if (!_pending.TryDequeue(out LoopbackStream? connection))
                return Errno.EAGAIN;
            Volatile.Write(ref _pendingCount, _pending.Count);
            connection.SetFlags(flags);
            accepted = connection;
            while (admitted is null && _waiting.TryDequeue(out LoopbackStream? waiting))
            {
                if (waiting._state != State.Connecting)
                    continue;
                Admit(waiting);
                admitted = waiting;
            }
        }
        admitted?.Waiters.Wake(Connectable);
        return Errno.OK;
    }

    /// <summary>
    /// The connection is there, or refused, before this returns; that it has begun is said all the same, as Linux does.
    /// </summary>
    public override Errno Connect(in Caller caller, ReadOnlySpan<byte> name)
    {
        if (name.Length >= sizeof(ushort) && MemoryMarshal.Read<ushort>(name) == AddressFamily.AF_UNSPEC)
            return Disconnect();
        LoopbackStream? listener;
        lock (Network.Lock)
        {
            switch (_state)
            {
                case State.Connected:
                    return Errno.EISCONN;
                case State.Connecting:
                    return Errno.EALREADY;
                case State.Decided:
                    return Decide();
                case State.Listening:
                    return Errno.EISCONN;
            }
            Errno error = ParseDestination(name, out InetEndpoint destination);
            if (error == Errno.OK)
                error = EnsureBound(destination);
            if (error != Errno.OK)
                return error;
            _reset = false;
            Remote = destination;
            listener = Network.Find(stream: true, destination, Local) as LoopbackStream;
            if (listener is not { _state: State.Listening })
            {
                listener = null;
                Remote = default;
                SetError(Errno.ECONNREFUSED);
                _reset = true;
                _state = State.Decided;
            }
            else if (listener._pending.Count > listener._backlog)
            {
                _state = State.Connecting;
                listener._waiting.Enqueue(this);
                return Errno.EINPROGRESS;
            }
            else
            {
                listener.Admit(this);
            }
        }
        listener?.Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM);
        Waiters.Wake(Connectable);
        return Errno.EINPROGRESS;
    }

    public override Errno FinishConnect()
    {
        lock (Network.Lock)
        {
            return _state switch
            {
                State.Connecting => Errno.EINPROGRESS,
                State.Decided => Decide(),
                _ => Errno.OK,
            };
        }
    }

    /// <summary>What has become of a connect is told once. Under the network's lock.</summary>
    private Errno Decide()
    {
        if (_peer is not null)
        {
            _state = State.Connected;
            return Errno.OK;
        }
        _state = State.Closed;
        Errno error = TakeError();
        return error == Errno.OK ? Errno.ECONNABORTED : error;
    }

    /// <summary>Makes the connection that a client asks of this listener. Under the network's lock; wakes nobody.</summary>
    private void Admit(LoopbackStream client)
    {
        LoopbackStream server = new(Network, Family, OpenFlags.O_RDWR, Owner);
        server.CopyOptions(this);
        server.SetLocal(client.Remote);
        server.Remote = client.Local;
        server._peer = client;
        server._state = State.Connected;
        server._incoming.Limit = server.BufferSize(SocketOption.SO_RCVBUF);
        client._peer = server;
        client._incoming.Limit = client.BufferSize(SocketOption.SO_RCVBUF);
        client._state = State.Decided;
        _pending.Enqueue(server);
        Volatile.Write(ref _pendingCount, _pending.Count);
    }

    private Errno Disconnect()
    {
        LoopbackStream? peer;
        lock (Network.Lock)
        {
            peer = _peer;
            _peer = null;
            Remote = default;
            _state = State.Closed;
        }
        peer?.LosePeer(reset: true);
        return Errno.OK;
    }

    private void StopListening()
    {
        List<LoopbackStream> lost, refused;
        lock (Network.Lock)
        {
            _state = State.Closed;
            lost = [.. _pending];
            refused = [.. _waiting];
            _pending.Clear();
            _waiting.Clear();
            Volatile.Write(ref _pendingCount, 0);
            foreach (LoopbackStream client in refused)
            {
                if (client._state != State.Connecting)
                    continue;
                client.SetError(Errno.ECONNREFUSED);
                client._reset = true;
                client._state = State.Decided;
            }
        }
        refused.ForEach(static client => client.Waiters.Wake(Connectable | PollEvents.POLLERR | PollEvents.POLLHUP));
        // Nobody has seen these: with their only reference gone they end as a closed socket does.
        foreach (LoopbackStream connection in lost)
        {
            connection._peer?.LosePeer(reset: true);
            connection._peer = null;
            connection.DropReference();
        }
    }

    /// <summary>The other side is closed; with unread data, or by force, that is a reset.</summary>
    private void LosePeer(bool reset)
    {
        _peerGone = true;
        if (reset)
            Reset(Errno.ECONNRESET);
        else
            EndIncoming();
    }

    protected override void Release()
    {
        if (_state == State.Listening)
            StopListening();
        LoopbackStream? peer;
        lock (Network.Lock)
        {
            peer = _peer;
            // Those that were accepted share their listener's port and hold none.
            Network.Unbind(this);
            _state = State.Closed;
        }
        int unread = _incoming.Close();
        peer?.LosePeer(reset: unread > 0 || ResetsOnClose);
    }
}
