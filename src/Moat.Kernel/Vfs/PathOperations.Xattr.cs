using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

internal static partial class PathOperations
{
    /// <summary>XATTR_SIZE_MAX and XATTR_LIST_MAX, bytes.</summary>
    public const int MaxXattr = 65536;

    /// <summary>getxattr(2) of a place. The size, or ENODATA, ERANGE, EOPNOTSUPP, EACCES.</summary>
    public static SysResult GetXattr(in Caller caller, VfsPath place, string name, Span<byte> value)
    {
        Errno error = MayUseXattr(in caller, place.Inode, name, false);
        return error == Errno.OK ? place.Inode.GetXattr(name, value) : error;
    }

    /// <summary>setxattr(2) of a place.</summary>
    public static Errno SetXattr(in Caller caller, VfsPath place, string name, ReadOnlySpan<byte> value, int flags)
    {
        if ((flags & ~3) != 0)
            return Errno.EINVAL;
        if (place.Mount.IsReadOnly)
            return Errno.EROFS;
        Errno error = MayUseXattr(in caller, place.Inode, name, true);
        if (error == Errno.OK)
            error = place.Inode.SetXattr(name, value, flags);
        if (error == Errno.OK)
            FileEvents.Changed(place);
        return error;
    }

    /// <summary>removexattr(2) of a place.</summary>
    public static Errno RemoveXattr(in Caller caller, VfsPath place, string name)
    {
        if (place.Mount.IsReadOnly)
            return Errno.EROFS;
        Errno error = MayUseXattr(in caller, place.Inode, name, true);
        if (error == Errno.OK)
            error = place.Inode.RemoveXattr(name);
        if (error == Errno.OK)
            FileEvents.Changed(place);
        return error;
    }

    /// <summary>listxattr(2) of a place; trusted attributes are user 0's to see.</summary>
    public static SysResult ListXattr(in Caller caller, VfsPath place, Span<byte> names) => place.Inode.ListXattr(names);

    /// <summary>Linux's xattr_permission and the rules of man 7 xattr.</summary>
    private static Errno MayUseXattr(in Caller caller, Inode inode, string name, bool write)
    {
        if (name is "user." or "trusted." or "security.")
            return Errno.EINVAL;
        bool root = caller.Credentials.Has(Capability.CAP_SYS_ADMIN);
        if (name.StartsWith("trusted.", StringComparison.Ordinal))
            return root ? Errno.OK : write ? Errno.EPERM : Errno.ENODATA;
        if (name.StartsWith("security.", StringComparison.Ordinal))
            return !write || root ? Errno.OK : Errno.EPERM;
        if (name.StartsWith("user.", StringComparison.Ordinal))
        {
            if (!inode.IsRegular && !inode.IsDirectory)
                return write ? Errno.EPERM : Errno.ENODATA;
            InodePermissions now = inode.Permissions;
            if (write && inode.IsDirectory && (now.Mode & FileMode.S_ISVTX) != 0 && !AccessCheck.IsOwnerOrCapable(in now, caller.Credentials))
                return Errno.EPERM;
            return inode.CheckAccess(caller.Credentials, write ? AccessMask.Write : AccessMask.Read);
        }
        return Errno.EOPNOTSUPP;
    }
}
