using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

internal static partial class PathOperations
{
    private const uint PermissionBits = 0xfff;

    /// <summary>
    /// fstatat(2) and statx(2): flags AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH, AT_STATX_*; also gives the place for what only
    /// mounts know.
    /// </summary>
    public static Errno Stat(in Caller caller, int dirfd, ReadOnlySpan<char> path, AtFlags flags, out FileStat stat, out VfsPath place)
    {
        stat = default;
        if (path.Length == 0 && (flags & AtFlags.AT_EMPTY_PATH) != 0 && dirfd != Syscalls.Fd.AT_FDCWD)
            return FileOperations.Stat(in caller, dirfd, out stat, out place);
        LookupFlags lookup = LookupOf(flags);
        Errno error = Walk(in caller, dirfd, path, lookup, out place);
        if (error == Errno.OK)
            error = place.Inode.GetStat(out stat);
        if (error != Errno.ESTALE)
            return error;
        error = Walk(in caller, dirfd, path, lookup | LookupFlags.Revalidate, out place);
        return error == Errno.OK ? place.Inode.GetStat(out stat) : error;
    }

    /// <summary>The walk that AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH mean.</summary>
    public static LookupFlags LookupOf(AtFlags flags)
        => ((flags & AtFlags.AT_SYMLINK_NOFOLLOW) == 0 ? LookupFlags.Follow : 0) | ((flags & AtFlags.AT_EMPTY_PATH) != 0 ? LookupFlags.Empty : 0);

    /// <summary>faccessat2(2), flags checked; AT_EACCESS asks with the effective ids, else the real ones.</summary>
    public static Errno Access(in Caller caller, int dirfd, ReadOnlySpan<char> path, AccessMask wanted, AtFlags flags)
    {
        const AtFlags Known = AtFlags.AT_EACCESS | AtFlags.AT_SYMLINK_NOFOLLOW | AtFlags.AT_EMPTY_PATH;
        if (((uint)wanted & ~7u) != 0 || (flags & ~Known) != 0)
            return Errno.EINVAL;
        Credentials who = caller.Credentials;
        if ((flags & AtFlags.AT_EACCESS) == 0 && (who.FsUid != who.Uid || who.FsGid != who.Gid || who.Effective != who.Permitted))
            who = who.WithRealIds();
        Caller asking = new(who, caller.Fs, caller.Files, caller.Task);
        Errno error = Walk(in asking, dirfd, path, LookupOf(flags), out VfsPath place);
        if (error != Errno.OK)
            return error;
        Inode inode = place.Inode;
        if ((wanted & AccessMask.Execute) != 0 && inode.IsRegular && (place.Mount.Flags & MountFlags.NoExec) != 0)
            return Errno.EACCES;
        error = inode.CheckAccess(who, wanted);
        if (error == Errno.OK && (wanted & AccessMask.Write) != 0 && place.Mount.IsReadOnly
            && (inode.IsRegular || inode.IsDirectory || inode.IsSymlink))
            return Errno.EROFS;
        return error;
    }

    /// <summary>readlinkat(2). EINVAL for what is no link; ENOENT for an empty path that is no link.</summary>
    public static Errno ReadLink(in Caller caller, int dirfd, ReadOnlySpan<char> path, out string target)
    {
        target = "";
        Errno error = Walk(in caller, dirfd, path, LookupFlags.Empty, out VfsPath place);
        if (error != Errno.OK)
            return error;
        if (!place.Inode.IsSymlink)
            return path.Length == 0 ? Errno.ENOENT : Errno.EINVAL;
        error = place.Inode.ReadLink(in caller, out target);
        if (error != Errno.ESTALE)
            return error;
        error = Walk(in caller, dirfd, path, LookupFlags.Empty | LookupFlags.Revalidate, out place);
        return error == Errno.OK ? place.Inode.ReadLink(in caller, out target) : error;
    }

    /// <summary>chmod of a place: EPERM for others than the owner; the set-group-id bit only for members.</summary>
    public static Errno ChangeMode(in Caller caller, VfsPath place, uint mode)
    {
        if (place.Mount.IsReadOnly)
            return Errno.EROFS;
        InodePermissions now = place.Inode.Permissions;
        Credentials who = caller.Credentials;
        if (!AccessCheck.IsOwnerOrCapable(in now, who))
            return Errno.EPERM;
        if (place.Inode.IsSymlink)
            return Errno.EOPNOTSUPP;
        mode &= PermissionBits;
        if (!who.Has(Capability.CAP_FSETID) && !who.IsInGroup(now.Gid))
            mode &= ~FileMode.S_ISGID;
        return Change(place, new AttributeChange { Mask = AttributeMask.Mode, Mode = mode });
    }

    /// <summary>chown of a place; uint.MaxValue leaves an id. Clears set-id bits of what is no directory.</summary>
    public static Errno ChangeOwner(in Caller caller, VfsPath place, uint uid, uint gid)
    {
        if (place.Mount.IsReadOnly)
            return Errno.EROFS;
        InodePermissions now = place.Inode.Permissions;
        Credentials who = caller.Credentials;
        bool owner = who.FsUid == now.Uid;
        if (!who.Has(Capability.CAP_CHOWN)
            && ((uid != uint.MaxValue && !(owner && uid == now.Uid))
                || (gid != uint.MaxValue && !(owner && (gid == now.Gid || who.IsInGroup(gid))))))
            return Errno.EPERM;
        AttributeChange change = new() { Uid = uid, Gid = gid };
        if (uid != uint.MaxValue)
            change.Mask |= AttributeMask.Uid;
        if (gid != uint.MaxValue)
            change.Mask |= AttributeMask.Gid;
        uint kept = place.Inode.IsDirectory ? now.Mode : WithoutSetIds(now.Mode);
        if (kept != now.Mode && !place.Inode.IsSymlink)
        {
            change.Mask |= AttributeMask.Mode;
            change.Mode = kept & PermissionBits;
        }
        return Change(place, in change);
    }

    /// <summary>The mode after somebody without the right to keep it wrote or gave the file away (man 2 chown, 2 write).</summary>
    public static uint WithoutSetIds(uint mode)
    {
        mode &= ~FileMode.S_ISUID;
        return (mode & 8) != 0 ? mode & ~FileMode.S_ISGID : mode;
    }

    /// <summary>
    /// utimensat(2) of a place. Nanoseconds may be UTIME_NOW and UTIME_OMIT; null times mean both now. EINVAL, EPERM, EACCES.
    /// </summary>
    public static Errno ChangeTimes(in Caller caller, VfsPath place, ReadOnlySpan<Timespec> times)
    {
        const long UTIME_NOW = 0x3fffffff, UTIME_OMIT = 0x3ffffffe;
        bool bothNow = times.Length == 0 || (times[0].Nanoseconds == UTIME_NOW && times[1].Nanoseconds == UTIME_NOW);
        AttributeChange change = new() { Mask = AttributeMask.Atime | AttributeMask.Mtime };
        change.Atime = change.Mtime = RealTime.Now;
        for (int i = 0; i < times.Length; i++)
        {
            if (times[i].Nanoseconds is (< 0 or > 999_999_999) and not (UTIME_NOW or UTIME_OMIT))
                return Errno.EINVAL;
        }
        if (times.Length == 2 && times[0].Nanoseconds == UTIME_OMIT && times[1].Nanoseconds == UTIME_OMIT)
            return Errno.OK;
        if (place.Mount.IsReadOnly)
            return Errno.EROFS;
        if (!AccessCheck.IsOwnerOrCapable(place.Inode.Permissions, caller.Credentials))
        {
            if (!bothNow)
                return Errno.EPERM;
            Errno error = place.Inode.CheckAccess(caller.Credentials, AccessMask.Write);
            if (error != Errno.OK)
                return error;
        }
        if (!bothNow)
        {
            if (times[0].Nanoseconds == UTIME_OMIT)
                change.Mask &= ~AttributeMask.Atime;
            else if (times[0].Nanoseconds != UTIME_NOW)
                change.Atime = times[0];
            if (times[1].Nanoseconds == UTIME_OMIT)
                change.Mask &= ~AttributeMask.Mtime;
            else if (times[1].Nanoseconds != UTIME_NOW)
                change.Mtime = times[1];
        }
        return Change(place, in change);
    }

    /// <summary>truncate(2).</summary>
    public static Errno Truncate(in Caller caller, ReadOnlySpan<char> path, long length)
    {
        if (length < 0)
            return Errno.EINVAL;
        Errno error = Walk(in caller, Syscalls.Fd.AT_FDCWD, path, LookupFlags.Follow, out VfsPath place);
        if (error != Errno.OK)
            return error;
        if (place.Inode.IsDirectory)
            return Errno.EISDIR;
        if (!place.Inode.IsRegular)
            return Errno.EINVAL;
        if (place.Mount.IsReadOnly)
            return Errno.EROFS;
        error = place.Inode.CheckAccess(caller.Credentials, AccessMask.Write);
        if (error == Errno.OK && place.Inode.IsBeingExecuted)
            return Errno.ETXTBSY;
        return error == Errno.OK ? Change(place, new AttributeChange { Mask = AttributeMask.Size, Size = length }) : error;
    }

    /// <summary>Applies a change that is allowed, and tells who watches.</summary>
    private static Errno Change(VfsPath place, in AttributeChange change)
    {
        Errno error = place.Inode.SetAttributes(in change);
        if (error == Errno.OK)
            FileEvents.Changed(place, in change);
        return error;
    }

    /// <summary>chdir(2) to a place, checked.</summary>
    public static Errno ChangeDirectory(in Caller caller, VfsPath place)
    {
        if (!place.Inode.IsDirectory)
            return Errno.ENOTDIR;
        Errno error = place.Inode.CheckAccess(caller.Credentials, AccessMask.Execute);
        if (error == Errno.OK)
            caller.Fs.Current = place;
        return error;
    }

    /// <summary>chroot(2) to a place, checked. EPERM for others than user 0.</summary>
    public static Errno ChangeRoot(in Caller caller, VfsPath place)
    {
        if (!place.Inode.IsDirectory)
            return Errno.ENOTDIR;
        Errno error = place.Inode.CheckAccess(caller.Credentials, AccessMask.Execute);
        if (error != Errno.OK)
            return error;
        if (!caller.Credentials.Has(Capability.CAP_SYS_CHROOT))
            return Errno.EPERM;
        caller.Fs.Root = place;
        return Errno.OK;
    }
}
