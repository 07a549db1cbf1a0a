using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Netlink;

/// <summary>
/// A NETLINK_ROUTE socket (man 7 rtnetlink). Questions about links, addresses and routes are answered, by the host or, without its
/// network, here. Nothing can be changed (EPERM), and no events come but the cookies of mq_notify(2).
/// </summary>
internal sealed partial class NetlinkSocket : Socket
{
    private const int AddressSize = 12, NETLINK_ROUTE = 0;

    private readonly Lock _lock = new();
    private readonly NetlinkPorts _ports;

    /// <summary>Messages of this side: acknowledgements, refusals, answers about the sandbox's own loopback, cookies of message queues.</summary>
    private readonly NetlinkQueue _answers = new();

    /// <summary>Asks the host; -1 without its network.</summary>
    private readonly int _host;

    private uint _port, _groups, _peer;
    private bool _isBound, _isConnected;

    private NetlinkSocket(Task task, int type, OpenFlags flags, int host)
        : base(AddressFamily.AF_NETLINK, type, NETLINK_ROUTE, flags, task.Credentials)
    {
        _ports = task.Sentry.NetlinkPorts;
        _host = host;
    }

    /// <summary>Makes one. EMFILE, ENFILE, EACCES: what the host has against its part.</summary>
    public static Errno Create(Task task, int type, OpenFlags flags, out Socket? socket)
    {
        socket = null;
        int host = -1;
        if (task.Sentry.Network == NetworkMode.Host)
        {
            host = HostSockets.Create(AddressFamily.AF_NETLINK, SocketType.SOCK_RAW, NETLINK_ROUTE);
            if (host < 0)
                return (Errno)(-host);
        }
        socket = new NetlinkSocket(task, type, flags, host);
        return Errno.OK;
    }

    public override WaitQueue Waiters { get; } = new();

    /// <summary>Questions are answered before the call that asks returns; only cookies come later.</summary>
    public override PollEvents Poll()
    {
        PollEvents events = PollEvents.POLLOUT | PollEvents.POLLWRNORM;
        lock (_lock)
        {
            if (_answers.Count > 0 || HostHasMore)
                events |= PollEvents.POLLIN | PollEvents.POLLRDNORM;
            if (_answers.HasLost)
                events |= PollEvents.POLLERR;
        }
        return events;
    }

    private bool HostHasMore => _host >= 0 && HostEpoll.PollNow(_host, (uint)PollEvents.POLLIN) != 0;

    public override Errno Bind(in Caller caller, ReadOnlySpan<byte> name)
    {
        Errno error = Parse(name, out uint port, out uint groups);
        if (error != Errno.OK)
            return error;
        lock (_lock)
        {
            if (_isBound && port != _port)
                return Errno.EINVAL;
            if (!_isBound && port != 0 && !_ports.TryTake(port))
                return Errno.EADDRINUSE;
            if (!_isBound)
                _port = port != 0 ? port : _ports.Take(caller.Task?.Group.Id ?? 0);
            _isBound = true;
            _groups = groups;
        }
        return Errno.OK;
    }

    public override Errno Connect(in Caller caller, ReadOnlySpan<byte> name)
    {
        if (name.Length < sizeof(ushort))
            return Errno.EINVAL;
        lock (_lock)
        {
            if (MemoryMarshal.Read<ushort>(name) == AddressFamily.AF_UNSPEC)
            {
                _isConnected = false;
                _peer = 0;
                return Errno.OK;
            }
            Errno error = Parse(name, out uint port, out uint groups);
            if (error != Errno.OK)
                return error;
            if ((port != 0 || groups != 0) && !caller.Credentials.Has(Capability.CAP_NET_ADMIN))
                return Errno.EPERM;
            EnsureBound(in caller);
            _isConnected = true;
            _peer = port;
            return Errno.OK;
        }
    }

    public override Errno GetName(Span<byte> name, out int length)
    {
        lock (_lock)
            length = PutAddress(name, _port, _groups);
        return Errno.OK;
    }

    public override Errno GetPeerName(Span<byte> name, out int length)
    {
        lock (_lock)
            length = PutAddress(name, _isConnected ? _peer : 0, 0);
        return Errno.OK;
    }

    public override Errno Shutdown(int how) => Errno.EOPNOTSUPP;

    public override SysResult GetInputQueued() => Errno.EOPNOTSUPP;

    public override SysResult GetOutputQueued() => Errno.EOPNOTSUPP;

    protected override void Release()
    {
        if (_isBound)
            _ports.Drop(_port);
        if (_host >= 0)
            HostStreamCalls.Close(_host);
    }

    /// <summary>struct sockaddr_nl. EINVAL.</summary>
    private static Errno Parse(ReadOnlySpan<byte> name, out uint port, out uint groups)
    {
        port = groups = 0;
        if (name.Length < AddressSize || MemoryMarshal.Read<ushort>(name) != AddressFamily.AF_NETLINK)
            return Errno.EINVAL;
        port = MemoryMarshal.Read<uint>(name[4..]);
        groups = MemoryMarshal.Read<uint>(name[8..]);
        return Errno.OK;
    }

    private static int PutAddress(Span<byte> name, uint port, uint groups)
    {
        name[..AddressSize].Clear();
        MemoryMarshal.Write(name, (ushort)AddressFamily.AF_NETLINK);
        MemoryMarshal.Write(name[4..], port);
        MemoryMarshal.Write(name[8..], groups);
        return AddressSize;
    }

    /// <summary>Who sends has a port. Under the lock.</summary>
    private void EnsureBound(in Caller caller)
    {
        if (_isBound)
            return;
        _port = _ports.Take(caller.Task?.Group.Id ?? 0);
        _isBound = true;
    }
}
