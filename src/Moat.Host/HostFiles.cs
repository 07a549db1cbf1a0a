using System.Runtime.CompilerServices;
using Moat.Abi;

namespace Moat.Host;

/// <summary>
/// Host calls about files and names. Names are strings of one char per byte. Results: a value, or -errno; calls that a signal
/// of the runtime interrupted are made again.
/// </summary>
[SkipLocalsInit]
public static unsafe partial class HostFiles
{
    /// <summary>Host open(2) flags used by the sentry.</summary>
    public const int O_PATH = 0x200000, O_NOFOLLOW = 0x20000, O_DIRECTORY = 0x10000, O_CLOEXEC = 0x80000, O_NONBLOCK = 0x800, O_NOCTTY = 0x100;

    private const int AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000, AT_NO_AUTOMOUNT = 0x800, EINTR = 4;

    /// <summary>openat(2), close-on-exec. Returns a descriptor.</summary>
    public static int OpenAt(int directory, ReadOnlySpan<char> name, int flags, uint mode = 0)
    {
        HostName path = new(name, stackalloc byte[HostName.StackSize]);
        // SAFETY: pinned for the call, as everywhere in this class.
        fixed (byte* p = path)
        {
            long r;
            do
                r = HostSyscall.Call(257, directory, (long)p, flags | O_CLOEXEC, mode);
            while (r == -EINTR);
            return (int)r;
        }
    }

    /// <summary>openat(2) from an absolute path of the host, links followed: only for what the user named.</summary>
    public static int OpenPath(ReadOnlySpan<char> path, int flags) => OpenAt(AT_FDCWD, path, flags);

    /// <summary>
    /// Opens again what a descriptor stands for, with other flags, through /proc/self/fd: O_PATH descriptors become usable,
    /// permissions are checked anew, names are not.
    /// </summary>
    public static int Reopen(int fd, int flags)
    {
        Span<char> link = stackalloc char[32];
        return OpenAt(AT_FDCWD, FdLink(fd, link), flags & ~O_NOFOLLOW);
    }

    /// <summary>close(2).</summary>
    public static void Close(int fd) => HostSyscall.Call(3, fd);

    /// <summary>statx(2) of a name itself, links not followed.</summary>
    public static int StatAt(int directory, ReadOnlySpan<char> name, out Statx stat)
    {
        HostName path = new(name, stackalloc byte[HostName.StackSize]);
        fixed (byte* p = path)
        fixed (Statx* s = &stat)
            return (int)HostSyscall.Call(332, directory, (long)p, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, Wanted, (long)s);
    }

    /// <summary>statx(2) of a descriptor, O_PATH ones too.</summary>
    public static int Stat(int fd, out Statx stat)
    {
        byte empty = 0;
        fixed (Statx* s = &stat)
            return (int)HostSyscall.Call(332, fd, (long)&empty, AT_EMPTY_PATH, Wanted, (long)s);
    }

    // Basic, btime, dioalign.
    private const uint Wanted = 0x7ff | 0x800 | 0x2000;

    /// <summary>readlinkat(2); an empty name reads an O_PATH descriptor's own link. Returns bytes.</summary>
    public static int ReadLinkAt(int directory, ReadOnlySpan<char> name, Span<byte> target)
    {
        HostName path = new(name, stackalloc byte[HostName.StackSize]);
        fixed (byte* p = path, t = target)
            return (int)HostSyscall.Call(267, directory, (long)p, (long)t, target.Length);
    }

    /// <summary>getdents64(2). Returns bytes.</summary>
    public static int GetDents(int fd, Span<byte> entries)
    {
        fixed (byte* e = entries)
            return (int)HostSyscall.Call(217, fd, (long)e, entries.Length);
    }

    /// <summary>lseek(2).</summary>
    public static long Seek(int fd, long offset, int whence) => HostSyscall.Call(8, fd, offset, whence);

    /// <summary>statfs(2) of a descriptor.</summary>
    public static int StatFs(int fd, out StatFs stat)
    {
        fixed (StatFs* s = &stat)
            return (int)HostSyscall.Call(138, fd, (long)s);
    }

    /// <summary>F_GETFL and F_SETFL.</summary>
    public static int GetFlags(int fd) => (int)HostSyscall.Call(72, fd, 3);

    /// <summary>F_SETFL.</summary>
    public static int SetFlags(int fd, int flags) => (int)HostSyscall.Call(72, fd, 4, flags);

    /// <summary>F_DUPFD_CLOEXEC.</summary>
    public static int Duplicate(int fd) => (int)HostSyscall.Call(72, fd, 1030, 0);

    /// <summary>The "/proc/self/fd/N" of a descriptor.</summary>
    private static ReadOnlySpan<char> FdLink(int fd, Span<char> room)
    {
        "/proc/self/fd/".CopyTo(room);
        fd.TryFormat(room[14..], out int digits);
        return room[..(14 + digits)];
    }
}
