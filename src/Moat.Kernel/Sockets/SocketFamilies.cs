using Moat.Kernel.Sockets.Inet;
using Moat.Kernel.Sockets.Netlink;
using Moat.Kernel.Sockets.Unix;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets;

/// <summary>One address family: makes its sockets. A singleton without state; what a sandbox keeps lies in the sentry.</summary>
internal abstract class SocketFamily
{
    /// <summary>
    /// socket(2): a new socket with one reference. <paramref name="type"/> is a SOCK_ number without flags, <paramref name="protocol"/> any
    /// number, <paramref name="flags"/> O_NONBLOCK or nothing. ESOCKTNOSUPPORT, EPROTONOSUPPORT, EPROTOTYPE, EPERM, EMFILE.
    /// </summary>
    public abstract Errno Create(Task task, int type, int protocol, OpenFlags flags, out Socket? socket);

    /// <summary>socketpair(2): two connected sockets. EOPNOTSUPP where a family has none.</summary>
    public virtual Errno CreatePair(Task task, int type, int protocol, OpenFlags flags, out Socket? first, out Socket? second)
    {
        first = second = null;
        return Errno.EOPNOTSUPP;
    }
}

/// <summary>The families by AF_ number: the only place to edit, besides the family's own classes, when one is added.</summary>
internal static class SocketFamilies
{
    private static readonly SocketFamily?[] s_families = Build();

    private static SocketFamily?[] Build()
    {
        SocketFamily?[] families = new SocketFamily?[AddressFamily.AF_MAX];
        families[AddressFamily.AF_INET] = new InetFamily(AddressFamily.AF_INET);
        families[AddressFamily.AF_INET6] = new InetFamily(AddressFamily.AF_INET6);
        families[AddressFamily.AF_NETLINK] = new NetlinkFamily();
        families[AddressFamily.AF_UNIX] = new UnixFamily();
        return families;
    }

    /// <summary>The family of an AF_ number; null: EAFNOSUPPORT.</summary>
    public static SocketFamily? Find(int family) => (uint)family < AddressFamily.AF_MAX ? s_families[family] : null;
}
