using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

internal static partial class PathOperations
{
    /// <summary>unlinkat(2): flag AT_REMOVEDIR removes directories.</summary>
    public static Errno Unlink(in Caller caller, int dirfd, ReadOnlySpan<char> path, AtFlags flags)
    {
        if ((flags & ~AtFlags.AT_REMOVEDIR) != 0)
            return Errno.EINVAL;
        bool directoryWanted = flags != 0;
        PathWalker walker = new(in caller, path);
        try
        {
            Errno error = walker.Start(dirfd);
            if (error == Errno.OK)
                error = walker.ToLast();
            if (error != Errno.OK)
                return error;
            if (walker.Kind != LastComponent.Name)
            {
                return !directoryWanted ? Errno.EISDIR : walker.Kind switch
                {
                    LastComponent.Dot => Errno.EINVAL,
                    LastComponent.DotDot => Errno.ENOTEMPTY,
                    _ => Errno.EBUSY,
                };
            }
            return RemoveAt(in caller, walker.Current, walker.Last, walker.MustBeDirectory, directoryWanted);
        }
        finally
        {
            walker.Dispose();
        }
    }

    private static Errno RemoveAt(in Caller caller, VfsPath directory, ReadOnlySpan<char> name, bool slash, bool directoryWanted)
    {
        if (directory.Mount.IsReadOnly)
            return Errno.EROFS;
        lock (directory.Inode.DirectoryLock)
        {
            Errno error = directory.Dentry.Lookup(name, out Dentry? victim);
            if (error != Errno.OK)
                return error;
            if (slash && !directoryWanted)
                return victim!.Inode.IsDirectory ? Errno.EISDIR : Errno.ENOTDIR;
            error = MayDelete(in caller, directory, victim!, directoryWanted);
            if (error != Errno.OK)
                return error;
            if (victim!.IsMountPoint)
                return Errno.EBUSY;
            if (directoryWanted)
            {
                // Nothing is made in it once it is gone: makers look at IsDeleted under its lock.
                lock (victim.Inode.DirectoryLock)
                    return RemoveLocked(directory, victim);
            }
            return RemoveLocked(directory, victim);
        }
    }

    private static Errno RemoveLocked(VfsPath directory, Dentry victim)
    {
        Errno error = directory.Inode.Remove(victim.Name, victim.Inode);
        if (error != Errno.OK)
            return error;
        directory.Dentry.Detach(victim);
        FileEvents.Removed(directory.Dentry, victim);
        return Errno.OK;
    }

    /// <summary>renameat2(2).</summary>
    public static Errno Rename(
        in Caller caller, int oldDirfd, ReadOnlySpan<char> oldPath, int newDirfd, ReadOnlySpan<char> newPath, RenameFlags flags)
    {
        const RenameFlags Known = RenameFlags.RENAME_NOREPLACE | RenameFlags.RENAME_EXCHANGE | RenameFlags.RENAME_WHITEOUT;
        if ((flags & ~Known) != 0
            || ((flags & RenameFlags.RENAME_EXCHANGE) != 0 && (flags & (RenameFlags.RENAME_NOREPLACE | RenameFlags.RENAME_WHITEOUT)) != 0))
            return Errno.EINVAL;
        // A whiteout is a device node; nobody makes those here.
        if ((flags & RenameFlags.RENAME_WHITEOUT) != 0)
            return caller.Credentials.Has(Capability.CAP_MKNOD) ? Errno.EINVAL : Errno.EPERM;
        PathWalker from = new(in caller, oldPath);
        PathWalker to = new(in caller, newPath);
        try
        {
            Errno error = from.Start(oldDirfd);
            if (error == Errno.OK)
                error = from.ToLast();
            if (error == Errno.OK)
                error = to.Start(newDirfd);
            if (error == Errno.OK)
                error = to.ToLast();
            if (error != Errno.OK)
                return error;
            if (from.Current.Mount != to.Current.Mount)
                return Errno.EXDEV;
            if (from.Kind != LastComponent.Name)
                return Errno.EBUSY;
            if (to.Kind != LastComponent.Name)
                return (flags & RenameFlags.RENAME_NOREPLACE) != 0 ? Errno.EEXIST : Errno.EBUSY;
            if (from.Current.Mount.IsReadOnly)
                return Errno.EROFS;
            RenameSide source = new(from.Current, from.Last, from.MustBeDirectory);
            RenameSide target = new(to.Current, to.Last, to.MustBeDirectory);
            return RenameLocking(in caller, source, target, flags);
        }
        finally
        {
            to.Dispose();
            from.Dispose();
        }
    }

    private readonly ref struct RenameSide(VfsPath directory, ReadOnlySpan<char> name, bool slash)
    {
        public VfsPath Directory { get; } = directory;

        public ReadOnlySpan<char> Name { get; } = name;

        public bool Slash { get; } = slash;
    }

    private static Errno RenameLocking(in Caller caller, RenameSide source, RenameSide target, RenameFlags flags)
    {
        Dentry from = source.Directory.Dentry, to = target.Directory.Dentry;
        if (from == to)
        {
            lock (from.Inode.DirectoryLock)
                return RenameLocked(in caller, source, target, flags);
        }
        lock (from.Inode.FileSystem.RenameLock)
        {
            bool fromFirst = to.IsBelowOrSame(from) || (!from.IsBelowOrSame(to) && from.Inode.LockOrder < to.Inode.LockOrder);
            lock ((fromFirst ? from : to).Inode.DirectoryLock)
            {
                lock ((fromFirst ? to : from).Inode.DirectoryLock)
                    return RenameLocked(in caller, source, target, flags);
            }
        }
    }

    private static Errno RenameLocked(in Caller caller, RenameSide source, RenameSide target, RenameFlags flags)
    {
        Dentry from = source.Directory.Dentry, to = target.Directory.Dentry;
        bool exchange = (flags & RenameFlags.RENAME_EXCHANGE) != 0;
        Errno error = from.Lookup(source.Name, out Dentry? moved);
        if (error != Errno.OK)
            return error;
        error = to.Lookup(target.Name, out Dentry? replaced);
        if (error is not (Errno.OK or Errno.ENOENT))
            return error;
        if (replaced is not null && (flags & RenameFlags.RENAME_NOREPLACE) != 0)
            return Errno.EEXIST;
        if (exchange && replaced is null)
            return Errno.ENOENT;
        if (exchange && target.Slash && !replaced!.Inode.IsDirectory)
            return Errno.ENOTDIR;
        if (!moved!.Inode.IsDirectory && (source.Slash || (!exchange && target.Slash)))
            return Errno.ENOTDIR;
        if (to.IsBelowOrSame(moved))
            return Errno.EINVAL;
        if (replaced is not null && from.IsBelowOrSame(replaced))
            return exchange ? Errno.EINVAL : Errno.ENOTEMPTY;
        if (moved.Inode == replaced?.Inode)
            return Errno.OK;
        error = MayRename(in caller, source.Directory, moved, target.Directory, replaced, exchange);
        if (error != Errno.OK)
            return error;
        if (replaced is null || exchange || !replaced.Inode.IsDirectory)
            return Rename(from, moved, to, target.Name.ToString(), replaced, flags);
        lock (replaced.Inode.DirectoryLock)
            return Rename(from, moved, to, target.Name.ToString(), replaced, flags);
    }

    private static Errno Rename(Dentry from, Dentry moved, Dentry to, string newName, Dentry? replaced, RenameFlags flags)
    {
        string oldName = moved.Name;
        Errno error = from.Inode.Rename(oldName, moved.Inode, to.Inode, newName, replaced?.Inode, flags);
        if (error != Errno.OK)
            return error;
        if ((flags & RenameFlags.RENAME_EXCHANGE) != 0)
        {
            Dentry.Exchange(moved, replaced!);
        }
        else
        {
            if (replaced is not null)
                to.Detach(replaced);
            from.Move(moved, to, newName);
        }
        FileEvents.Moved(from, oldName, to, newName, moved.Inode, replaced?.Inode, (flags & RenameFlags.RENAME_EXCHANGE) != 0);
        return Errno.OK;
    }

    private static Errno MayRename(
        in Caller caller, VfsPath fromDirectory, Dentry moved, VfsPath toDirectory, Dentry? replaced, bool exchange)
    {
        Errno error = MayDelete(in caller, fromDirectory, moved, moved.Inode.IsDirectory);
        if (error != Errno.OK)
            return error;
        error = replaced is null
            ? MayCreate(in caller, toDirectory)
            : MayDelete(in caller, toDirectory, replaced, exchange ? replaced.Inode.IsDirectory : moved.Inode.IsDirectory);
        if (error != Errno.OK)
            return error;
        // A directory that moves gets another "..", which is writing to it.
        if (fromDirectory.Dentry != toDirectory.Dentry)
        {
            if (moved.Inode.IsDirectory)
                error = moved.Inode.CheckAccess(caller.Credentials, AccessMask.Write);
            if (error == Errno.OK && exchange && replaced!.Inode.IsDirectory)
                error = replaced.Inode.CheckAccess(caller.Credentials, AccessMask.Write);
            if (error != Errno.OK)
                return error;
        }
        return moved.IsMountPoint || replaced is { IsMountPoint: true } ? Errno.EBUSY : Errno.OK;
    }
}
