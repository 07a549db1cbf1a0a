using Moat.Host;
using Moat.Kernel.Sockets.Inet.Loopback;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>AF_INET and AF_INET6 (man 7 ip, ipv6): over the host's network, or with <c>--network none</c> over the sandbox's own loopback.</summary>
internal sealed class InetFamily(int family) : SocketFamily
{
    public override Errno Create(Task task, int type, int protocol, OpenFlags flags, out Socket? socket)
    {
        socket = null;
        if (task.Sentry.Network == NetworkMode.None)
            return CreateOnLoopback(task, type, protocol, flags, out socket);
        // CAP_NET_RAW as the sandbox has it; beyond that the host decides.
        if (type == SocketType.SOCK_RAW && !task.Credentials.Has(Capability.CAP_NET_RAW))
            return Errno.EPERM;
        int fd = HostSockets.Create(family, type, protocol);
        if (fd < 0)
            return (Errno)(-fd);
        socket = new HostSocket(task.Sentry.Notifier, fd, family, type, flags, task.Credentials);
        return Errno.OK;
    }

    private Errno CreateOnLoopback(Task task, int type, int protocol, OpenFlags flags, out Socket? socket)
    {
        const int IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_MAX = 263;
        socket = null;
        if (protocol is < 0 or >= IPPROTO_MAX)
            return Errno.EINVAL;
        switch (type)
        {
            case SocketType.SOCK_STREAM when protocol is 0 or IPPROTO_TCP:
                socket = new LoopbackStream(task.Sentry.Loopback, family, flags, task.Credentials);
                return Errno.OK;
            case SocketType.SOCK_DGRAM when protocol is 0 or IPPROTO_UDP:
                socket = new LoopbackDatagram(task.Sentry.Loopback, family, flags, task.Credentials);
                return Errno.OK;
            case SocketType.SOCK_STREAM or SocketType.SOCK_DGRAM:
                return Errno.EPROTONOSUPPORT;
            case SocketType.SOCK_RAW:
                return task.Credentials.Has(Capability.CAP_NET_RAW) ? Errno.EPROTONOSUPPORT : Errno.EPERM;
            default:
                return Errno.ESOCKTNOSUPPORT;
        }
    }
}
