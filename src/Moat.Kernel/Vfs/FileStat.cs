namespace Moat.Kernel.Vfs;

/// <summary>What stat(2) and statx(2) tell about a file, before it takes either's form.</summary>
internal struct FileStat
{
    public ulong Dev, Ino, Rdev;
    public uint Mode, Nlink, Uid, Gid;
    public long Size;

    /// <summary>512-byte units.</summary>
    public ulong Blocks;

    /// <summary>Preferred I/O size, bytes.</summary>
    public uint BlockSize;

    public Timespec Atime, Mtime, Ctime, Btime;

    /// <summary>STATX_* bits of what is filled in beyond the basic ones.</summary>
    public uint Mask;

    /// <summary>STATX_ATTR_* bits and which of them the file system knows.</summary>
    public ulong Attributes, AttributesMask;

    /// <summary>Alignments of direct I/O, bytes, when <see cref="Mask"/> has STATX_DIOALIGN.</summary>
    public uint DioMemoryAlign, DioOffsetAlign;

    /// <summary>S_IFMT part of the mode.</summary>
    public readonly uint Type => Mode & FileMode.S_IFMT;

    /// <summary>As struct stat.</summary>
    public readonly Stat ToStat() => new()
    {
        st_dev = Dev,
        st_ino = Ino,
        st_nlink = Nlink,
        st_mode = Mode,
        st_uid = Uid,
        st_gid = Gid,
        st_rdev = Rdev,
        st_size = Size,
        st_blksize = BlockSize,
        st_blocks = (long)Blocks,
        st_atime = Atime,
        st_mtime = Mtime,
        st_ctime = Ctime,
    };
}

/// <summary>Device numbers in the form of st_dev (makedev(3)).</summary>
internal static class DeviceNumber
{
    private static int s_lastAnonymous = 0x3ff;

    /// <summary>Major and minor to a number.</summary>
    public static ulong Make(uint major, uint minor)
        => (minor & 0xff) | ((ulong)(major & 0xfff) << 8) | ((ulong)(minor & ~0xffu) << 12) | ((ulong)(major & ~0xfffu) << 32);

    public static uint Major(ulong device) => (uint)(((device >> 8) & 0xfff) | ((device >> 32) & ~0xffful));

    public static uint Minor(ulong device) => (uint)((device & 0xff) | ((device >> 12) & ~0xfful));

    /// <summary>A number for a file system without a device: major 0, minors above those that hosts use in practice.</summary>
    public static ulong NextAnonymous() => Make(0, (uint)Interlocked.Increment(ref s_lastAnonymous));
}
