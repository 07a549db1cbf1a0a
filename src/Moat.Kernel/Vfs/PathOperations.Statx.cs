namespace Moat.Kernel.Vfs;

internal static partial class PathOperations
{
    /// <summary>statx(2), flags and mask checked here; <paramref name="mask"/> asks, what comes back is all that is known cheaply.</summary>
    public static Errno Statx(in Caller caller, int dirfd, ReadOnlySpan<char> path, AtFlags flags, uint mask, out Statx statx)
    {
        const AtFlags Known = AtFlags.AT_SYMLINK_NOFOLLOW | AtFlags.AT_NO_AUTOMOUNT | AtFlags.AT_EMPTY_PATH | AtFlags.AT_STATX_SYNC_TYPE;
        statx = default;
        if ((mask & StatxMask.STATX__RESERVED) != 0 || (flags & ~Known) != 0
            || (flags & AtFlags.AT_STATX_SYNC_TYPE) == AtFlags.AT_STATX_SYNC_TYPE)
            return Errno.EINVAL;
        Errno error = Stat(in caller, dirfd, path, flags, out FileStat found, out VfsPath place);
        if (error == Errno.OK)
            statx = Fill(in found, place, mask);
        return error;
    }

    private static Statx Fill(in FileStat stat, VfsPath place, uint mask)
    {
        bool isMountRoot = place.Mount.Root == place.Dentry;
        uint unique = mask & StatxMask.STATX_MNT_ID_UNIQUE;
        Statx filled = new()
        {
            stx_mask = StatxMask.STATX_BASIC_STATS | (unique != 0 ? unique : StatxMask.STATX_MNT_ID)
                | (stat.Mask & (StatxMask.STATX_BTIME | (mask & StatxMask.STATX_DIOALIGN))),
            stx_blksize = stat.BlockSize,
            stx_attributes = stat.Attributes | (isMountRoot ? StatxMask.STATX_ATTR_MOUNT_ROOT : 0),
            stx_attributes_mask = stat.AttributesMask | StatxMask.STATX_ATTR_MOUNT_ROOT,
            stx_nlink = stat.Nlink,
            stx_uid = stat.Uid,
            stx_gid = stat.Gid,
            stx_mode = (ushort)stat.Mode,
            stx_ino = stat.Ino,
            stx_size = (ulong)stat.Size,
            stx_blocks = stat.Blocks,
            stx_atime = Time(stat.Atime),
            stx_ctime = Time(stat.Ctime),
            stx_mtime = Time(stat.Mtime),
            stx_rdev_major = DeviceNumber.Major(stat.Rdev),
            stx_rdev_minor = DeviceNumber.Minor(stat.Rdev),
            stx_dev_major = DeviceNumber.Major(stat.Dev),
            stx_dev_minor = DeviceNumber.Minor(stat.Dev),
            stx_mnt_id = (uint)place.Mount.Id | (unique != 0 ? 1UL << 31 : 0),
        };
        if ((stat.Mask & StatxMask.STATX_BTIME) != 0)
            filled.stx_btime = Time(stat.Btime);
        if ((filled.stx_mask & StatxMask.STATX_DIOALIGN) != 0)
            (filled.stx_dio_mem_align, filled.stx_dio_offset_align) = (stat.DioMemoryAlign, stat.DioOffsetAlign);
        return filled;
    }

    private static StatxTimestamp Time(Timespec t) => new() { tv_sec = t.Seconds, tv_nsec = (uint)t.Nanoseconds };
}
