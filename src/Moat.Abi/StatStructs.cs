using System.Runtime.CompilerServices;

namespace Moat.Abi;

/// <summary>struct stat of x86-64 (arch/x86/include/uapi/asm/stat.h), 144 bytes.</summary>
public struct Stat
{
#pragma warning disable CS1591 // Linux's own names.
    public ulong st_dev, st_ino, st_nlink;
    public uint st_mode, st_uid, st_gid, __pad0;
    public ulong st_rdev;
    public long st_size, st_blksize, st_blocks;
    public Timespec st_atime, st_mtime, st_ctime;
    public long __unused0, __unused1, __unused2;
#pragma warning restore CS1591
}

/// <summary>struct statx_timestamp.</summary>
public struct StatxTimestamp
{
#pragma warning disable CS1591 // Linux's own names.
    public long tv_sec;
    public uint tv_nsec;
    public int __reserved;
#pragma warning restore CS1591
}

/// <summary>struct statx (include/uapi/linux/stat.h), 256 bytes.</summary>
public struct Statx
{
#pragma warning disable CS1591 // Linux's own names.
    public uint stx_mask, stx_blksize;
    public ulong stx_attributes;
    public uint stx_nlink, stx_uid, stx_gid;
    public ushort stx_mode, __spare0;
    public ulong stx_ino, stx_size, stx_blocks, stx_attributes_mask;
    public StatxTimestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
    public uint stx_rdev_major, stx_rdev_minor, stx_dev_major, stx_dev_minor;
    public ulong stx_mnt_id;
    public uint stx_dio_mem_align, stx_dio_offset_align;
    public ulong stx_subvol;
    public uint stx_atomic_write_unit_min, stx_atomic_write_unit_max, stx_atomic_write_segments_max, stx_dio_read_offset_align;
    public uint stx_atomic_write_unit_max_opt, __spare2;
    public StatxSpare __spare3;
#pragma warning restore CS1591
}

/// <summary>The reserved end of struct statx.</summary>
[InlineArray(8)]
public struct StatxSpare
{
    private ulong _0;
}

/// <summary>struct statfs of x86-64 (include/uapi/asm-generic/statfs.h), 120 bytes.</summary>
public struct StatFs
{
#pragma warning disable CS1591 // Linux's own names.
    public long f_type, f_bsize;
    public ulong f_blocks, f_bfree, f_bavail, f_files, f_ffree;
    public int f_fsid0, f_fsid1;
    public long f_namelen, f_frsize, f_flags, f_spare0, f_spare1, f_spare2, f_spare3;
#pragma warning restore CS1591
}

/// <summary>struct open_how of openat2(2), 24 bytes.</summary>
public struct OpenHow
{
    /// <summary>O_* bits; unknown ones are EINVAL.</summary>
    public ulong Flags;

    /// <summary>Mode of a created file; must be 0 otherwise.</summary>
    public ulong Mode;

    /// <summary>RESOLVE_* bits.</summary>
    public ulong Resolve;
}
