namespace Moat.Abi;

/// <summary>Flags of the *at() calls (include/uapi/linux/fcntl.h).</summary>
[Flags]
public enum AtFlags
{
#pragma warning disable CS1591 // Linux's own names.
    None = 0,
    AT_SYMLINK_NOFOLLOW = 0x100,
    AT_REMOVEDIR = 0x200,
    AT_EACCESS = 0x200,
    AT_SYMLINK_FOLLOW = 0x400,
    AT_NO_AUTOMOUNT = 0x800,
    AT_EMPTY_PATH = 0x1000,
    AT_STATX_FORCE_SYNC = 0x2000,
    AT_STATX_DONT_SYNC = 0x4000,
    AT_STATX_SYNC_TYPE = 0x6000,
#pragma warning restore CS1591
}

/// <summary>RESOLVE_* of openat2(2) (include/uapi/linux/openat2.h).</summary>
[Flags]
public enum ResolveFlags
{
#pragma warning disable CS1591 // Linux's own names.
    None = 0,
    RESOLVE_NO_XDEV = 0x01,
    RESOLVE_NO_MAGICLINKS = 0x02,
    RESOLVE_NO_SYMLINKS = 0x04,
    RESOLVE_BENEATH = 0x08,
    RESOLVE_IN_ROOT = 0x10,
    RESOLVE_CACHED = 0x20,
#pragma warning restore CS1591
}

/// <summary>Flags of renameat2(2).</summary>
[Flags]
public enum RenameFlags : uint
{
#pragma warning disable CS1591 // Linux's own names.
    None = 0,
    RENAME_NOREPLACE = 1,
    RENAME_EXCHANGE = 2,
    RENAME_WHITEOUT = 4,
#pragma warning restore CS1591
}

/// <summary>Modes of fallocate(2) (include/uapi/linux/falloc.h).</summary>
[Flags]
public enum FallocFlags
{
#pragma warning disable CS1591 // Linux's own names.
    None = 0,
    FALLOC_FL_KEEP_SIZE = 0x01,
    FALLOC_FL_PUNCH_HOLE = 0x02,
    FALLOC_FL_NO_HIDE_STALE = 0x04,
    FALLOC_FL_COLLAPSE_RANGE = 0x08,
    FALLOC_FL_ZERO_RANGE = 0x10,
    FALLOC_FL_INSERT_RANGE = 0x20,
    FALLOC_FL_UNSHARE_RANGE = 0x40,
    FALLOC_FL_WRITE_ZEROES = 0x80,
#pragma warning restore CS1591
}

/// <summary>Bits of stx_mask and of statx(2)'s request (include/uapi/linux/stat.h).</summary>
public static class StatxMask
{
#pragma warning disable CS1591 // Linux's own names.
    public const uint STATX_BASIC_STATS = 0x7ff, STATX_BTIME = 0x800, STATX_MNT_ID = 0x1000, STATX_DIOALIGN = 0x2000,
        STATX_MNT_ID_UNIQUE = 0x4000, STATX_SUBVOL = 0x8000, STATX_WRITE_ATOMIC = 0x10000, STATX_DIO_READ_ALIGN = 0x20000,
        STATX__RESERVED = 0x80000000;
    public const ulong STATX_ATTR_IMMUTABLE = 0x10, STATX_ATTR_APPEND = 0x20, STATX_ATTR_MOUNT_ROOT = 0x2000;
#pragma warning restore CS1591
}

/// <summary>d_type of directory entries.</summary>
public static class DirentType
{
#pragma warning disable CS1591 // Linux's own names.
    public const byte DT_UNKNOWN = 0, DT_FIFO = 1, DT_CHR = 2, DT_DIR = 4, DT_BLK = 6, DT_REG = 8, DT_LNK = 10, DT_SOCK = 12;
#pragma warning restore CS1591

    /// <summary>The type that belongs to an st_mode.</summary>
    public static byte FromMode(uint mode) => (byte)((mode & FileMode.S_IFMT) >> 12);
}

/// <summary>Commands of fcntl(2) and their constants (include/uapi/asm-generic/fcntl.h, include/uapi/linux/fcntl.h).</summary>
public static class FcntlCommand
{
#pragma warning disable CS1591 // Linux's own names.
    public const int F_DUPFD = 0, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4, F_GETLK = 5, F_SETLK = 6, F_SETLKW = 7,
        F_SETOWN = 8, F_GETOWN = 9, F_SETSIG = 10, F_GETSIG = 11, F_SETOWN_EX = 15, F_GETOWN_EX = 16, F_GETOWNER_UIDS = 17,
        F_OFD_GETLK = 36, F_OFD_SETLK = 37, F_OFD_SETLKW = 38, F_SETLEASE = 1024, F_GETLEASE = 1025, F_NOTIFY = 1026,
        F_DUPFD_QUERY = 1027, F_CREATED_QUERY = 1028, F_DUPFD_CLOEXEC = 1030, F_SETPIPE_SZ = 1031, F_GETPIPE_SZ = 1032,
        F_ADD_SEALS = 1033, F_GET_SEALS = 1034, F_GET_RW_HINT = 1035, F_SET_RW_HINT = 1036, F_GET_FILE_RW_HINT = 1037,
        F_SET_FILE_RW_HINT = 1038;
    public const int FD_CLOEXEC = 1;
    public const short F_RDLCK = 0, F_WRLCK = 1, F_UNLCK = 2;
#pragma warning restore CS1591
}

/// <summary>Seals of memory files (F_ADD_SEALS, man 2 fcntl).</summary>
[Flags]
public enum Seals
{
#pragma warning disable CS1591 // Linux's own names.
    None = 0,
    F_SEAL_SEAL = 1,
    F_SEAL_SHRINK = 2,
    F_SEAL_GROW = 4,
    F_SEAL_WRITE = 8,
    F_SEAL_FUTURE_WRITE = 0x10,
    F_SEAL_EXEC = 0x20,
#pragma warning restore CS1591
}
