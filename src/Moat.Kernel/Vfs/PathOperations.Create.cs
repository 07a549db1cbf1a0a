namespace Moat.Kernel.Vfs;

internal static partial class PathOperations
{
    /// <summary>mkdirat(2).</summary>
    public static Errno MakeDirectory(in Caller caller, int dirfd, ReadOnlySpan<char> path, uint mode)
        => Make(in caller, dirfd, path, (mode & 0x3ff) | FileMode.S_IFDIR, 0, null);

    /// <summary>mknodat(2): regular files, FIFOs and sockets; device nodes are EPERM, as without CAP_MKNOD.</summary>
    public static Errno MakeNode(in Caller caller, int dirfd, ReadOnlySpan<char> path, uint mode)
    {
        uint type = mode & FileMode.S_IFMT;
        return type switch
        {
            0 or FileMode.S_IFREG or FileMode.S_IFIFO or FileMode.S_IFSOCK
                => Make(in caller, dirfd, path, (type == 0 ? FileMode.S_IFREG : type) | (mode & 0xfff), 0, null),
            FileMode.S_IFCHR or FileMode.S_IFBLK or FileMode.S_IFDIR => Errno.EPERM,
            _ => Errno.EINVAL,
        };
    }

    /// <summary>The name of a socket that is bound to a path (man 7 unix), and where it is. EEXIST.</summary>
    public static Errno MakeSocket(in Caller caller, ReadOnlySpan<char> path, uint mode, out VfsPath place)
        => Make(in caller, Syscalls.Fd.AT_FDCWD, path, (mode & 0x1ff) | FileMode.S_IFSOCK, 0, null, out place);

    /// <summary>symlinkat(2). ENOENT for an empty target.</summary>
    public static Errno MakeLink(in Caller caller, ReadOnlySpan<char> target, int dirfd, ReadOnlySpan<char> path)
        => target.Length == 0 ? Errno.ENOENT : Make(in caller, dirfd, path, FileMode.S_IFLNK | 0x1ff, 0, target.ToString());

    /// <summary>linkat(2); flags AT_SYMLINK_FOLLOW and AT_EMPTY_PATH.</summary>
    public static Errno Link(in Caller caller, int oldDirfd, ReadOnlySpan<char> oldPath, int newDirfd, ReadOnlySpan<char> newPath, AtFlags flags)
    {
        if ((flags & ~(AtFlags.AT_SYMLINK_FOLLOW | AtFlags.AT_EMPTY_PATH)) != 0)
            return Errno.EINVAL;
        LookupFlags lookup = (flags & AtFlags.AT_SYMLINK_FOLLOW) != 0 ? LookupFlags.Follow : 0;
        if ((flags & AtFlags.AT_EMPTY_PATH) != 0)
            lookup |= LookupFlags.Empty;
        Errno error = Walk(in caller, oldDirfd, oldPath, lookup, out VfsPath old);
        if (error != Errno.OK)
            return error;
        PathWalker walker = new(in caller, newPath);
        try
        {
            error = ToNewName(ref walker, newDirfd);
            return error == Errno.OK ? LinkAt(in caller, old, walker.Current, walker.Last, walker.MustBeDirectory) : error;
        }
        finally
        {
            walker.Dispose();
        }
    }

    private static Errno LinkAt(in Caller caller, VfsPath old, VfsPath directory, ReadOnlySpan<char> last, bool slash)
    {
        lock (directory.Inode.DirectoryLock)
        {
            Errno error = NewName(directory, last, slash, false);
            if (error != Errno.OK)
                return error;
            if (old.Mount != directory.Mount)
                return Errno.EXDEV;
            error = MayCreate(in caller, directory);
            if (error != Errno.OK)
                return error;
            if (old.Inode.IsDirectory)
                return Errno.EPERM;
            string name = last.ToString();
            error = directory.Inode.Link(name, old.Inode);
            if (error != Errno.OK)
                return error;
            directory.Dentry.Attach(name, old.Inode);
            FileEvents.Created(directory.Dentry, name, old.Inode, linked: true);
            return Errno.OK;
        }
    }

    private static Errno Make(in Caller caller, int dirfd, ReadOnlySpan<char> path, uint mode, ulong rdev, string? target)
        => Make(in caller, dirfd, path, mode, rdev, target, out _);

    private static Errno Make(in Caller caller, int dirfd, ReadOnlySpan<char> path, uint mode, ulong rdev, string? target, out VfsPath place)
    {
        place = default;
        PathWalker walker = new(in caller, path);
        try
        {
            Errno error = ToNewName(ref walker, dirfd);
            if (error != Errno.OK)
                return error;
            VfsPath directory = walker.Current;
            lock (directory.Inode.DirectoryLock)
            {
                error = NewName(directory, walker.Last, walker.MustBeDirectory, (mode & FileMode.S_IFMT) == FileMode.S_IFDIR);
                if (error == Errno.OK)
                    error = MayCreate(in caller, directory);
                if (error != Errno.OK)
                    return error;
                NewInode what = Describe(in caller, directory.Inode, mode);
                what.Rdev = rdev;
                what.LinkTarget = target;
                string name = walker.Last.ToString();
                error = directory.Inode.Create(name, in what, out Inode? made);
                if (error != Errno.OK)
                    return error;
                place = new VfsPath(directory.Mount, directory.Dentry.Attach(name, made!));
                FileEvents.Created(directory.Dentry, name, made!);
                return Errno.OK;
            }
        }
        finally
        {
            walker.Dispose();
        }
    }

    /// <summary>To the directory that a new name is for; EEXIST when the path ends in no name.</summary>
    private static Errno ToNewName(scoped ref PathWalker walker, int dirfd)
    {
        Errno error = walker.Start(dirfd);
        if (error == Errno.OK)
            error = walker.ToLast();
        return error == Errno.OK && walker.Kind != LastComponent.Name ? Errno.EEXIST : error;
    }

    /// <summary>OK when the name is free. A slash behind it is for directories only. Under the directory's lock.</summary>
    private static Errno NewName(VfsPath directory, ReadOnlySpan<char> name, bool slash, bool isDirectory)
    {
        Errno error = directory.Dentry.Lookup(name, out _);
        if (error != Errno.ENOENT)
            return error == Errno.OK ? Errno.EEXIST : error;
        if (slash && !isDirectory)
            return Errno.ENOENT;
        return directory.Mount.IsReadOnly ? Errno.EROFS : Errno.OK;
    }
}
