using Moat.Abi;

namespace Moat.Host;

// Changes of names and attributes: only host volumes use these.

public static unsafe partial class HostFiles
{
    /// <summary>mkdirat(2).</summary>
    public static int MakeDirectory(int directory, ReadOnlySpan<char> name, uint mode)
    {
        HostName path = new(name, stackalloc byte[HostName.StackSize]);
        fixed (byte* p = path)
            return (int)HostSyscall.Call(258, directory, (long)p, mode);
    }

    /// <summary>mknodat(2).</summary>
    public static int MakeNode(int directory, ReadOnlySpan<char> name, uint mode, ulong device)
    {
        HostName path = new(name, stackalloc byte[HostName.StackSize]);
        fixed (byte* p = path)
            return (int)HostSyscall.Call(259, directory, (long)p, mode, (long)device);
    }

    /// <summary>symlinkat(2).</summary>
    public static int MakeLink(ReadOnlySpan<char> target, int directory, ReadOnlySpan<char> name)
    {
        HostName to = new(target, stackalloc byte[HostName.StackSize]);
        HostName path = new(name, stackalloc byte[HostName.StackSize]);
        fixed (byte* t = to, p = path)
            return (int)HostSyscall.Call(266, (long)t, directory, (long)p);
    }

    /// <summary>One more name for what a descriptor stands for (linkat(2) through /proc/self/fd).</summary>
    public static int Link(int fd, int directory, ReadOnlySpan<char> name)
    {
        const int AT_SYMLINK_FOLLOW = 0x400;
        Span<char> link = stackalloc char[32];
        HostName from = new(FdLink(fd, link), stackalloc byte[32]);
        HostName path = new(name, stackalloc byte[HostName.StackSize]);
        fixed (byte* f = from, p = path)
            return (int)HostSyscall.Call(265, AT_FDCWD, (long)f, directory, (long)p, AT_SYMLINK_FOLLOW);
    }

    /// <summary>unlinkat(2); <paramref name="isDirectory"/>: AT_REMOVEDIR.</summary>
    public static int Remove(int directory, ReadOnlySpan<char> name, bool isDirectory)
    {
        HostName path = new(name, stackalloc byte[HostName.StackSize]);
        fixed (byte* p = path)
            return (int)HostSyscall.Call(263, directory, (long)p, isDirectory ? 0x200 : 0);
    }

    /// <summary>renameat2(2).</summary>
    public static int Rename(int directory, ReadOnlySpan<char> name, int newDirectory, ReadOnlySpan<char> newName, uint flags)
    {
        HostName from = new(name, stackalloc byte[HostName.StackSize]);
        HostName to = new(newName, stackalloc byte[HostName.StackSize]);
        fixed (byte* f = from, t = to)
            return (int)HostSyscall.Call(316, directory, (long)f, newDirectory, (long)t, flags);
    }

    /// <summary>chmod of what a descriptor stands for; not for symbolic links (EOPNOTSUPP).</summary>
    public static int ChangeMode(int fd, uint mode)
    {
        Span<char> link = stackalloc char[32];
        HostName path = new(FdLink(fd, link), stackalloc byte[32]);
        fixed (byte* p = path)
            return (int)HostSyscall.Call(90, (long)p, mode);
    }

    /// <summary>fchownat(2) of a descriptor; uint.MaxValue leaves one.</summary>
    public static int ChangeOwner(int fd, uint uid, uint gid)
    {
        byte empty = 0;
        return (int)HostSyscall.Call(260, fd, (long)&empty, uid, gid, AT_EMPTY_PATH);
    }

    /// <summary>utimensat(2) of a descriptor; nanoseconds UTIME_OMIT (0x3ffffffe) leave one.</summary>
    public static int ChangeTimes(int fd, Timespec access, Timespec modification)
    {
        byte empty = 0;
        Timespec* times = stackalloc Timespec[2] { access, modification };
        return (int)HostSyscall.Call(280, fd, (long)&empty, (long)times, AT_EMPTY_PATH);
    }

    /// <summary>truncate(2) of what a descriptor stands for.</summary>
    public static int TruncatePath(int fd, long length)
    {
        Span<char> link = stackalloc char[32];
        HostName path = new(FdLink(fd, link), stackalloc byte[32]);
        fixed (byte* p = path)
            return (int)HostSyscall.Call(76, (long)p, length);
    }

    /// <summary>getxattr(2) of what a descriptor stands for. Returns bytes.</summary>
    public static int GetXattr(int fd, ReadOnlySpan<char> attribute, Span<byte> value)
    {
        Span<char> link = stackalloc char[32];
        HostName path = new(FdLink(fd, link), stackalloc byte[32]);
        HostName name = new(attribute, stackalloc byte[HostName.StackSize]);
        fixed (byte* p = path, n = name, v = value)
            return (int)HostSyscall.Call(191, (long)p, (long)n, (long)v, value.Length);
    }

    /// <summary>setxattr(2) of what a descriptor stands for.</summary>
    public static int SetXattr(int fd, ReadOnlySpan<char> attribute, ReadOnlySpan<byte> value, int flags)
    {
        Span<char> link = stackalloc char[32];
        HostName path = new(FdLink(fd, link), stackalloc byte[32]);
        HostName name = new(attribute, stackalloc byte[HostName.StackSize]);
        fixed (byte* p = path, n = name, v = value)
            return (int)HostSyscall.Call(188, (long)p, (long)n, (long)v, value.Length, flags);
    }

    /// <summary>listxattr(2) of what a descriptor stands for. Returns bytes.</summary>
    public static int ListXattr(int fd, Span<byte> names)
    {
        Span<char> link = stackalloc char[32];
        HostName path = new(FdLink(fd, link), stackalloc byte[32]);
        fixed (byte* p = path, n = names)
            return (int)HostSyscall.Call(194, (long)p, (long)n, names.Length);
    }

    /// <summary>removexattr(2) of what a descriptor stands for.</summary>
    public static int RemoveXattr(int fd, ReadOnlySpan<char> attribute)
    {
        Span<char> link = stackalloc char[32];
        HostName path = new(FdLink(fd, link), stackalloc byte[32]);
        HostName name = new(attribute, stackalloc byte[HostName.StackSize]);
        fixed (byte* p = path, n = name)
            return (int)HostSyscall.Call(197, (long)p, (long)n);
    }

    /// <summary>umask(2) of the sentry: nothing is taken from the modes that it asks for.</summary>
    public static void ClearUmask() => HostSyscall.Call(95, 0);

    /// <summary>Raises RLIMIT_NOFILE's soft limit to the hard one. Returns the limit.</summary>
    public static long RaiseDescriptorLimit()
    {
        ulong* limit = stackalloc ulong[2];
        if (HostSyscall.Call(302, 0, 7 /* RLIMIT_NOFILE */, 0, (long)limit) < 0)
            return 1024;
        limit[0] = limit[1];
        HostSyscall.Call(302, 0, 7, (long)limit);
        HostSyscall.Call(302, 0, 7, 0, (long)limit);
        return (long)Math.Min(limit[0], int.MaxValue);
    }
}
