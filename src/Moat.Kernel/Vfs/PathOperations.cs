using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

/// <summary>
/// What system calls and io_uring requests do with names: one method per operation, arguments already copied from the guest,
/// flags checked by the operation. All may wait for a disk, none waits for anything else.
/// </summary>
internal static partial class PathOperations
{
    /// <summary>Resolves a whole path. With <see cref="LookupFlags.Empty"/> an empty path is the starting point itself.</summary>
    public static Errno Walk(
        in Caller caller, int dirfd, ReadOnlySpan<char> path, LookupFlags flags, out VfsPath found, ResolveFlags resolve = ResolveFlags.None)
    {
        if (path.Length == 0 && (flags & LookupFlags.Empty) != 0)
            return PathWalker.StartingPoint(in caller, dirfd, out found);
        Errno error = WalkOnce(in caller, dirfd, path, flags, out found, resolve);
        if (error == Errno.ESTALE && (flags & LookupFlags.Revalidate) == 0)
            error = WalkOnce(in caller, dirfd, path, flags | LookupFlags.Revalidate, out found, resolve);
        return error;
    }

    private static Errno WalkOnce(
        in Caller caller, int dirfd, ReadOnlySpan<char> path, LookupFlags flags, out VfsPath found, ResolveFlags resolve)
    {
        using PathWalker walker = new(in caller, path, resolve, (flags & LookupFlags.Revalidate) != 0);
        found = default;
        Errno error = walker.Start(dirfd);
        return error == Errno.OK ? walker.ToEnd(flags, out found) : error;
    }

    /// <summary>May the caller add a name here? ENOENT in a deleted directory, EACCES. Under the directory's lock.</summary>
    private static Errno MayCreate(in Caller caller, VfsPath directory)
        => directory.Dentry.IsDeleted
            ? Errno.ENOENT
            : directory.Inode.CheckAccess(caller.Credentials, AccessMask.Write | AccessMask.Execute);

    /// <summary>May the caller take this name away? Linux's may_delete. Under the directory's lock.</summary>
    private static Errno MayDelete(in Caller caller, VfsPath directory, Dentry victim, bool wantDirectory)
    {
        Errno error = directory.Inode.CheckAccess(caller.Credentials, AccessMask.Write | AccessMask.Execute);
        if (error != Errno.OK)
            return error;
        if (AccessCheck.IsHeldBySticky(directory.Inode.Permissions, victim.Inode.Permissions, caller.Credentials))
            return Errno.EPERM;
        if (wantDirectory && !victim.Inode.IsDirectory)
            return Errno.ENOTDIR;
        if (!wantDirectory && victim.Inode.IsDirectory)
            return Errno.EISDIR;
        return directory.Dentry.IsDeleted ? Errno.ENOENT : Errno.OK;
    }

    /// <summary>Owner, group and mode of a file made in a directory: umask, set-group-id inheritance (man 7 inode).</summary>
    private static NewInode Describe(in Caller caller, Inode directory, uint mode)
    {
        Credentials who = caller.Credentials;
        InodePermissions parent = directory.Permissions;
        uint type = mode & FileMode.S_IFMT;
        if (type != FileMode.S_IFLNK)
            mode &= ~(caller.Fs.Umask & 0x1ff);
        NewInode made = new() { Mode = mode, Uid = who.FsUid, Gid = who.FsGid };
        if ((parent.Mode & FileMode.S_ISGID) == 0)
            return made;
        made.Gid = parent.Gid;
        if (type == FileMode.S_IFDIR)
            made.Mode |= FileMode.S_ISGID;
        else if ((mode & (FileMode.S_ISGID | 8)) == (FileMode.S_ISGID | 8) && !who.Has(Capability.CAP_FSETID) && !who.IsInGroup(parent.Gid))
            made.Mode &= ~FileMode.S_ISGID;
        return made;
    }
}
