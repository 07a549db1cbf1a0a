using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets;

/// <summary>What system calls and io_uring requests do alike to make sockets. None waits.</summary>
internal static class SocketOperations
{
    /// <summary>socket(2): a new socket; <paramref name="typeAndFlags"/> with SOCK_NONBLOCK and SOCK_CLOEXEC. EINVAL, EAFNOSUPPORT...</summary>
    public static Errno Create(Task task, int family, int typeAndFlags, int protocol, out Socket? socket)
    {
        socket = null;
        Errno error = Check(family, typeAndFlags, out SocketFamily? maker, out int type, out OpenFlags flags);
        return error == Errno.OK ? maker!.Create(task, type, protocol, flags, out socket) : error;
    }

    /// <summary>socketpair(2).</summary>
    public static Errno CreatePair(Task task, int family, int typeAndFlags, int protocol, out Socket? first, out Socket? second)
    {
        first = second = null;
        Errno error = Check(family, typeAndFlags, out SocketFamily? maker, out int type, out OpenFlags flags);
        return error == Errno.OK ? maker!.CreatePair(task, type, protocol, flags, out first, out second) : error;
    }

    /// <summary>True when only SOCK_NONBLOCK and SOCK_CLOEXEC come with a type.</summary>
    public static bool AreFlagsKnown(int typeAndFlags)
        => (typeAndFlags & ~(SocketType.SOCK_TYPE_MASK | SocketType.SOCK_NONBLOCK | SocketType.SOCK_CLOEXEC)) == 0;

    private static Errno Check(int family, int typeAndFlags, out SocketFamily? maker, out int type, out OpenFlags flags)
    {
        maker = null;
        type = typeAndFlags & SocketType.SOCK_TYPE_MASK;
        flags = (OpenFlags)typeAndFlags & OpenFlags.O_NONBLOCK;
        if (!AreFlagsKnown(typeAndFlags))
            return Errno.EINVAL;
        if ((uint)family >= AddressFamily.AF_MAX)
            return Errno.EAFNOSUPPORT;
        if (type >= SocketType.SOCK_MAX)
            return Errno.EINVAL;
        // What packet(7) was before it had a family.
        if (family == AddressFamily.AF_INET && type == SocketType.SOCK_PACKET)
            family = AddressFamily.AF_PACKET;
        maker = SocketFamilies.Find(family);
        return maker is null ? Errno.EAFNOSUPPORT : Errno.OK;
    }
}
