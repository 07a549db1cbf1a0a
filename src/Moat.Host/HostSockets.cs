using System.Runtime.InteropServices;
using Moat.Abi;

namespace Moat.Host;

/// <summary>struct msghdr of a host call: all it points to is the caller's and outlives the call.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct HostMessage
{
    /// <summary>Where the address is or goes; null for none.</summary>
    public byte* Name;

    /// <summary>Bytes of the address; after receiving, those that it has.</summary>
    public uint NameLength;

    /// <summary>The data.</summary>
    public IoVec* Vector;

    /// <summary>Spans of the data, at most <see cref="HostSockets.IOV_MAX"/>.</summary>
    public nuint Count;

    /// <summary>Ancillary data; null for none.</summary>
    public byte* Control;

    /// <summary>Bytes of ancillary data; after receiving, those that there are.</summary>
    public nuint ControlLength;

    /// <summary>MSG_ flags that a receive brings back.</summary>
    public int Flags;
}

/// <summary>
/// Sockets of the host's network (man 7 socket). All are non-blocking and close-on-exec. Results: a value or -errno.
/// </summary>
public static unsafe class HostSockets
{
    /// <summary>Spans that one call takes at most (UIO_MAXIOV).</summary>
    public const int IOV_MAX = 1024;

    /// <summary>struct sockaddr_storage's size: no address is longer.</summary>
    public const int AddressSize = 128;

    private static bool s_ignoresPipe;

    private const int SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;

    /// <summary>socket(2). EPERM, EACCES, EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EMFILE, ENFILE, ENOBUFS.</summary>
    public static int Create(int domain, int type, int protocol)
        => (int)HostSyscall.Call(41, domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

    /// <summary>bind(2).</summary>
    public static int Bind(int fd, ReadOnlySpan<byte> address)
    {
        // SAFETY: pinned for the call, as in all below.
        fixed (byte* p = address)
            return (int)HostSyscall.Call(49, fd, (long)p, address.Length);
    }

    /// <summary>connect(2): EINPROGRESS while it goes on.</summary>
    public static int Connect(int fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* p = address)
            return (int)HostSyscall.Call(42, fd, (long)p, address.Length);
    }

    /// <summary>listen(2).</summary>
    public static int Listen(int fd, int backlog) => (int)HostSyscall.Call(50, fd, backlog);

    /// <summary>accept4(2): the new descriptor; the peer's address goes to <paramref name="address"/>. EAGAIN when nobody is there.</summary>
    public static int Accept(int fd, Span<byte> address, out int length)
    {
        uint size = (uint)address.Length;
        fixed (byte* p = address)
        {
            long r = HostSyscall.Call(288, fd, (long)p, (long)&size, SOCK_NONBLOCK | SOCK_CLOEXEC);
            length = (int)size;
            return (int)r;
        }
    }

    /// <summary>getsockname(2). <paramref name="length"/>: the address's own length.</summary>
    public static int GetName(int fd, Span<byte> address, out int length) => Name(51, fd, address, out length);

    /// <summary>getpeername(2). ENOTCONN.</summary>
    public static int GetPeerName(int fd, Span<byte> address, out int length) => Name(52, fd, address, out length);

    /// <summary>shutdown(2).</summary>
    public static int Shutdown(int fd, int how) => (int)HostSyscall.Call(48, fd, how);

    /// <summary>getsockopt(2); <paramref name="length"/> is that of the value brought back.</summary>
    public static int GetOption(int fd, int level, int name, Span<byte> value, out int length)
    {
        uint size = (uint)value.Length;
        fixed (byte* p = value)
        {
            long r = HostSyscall.Call(55, fd, level, name, (long)p, (long)&size);
            length = (int)size;
            return (int)r;
        }
    }

    /// <summary>setsockopt(2) with a value that points to nothing.</summary>
    public static int SetOption(int fd, int level, int name, ReadOnlySpan<byte> value)
    {
        fixed (byte* p = value)
            return (int)HostSyscall.Call(54, fd, level, name, (long)p, value.Length);
    }

    /// <summary>setsockopt(2) with a classic BPF program (struct sock_fprog), instructions of eight bytes.</summary>
    public static int SetFilter(int fd, int name, ReadOnlySpan<byte> program)
    {
        fixed (byte* p = program)
        {
            // SAFETY: struct sock_fprog: count, padding, pointer; the host copies the program.
            long* header = stackalloc long[2] { program.Length / 8, (long)p };
            return (int)HostSyscall.Call(54, fd, 1 /* SOL_SOCKET */, name, (long)header, 16);
        }
    }

    /// <summary>recvmsg(2), never blocking.</summary>
    public static long Receive(int fd, HostMessage* message, int flags)
        => HostSyscall.Call(47, fd, (long)message, flags | MSG_DONTWAIT);

    /// <summary>sendmsg(2), never blocking, without SIGPIPE.</summary>
    public static long Send(int fd, HostMessage* message, int flags)
        => HostSyscall.Call(46, fd, (long)message, flags | MSG_DONTWAIT | MSG_NOSIGNAL);

    /// <summary>recvfrom(2) without an address: the short way for one span.</summary>
    public static long Receive(int fd, void* buffer, ulong length, int flags)
        => HostSyscall.Call(45, fd, (long)buffer, (long)length, flags | MSG_DONTWAIT);

    /// <summary>sendto(2) without an address: the short way for one span.</summary>
    public static long Send(int fd, void* buffer, ulong length, int flags)
        => HostSyscall.Call(44, fd, (long)buffer, (long)length, flags | MSG_DONTWAIT | MSG_NOSIGNAL);

    /// <summary>Receives a datagram into a buffer of the sentry's own.</summary>
    public static long ReceiveBytes(int fd, Span<byte> buffer, int flags)
    {
        fixed (byte* p = buffer)
            return Receive(fd, p, (ulong)buffer.Length, flags);
    }

    /// <summary>Sends a datagram of the sentry's own.</summary>
    public static long SendBytes(int fd, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* p = bytes)
            return Send(fd, p, (ulong)bytes.Length, 0);
    }

    /// <summary>sendfile(2): from a file at an offset to a socket, without SIGPIPE. Bytes, EAGAIN.</summary>
    public static long SendFile(int socket, int file, ref long offset, ulong length)
    {
        // There is no MSG_NOSIGNAL here.
        if (!s_ignoresPipe)
        {
            HostSyscall.Ignore(13 /* SIGPIPE */);
            s_ignoresPipe = true;
        }
        long at = offset;
        long r = HostSyscall.Call(40, socket, file, (long)&at, (long)length);
        offset = at;
        return r;
    }

    /// <summary>SIOCGIFCONF: fills in struct ifreq entries; their bytes or -errno.</summary>
    public static long ListInterfaces(int fd, Span<byte> entries)
    {
        fixed (byte* p = entries)
        {
            // SAFETY: struct ifconf: length, padding, pointer.
            long* configuration = stackalloc long[2] { entries.Length, (long)p };
            long r = HostSyscall.Call(16, fd, 0x8912, (long)configuration);
            return r < 0 ? r : (int)configuration[0];
        }
    }

    private const int MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000;

    private static int Name(long call, int fd, Span<byte> address, out int length)
    {
        uint size = (uint)address.Length;
        fixed (byte* p = address)
        {
            long r = HostSyscall.Call(call, fd, (long)p, (long)&size);
            length = (int)size;
            return (int)r;
        }
    }
}
