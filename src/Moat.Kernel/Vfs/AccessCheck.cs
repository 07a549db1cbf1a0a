using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

/// <summary>Permission rules of path_resolution(7) and capabilities(7), by the file-system ids of the caller.</summary>
internal static class AccessCheck
{
    /// <summary>Owner, group or others by mode bits; user 0 like CAP_DAC_OVERRIDE.</summary>
    public static Errno Generic(in InodePermissions inode, Credentials who, AccessMask wanted)
    {
        uint mode = inode.Mode;
        if (who.FsUid == inode.Uid)
            mode >>= 6;
        else if (who.IsInGroup(inode.Gid))
            mode >>= 3;
        if (((uint)wanted & ~mode & 7) == 0)
            return Errno.OK;
        if (who.FsUid != 0)
            return Errno.EACCES;
        bool executable = (inode.Mode & FileMode.S_IFMT) == FileMode.S_IFDIR || (inode.Mode & 0x49) != 0;
        return (wanted & AccessMask.Execute) == 0 || executable ? Errno.OK : Errno.EACCES;
    }

    /// <summary>The owner, or user 0 (CAP_FOWNER).</summary>
    public static bool IsOwnerOrCapable(in InodePermissions inode, Credentials who) => who.FsUid == inode.Uid || who.FsUid == 0;

    /// <summary>The sticky bit of a directory keeps others from removing or renaming this file (EPERM).</summary>
    public static bool IsHeldBySticky(in InodePermissions directory, in InodePermissions file, Credentials who)
        => (directory.Mode & FileMode.S_ISVTX) != 0 && who.FsUid != 0 && who.FsUid != file.Uid && who.FsUid != directory.Uid;
}
