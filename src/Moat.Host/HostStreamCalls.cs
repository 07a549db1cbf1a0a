using Moat.Abi;

namespace Moat.Host;

/// <summary>Host calls on descriptors that Moat was started with: the three standard streams. Results: a value or -errno.</summary>
public static unsafe class HostStreamCalls
{
    private const int IOV_MAX = 1024;

    /// <summary>Reads at an offset, or with -1 at the description's own position, or from a stream (man 2 preadv2).</summary>
    public static long Read(int fd, IoVec* vector, int count, long offset, int flags)
        => HostSyscall.Call(327 /* preadv2 */, fd, (long)vector, Math.Min(count, IOV_MAX), offset, 0, flags);

    /// <summary>Writes; as <see cref="Read"/> (man 2 pwritev2).</summary>
    public static long Write(int fd, IoVec* vector, int count, long offset, int flags)
        => HostSyscall.Call(328 /* pwritev2 */, fd, (long)vector, Math.Min(count, IOV_MAX), offset, 0, flags);

    /// <summary>Receives from a socket without blocking, whatever its description says (man 2 recvmsg, MSG_DONTWAIT).</summary>
    public static long Receive(int fd, IoVec* vector, int count)
    {
        const int MSG_DONTWAIT = 0x40;
        long* message = stackalloc long[7] { 0, 0, (long)vector, Math.Min(count, IOV_MAX), 0, 0, 0 };
        // SAFETY: message and the vector outlive the call.
        return HostSyscall.Call(47 /* recvmsg */, fd, (long)message, MSG_DONTWAIT);
    }

    /// <summary>Sends to a socket without blocking and without SIGPIPE (man 2 sendmsg).</summary>
    public static long Send(int fd, IoVec* vector, int count)
    {
        const int MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000;
        long* message = stackalloc long[7] { 0, 0, (long)vector, Math.Min(count, IOV_MAX), 0, 0, 0 };
        // SAFETY: as above.
        return HostSyscall.Call(46 /* sendmsg */, fd, (long)message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }

    /// <summary>
    /// Opens what a descriptor stands for once more, close-on-exec and without becoming its terminal's session: a description of
    /// its own, whose flags nobody shares.
    /// </summary>
    public static int Reopen(int fd, int flags)
    {
        const int AT_FDCWD = -100, O_CLOEXEC = 0x80000, O_NOCTTY = 0x100;
        Span<byte> path = stackalloc byte[32];
        WritePath(path, fd);
        // SAFETY: path is NUL-terminated and lives on this frame.
        fixed (byte* p = path)
            return (int)HostSyscall.Call(257 /* openat */, AT_FDCWD, (long)p, flags | O_CLOEXEC | O_NOCTTY, 0);
    }

    /// <summary>Duplicates a descriptor to the lowest number from <paramref name="minimum"/> on, close-on-exec.</summary>
    public static int Duplicate(int fd, int minimum) => (int)HostSyscall.Call(72 /* fcntl */, fd, 1030 /* F_DUPFD_CLOEXEC */, minimum);

    /// <summary>Makes a standard stream's number stand for /dev/null, so that its peer sees the end.</summary>
    public static void ReplaceByNull(int fd)
    {
        const int AT_FDCWD = -100, O_RDWR = 2, O_CLOEXEC = 0x80000;
        fixed (byte* p = "/dev/null\0"u8)
        {
            // SAFETY: a constant path.
            long none = HostSyscall.Call(257 /* openat */, AT_FDCWD, (long)p, O_RDWR | O_CLOEXEC, 0);
            if (none < 0)
                return;
            HostSyscall.Call(33 /* dup2 */, none, fd);
            HostSyscall.Call(3 /* close */, none);
        }
    }

    /// <summary>Status flags and access mode (F_GETFL), or -EBADF.</summary>
    public static int GetFlags(int fd) => (int)HostSyscall.CallQuick(72 /* fcntl */, fd, 3 /* F_GETFL */);

    /// <summary>FD_CLOEXEC: true also says that the descriptor is open.</summary>
    public static bool IsCloseOnExec(int fd) => HostSyscall.CallQuick(72 /* fcntl */, fd, 1 /* F_GETFD */) is > 0 and var flags && (flags & 1) != 0;

    /// <summary>Closes a descriptor.</summary>
    public static int Close(int fd) => (int)HostSyscall.Call(3, fd);

    /// <summary>lseek(2).</summary>
    public static long Seek(int fd, long offset, int whence) => HostSyscall.Call(8, fd, offset, whence);

    /// <summary>fsync(2) or fdatasync(2).</summary>
    public static int Sync(int fd, bool dataOnly) => (int)HostSyscall.Call(dataOnly ? 75 : 74, fd);

    /// <summary>ftruncate(2).</summary>
    public static int Truncate(int fd, long length) => (int)HostSyscall.Call(77, fd, length);

    /// <summary>fallocate(2).</summary>
    public static int Allocate(int fd, int mode, long offset, long length) => (int)HostSyscall.Call(285, fd, mode, offset, length);

    /// <summary>ioctl(2) with a buffer in the sentry, which is as large as the command needs.</summary>
    public static long Ioctl(int fd, uint command, Span<byte> argument)
    {
        // SAFETY: pinned for the call; the caller knows the command's size.
        fixed (byte* p = argument)
            return HostSyscall.Call(16, fd, command, (long)p);
    }

    /// <summary>ioctl(2) with a plain number.</summary>
    public static long IoctlValue(int fd, uint command, ulong argument) => HostSyscall.Call(16, fd, command, (long)argument);

    /// <summary>fstat(2). Returns 0 or -errno.</summary>
    public static int GetStat(int fd, out Stat stat)
    {
        // SAFETY: stat has the size of struct stat and is pinned for the call.
        fixed (Stat* p = &stat)
        {
            *p = default;
            return (int)HostSyscall.Call(5 /* fstat */, fd, (long)p);
        }
    }

    /// <summary>What /proc/self/fd shows for a descriptor: its path or a name in brackets; empty when unknown.</summary>
    public static string GetName(int fd)
    {
        const int AT_FDCWD = -100;
        Span<byte> path = stackalloc byte[32], target = stackalloc byte[4096];
        WritePath(path, fd);
        // SAFETY: both live on this frame.
        fixed (byte* p = path)
        {
            fixed (byte* t = target)
            {
                long n = HostSyscall.Call(267 /* readlinkat */, AT_FDCWD, (long)p, (long)t, target.Length);
                return n <= 0 ? "" : System.Text.Encoding.Latin1.GetString(target[..(int)n]);
            }
        }
    }

    private static void WritePath(Span<byte> path, int fd)
    {
        "/proc/self/fd/"u8.CopyTo(path);
        System.Buffers.Text.Utf8Formatter.TryFormat(fd, path[14..], out int digits);
        path[14 + digits] = 0;
    }
}
