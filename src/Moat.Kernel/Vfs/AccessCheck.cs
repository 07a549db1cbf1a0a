using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

/// <summary>Permission rules of path_resolution(7) and capabilities(7), by the file-system ids of the caller.</summary>
internal static class AccessCheck
{
    /// <summary>Owner, group or others by mode bits; else by capability.</summary>
    public static Errno Generic(in InodePermissions inode, Credentials who, AccessMask wanted)
    {
        uint mode = inode.Mode;
        if (who.FsUid == inode.Uid)
            mode >>= 6;
        else if (who.IsInGroup(inode.Gid))
            mode >>= 3;
        if (((uint)wanted & ~mode & 7) == 0)
            return Errno.OK;
        bool directory = (inode.Mode & FileMode.S_IFMT) == FileMode.S_IFDIR;
        AccessMask searching = directory ? AccessMask.Read | AccessMask.Execute : AccessMask.Read;
        if ((wanted & ~searching) == 0 && who.Has(Capability.CAP_DAC_READ_SEARCH))
            return Errno.OK;
        bool executable = directory || (inode.Mode & 0x49) != 0;
        return who.Has(Capability.CAP_DAC_OVERRIDE) && ((wanted & AccessMask.Execute) == 0 || executable) ? Errno.OK : Errno.EACCES;
    }

    /// <summary>The owner, or who has CAP_FOWNER.</summary>
    public static bool IsOwnerOrCapable(in InodePermissions inode, Credentials who) => who.FsUid == inode.Uid || who.Has(Capability.CAP_FOWNER);

    /// <summary>The sticky bit of a directory keeps others from removing or renaming this file (EPERM).</summary>
    public static bool IsHeldBySticky(in InodePermissions directory, in InodePermissions file, Credentials who)
        => (directory.Mode & FileMode.S_ISVTX) != 0 && !who.Has(Capability.CAP_FOWNER) && who.FsUid != file.Uid && who.FsUid != directory.Uid;
}
