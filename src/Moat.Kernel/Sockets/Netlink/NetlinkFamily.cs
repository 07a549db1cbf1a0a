using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets.Netlink;

/// <summary>AF_NETLINK (man 7 netlink): NETLINK_ROUTE alone, as on a kernel that was built without the other protocols.</summary>
internal sealed class NetlinkFamily : SocketFamily
{
    private const int NETLINK_ROUTE = 0, MAX_LINKS = 32;

    public override Errno Create(Task task, int type, int protocol, OpenFlags flags, out Socket? socket)
    {
        socket = null;
        if (type is not (SocketType.SOCK_RAW or SocketType.SOCK_DGRAM))
            return Errno.ESOCKTNOSUPPORT;
        if (protocol is < 0 or >= MAX_LINKS or not NETLINK_ROUTE)
            return Errno.EPROTONOSUPPORT;
        return NetlinkSocket.Create(task, type, flags, out socket);
    }
}

/// <summary>The port numbers of a sandbox's netlink sockets.</summary>
internal sealed class NetlinkPorts
{
    /// <summary>Where numbers that belong to no process begin, downwards.</summary>
    private const int FirstOther = -4097;

    private readonly Lock _lock = new();
    private readonly HashSet<uint> _used = [];
    private int _next = FirstOther;

    /// <summary>Takes a given number. False: taken already.</summary>
    public bool TryTake(uint port)
    {
        lock (_lock)
            return _used.Add(port);
    }

    /// <summary>Takes the process's number, or any other when that is taken.</summary>
    public uint Take(int process)
    {
        lock (_lock)
        {
            uint port = (uint)process;
            while (!_used.Add(port))
            {
                port = (uint)_next--;
                if (_next > FirstOther)
                    _next = FirstOther;
            }
            return port;
        }
    }

    /// <summary>Gives a number back.</summary>
    public void Drop(uint port)
    {
        lock (_lock)
            _used.Remove(port);
    }
}
