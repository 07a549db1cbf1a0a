namespace Moat.Abi;

/// <summary>Flags of open(2) and F_SETFL, x86-64 values (include/uapi/asm-generic/fcntl.h).</summary>
[Flags]
public enum OpenFlags
{
#pragma warning disable CS1591 // Linux's own names.
    O_RDONLY = 0,
    O_WRONLY = 1,
    O_RDWR = 2,
    O_ACCMODE = 3,
    O_CREAT = 0x40,
    O_EXCL = 0x80,
    O_NOCTTY = 0x100,
    O_TRUNC = 0x200,
    O_APPEND = 0x400,
    O_NONBLOCK = 0x800,
    O_DSYNC = 0x1000,
    O_ASYNC = 0x2000,
    O_DIRECT = 0x4000,
    O_LARGEFILE = 0x8000,
    O_DIRECTORY = 0x10000,
    O_NOFOLLOW = 0x20000,
    O_NOATIME = 0x40000,
    O_CLOEXEC = 0x80000,
    O_SYNC = 0x101000,
    O_PATH = 0x200000,
    O_TMPFILE = 0x410000,
#pragma warning restore CS1591
}

/// <summary>Flags of preadv2(2) and pwritev2(2) and of an SQE's rw_flags (include/uapi/linux/fs.h).</summary>
[Flags]
public enum RwFlags
{
#pragma warning disable CS1591 // Linux's own names.
    None = 0,
    RWF_HIPRI = 0x1,
    RWF_DSYNC = 0x2,
    RWF_SYNC = 0x4,
    RWF_NOWAIT = 0x8,
    RWF_APPEND = 0x10,
    RWF_NOAPPEND = 0x20,
    RWF_ATOMIC = 0x40,
    RWF_DONTCACHE = 0x80,
    RWF_NOSIGNAL = 0x100,
#pragma warning restore CS1591
}

/// <summary>File types and permission bits of st_mode (man 7 inode).</summary>
public static class FileMode
{
#pragma warning disable CS1591 // Linux's own names.
    public const uint S_IFMT = 0xF000, S_IFSOCK = 0xC000, S_IFLNK = 0xA000, S_IFREG = 0x8000, S_IFBLK = 0x6000,
        S_IFDIR = 0x4000, S_IFCHR = 0x2000, S_IFIFO = 0x1000, S_ISUID = 0x800, S_ISGID = 0x400, S_ISVTX = 0x200;
#pragma warning restore CS1591
}

/// <summary>struct iovec (man 3type iovec); also the form that host calls take.</summary>
public struct IoVec
{
    /// <summary>iov_base.</summary>
    public ulong Base;

    /// <summary>iov_len, bytes.</summary>
    public ulong Length;
}

/// <summary>struct __kernel_timespec.</summary>
public struct Timespec
{
    /// <summary>Seconds.</summary>
    public long Seconds;

    /// <summary>Nanoseconds, 0 to 999,999,999 when valid.</summary>
    public long Nanoseconds;
}
