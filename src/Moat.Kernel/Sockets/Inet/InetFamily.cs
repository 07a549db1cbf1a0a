using Moat.Host;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>AF_INET and AF_INET6 (man 7 ip, ipv6): over the host's network, or with <c>--network none</c> over the sandbox's own loopback.</summary>
internal sealed class InetFamily(int family) : SocketFamily
{
    public override Errno Create(Task task, int type, int protocol, OpenFlags flags, out Socket? socket)
    {
        socket = null;
        if (task.Sentry.Network == NetworkMode.None)
            return Errno.EAFNOSUPPORT;
        // CAP_NET_RAW as the sandbox has it; beyond that the host decides.
        if (type == SocketType.SOCK_RAW && !task.Credentials.IsRoot)
            return Errno.EPERM;
        int fd = HostSockets.Create(family, type, protocol);
        if (fd < 0)
            return (Errno)(-fd);
        socket = new HostSocket(task.Sentry.Notifier, fd, family, type, flags, task.Credentials);
        return Errno.OK;
    }
}
