namespace Moat.Kernel.Vfs;

internal static partial class PathOperations
{
    private const OpenFlags ValidOpenFlags = OpenFlags.O_ACCMODE | OpenFlags.O_CREAT | OpenFlags.O_EXCL | OpenFlags.O_NOCTTY
        | OpenFlags.O_TRUNC | OpenFlags.O_APPEND | OpenFlags.O_NONBLOCK | OpenFlags.O_SYNC | OpenFlags.O_ASYNC | OpenFlags.O_DIRECT
        | OpenFlags.O_LARGEFILE | OpenFlags.O_DIRECTORY | OpenFlags.O_NOFOLLOW | OpenFlags.O_NOATIME | OpenFlags.O_CLOEXEC
        | OpenFlags.O_PATH | OpenFlags.O_TMPFILE;

    private const OpenFlags TmpFileBit = OpenFlags.O_TMPFILE & ~OpenFlags.O_DIRECTORY;

    /// <summary>open(2)'s arguments as openat2(2) takes them: what open always ignored is dropped.</summary>
    public static OpenHow HowFor(OpenFlags flags, uint mode)
    {
        flags &= ValidOpenFlags;
        if ((flags & OpenFlags.O_PATH) != 0)
            flags &= OpenFlags.O_DIRECTORY | OpenFlags.O_NOFOLLOW | OpenFlags.O_PATH | OpenFlags.O_CLOEXEC;
        bool creates = (flags & (OpenFlags.O_CREAT | TmpFileBit)) != 0;
        return new OpenHow { Flags = (uint)flags, Mode = creates ? mode & 0xfff : 0 };
    }

    /// <summary>
    /// openat2(2) without the descriptor: a description with one reference. Close-on-exec is the installer's. When
    /// <see cref="FileDescription.FinishOpen"/> says EAGAIN the open is not complete. <paramref name="forTable"/>: it will get a descriptor; without
    /// a free one it is EMFILE before anything is looked for or made.
    /// </summary>
    public static Errno Open(in Caller caller, int dirfd, ReadOnlySpan<char> path, in OpenHow how, out FileDescription? file, bool forTable = false)
    {
        file = null;
        Errno error = Check(in how, out OpenFlags flags, out ResolveFlags resolve);
        if (error != Errno.OK)
            return error;
        if (forTable && caller.Files is { HasRoom: false })
            return Errno.EMFILE;
        error = OpenOnce(in caller, dirfd, path, flags, (uint)how.Mode, resolve, false, out file);
        if (error == Errno.ESTALE)
            error = OpenOnce(in caller, dirfd, path, flags, (uint)how.Mode, resolve, true, out file);
        return error;
    }

    private static Errno Check(in OpenHow how, out OpenFlags flags, out ResolveFlags resolve)
    {
        const ResolveFlags ValidResolve = ResolveFlags.RESOLVE_NO_XDEV | ResolveFlags.RESOLVE_NO_MAGICLINKS | ResolveFlags.RESOLVE_NO_SYMLINKS
            | ResolveFlags.RESOLVE_BENEATH | ResolveFlags.RESOLVE_IN_ROOT | ResolveFlags.RESOLVE_CACHED;
        const ResolveFlags Scopes = ResolveFlags.RESOLVE_BENEATH | ResolveFlags.RESOLVE_IN_ROOT;
        flags = (OpenFlags)(uint)how.Flags;
        // As all 64-bit programs open; F_GETFL shows it.
        if ((flags & OpenFlags.O_PATH) == 0)
            flags |= OpenFlags.O_LARGEFILE;
        resolve = (ResolveFlags)(uint)how.Resolve;
        if ((how.Flags & ~(ulong)(uint)ValidOpenFlags) != 0 || (how.Resolve & ~(ulong)(uint)ValidResolve) != 0)
            return Errno.EINVAL;
        if ((resolve & Scopes) == Scopes)
            return Errno.EINVAL;
        bool creates = (flags & (OpenFlags.O_CREAT | TmpFileBit)) != 0;
        if (creates ? (how.Mode & ~0xffful) != 0 : how.Mode != 0)
            return Errno.EINVAL;
        if ((flags & (OpenFlags.O_DIRECTORY | OpenFlags.O_CREAT)) == (OpenFlags.O_DIRECTORY | OpenFlags.O_CREAT))
            return Errno.EINVAL;
        if ((flags & TmpFileBit) != 0
            && ((flags & OpenFlags.O_TMPFILE) != OpenFlags.O_TMPFILE || (flags & OpenFlags.O_ACCMODE) == OpenFlags.O_RDONLY))
            return Errno.EINVAL;
        if ((flags & OpenFlags.O_PATH) != 0
            && (flags & ~(OpenFlags.O_DIRECTORY | OpenFlags.O_NOFOLLOW | OpenFlags.O_PATH | OpenFlags.O_CLOEXEC)) != 0)
            return Errno.EINVAL;
        if ((resolve & ResolveFlags.RESOLVE_CACHED) != 0 && (flags & (OpenFlags.O_TRUNC | OpenFlags.O_CREAT | TmpFileBit)) != 0)
            return Errno.EAGAIN;
        return Errno.OK;
    }

    private static Errno OpenOnce(
        in Caller caller, int dirfd, ReadOnlySpan<char> path, OpenFlags flags, uint mode, ResolveFlags resolve, bool revalidate,
        out FileDescription? file)
    {
        PathWalker walker = new(in caller, path, resolve, revalidate);
        try
        {
            file = null;
            Errno error = walker.Start(dirfd);
            if (error != Errno.OK)
                return error;
            return (flags & OpenFlags.O_CREAT) != 0
                ? OpenOrCreate(in caller, ref walker, flags, mode, out file)
                : OpenExisting(in caller, ref walker, flags, mode, out file);
        }
        finally
        {
            walker.Dispose();
        }
    }

    private static Errno OpenExisting(in Caller caller, scoped ref PathWalker walker, OpenFlags flags, uint mode, out FileDescription? file)
    {
        file = null;
        LookupFlags lookup = (flags & OpenFlags.O_NOFOLLOW) == 0 ? LookupFlags.Follow : LookupFlags.None;
        if ((flags & OpenFlags.O_DIRECTORY) != 0)
            lookup |= LookupFlags.Directory;
        Errno error = walker.ToEnd(lookup, out VfsPath found);
        if (error != Errno.OK)
            return error;
        if ((flags & OpenFlags.O_PATH) != 0)
        {
            file = new PathDescription(flags) { Path = found };
            return Errno.OK;
        }
        if ((flags & TmpFileBit) != 0)
            return OpenUnnamed(in caller, found, flags, mode, out file);
        return OpenFound(in caller, found, flags, false, out file);
    }

    private static Errno OpenOrCreate(in Caller caller, scoped ref PathWalker walker, OpenFlags flags, uint mode, out FileDescription? file)
    {
        file = null;
        while (true)
        {
            Errno error = walker.ToLast();
            if (error != Errno.OK)
                return error;
            if (walker.Kind != LastComponent.Name)
            {
                if (walker.Kind == LastComponent.DotDot && (error = walker.Up()) != Errno.OK)
                    return error;
                // A magic link may have led to a file.
                if ((flags & OpenFlags.O_EXCL) != 0)
                    return Errno.EEXIST;
                return walker.Current.Inode.IsDirectory ? Errno.EISDIR : OpenFound(in caller, walker.Current, flags, false, out file);
            }
            if (walker.MustBeDirectory)
                return Errno.EISDIR;
            error = walker.LookupLast(out VfsPath found);
            if (error == Errno.ENOENT)
            {
                error = CreateAndOpen(in caller, walker.Current, walker.Last, flags, mode, out found, out file);
                if (error != Errno.EEXIST || found.IsNull)
                    return error;
                error = Errno.OK;
            }
            if (error != Errno.OK)
                return error;
            if ((flags & OpenFlags.O_EXCL) != 0)
                return Errno.EEXIST;
            if (!found.Inode.IsSymlink)
                return found.Inode.IsDirectory ? Errno.EISDIR : OpenFound(in caller, found, flags, false, out file);
            if ((flags & OpenFlags.O_NOFOLLOW) != 0)
                return Errno.ELOOP;
            error = walker.Follow(found);
            if (error != Errno.OK)
                return error;
        }
    }

    /// <summary>Makes a regular file; EEXIST with the place when somebody was faster.</summary>
    private static Errno CreateAndOpen(
        in Caller caller, VfsPath directory, ReadOnlySpan<char> name, OpenFlags flags, uint mode, out VfsPath place, out FileDescription? file)
    {
        file = null;
        place = default;
        lock (directory.Inode.DirectoryLock)
        {
            Errno error = directory.Dentry.Lookup(name, out Dentry? child);
            if (error == Errno.OK)
            {
                place = directory.Mount.Table.Cross(new VfsPath(directory.Mount, child!));
                return Errno.EEXIST;
            }
            if (error != Errno.ENOENT)
                return error;
            if (directory.Mount.IsReadOnly)
                return Errno.EROFS;
            error = MayCreate(in caller, directory);
            if (error != Errno.OK)
                return error;
            NewInode what = Describe(in caller, directory.Inode, mode | FileMode.S_IFREG);
            what.OpensWith = flags;
            string text = name.ToString();
            error = directory.Inode.Create(text, in what, out Inode? made);
            if (error != Errno.OK)
                return error;
            place = new VfsPath(directory.Mount, directory.Dentry.Attach(text, made!));
            FileEvents.Created(directory.Dentry, text, made!);
        }
        return OpenFound(in caller, place, flags, true, out file);
    }

    private static Errno OpenUnnamed(in Caller caller, VfsPath directory, OpenFlags flags, uint mode, out FileDescription? file)
    {
        file = null;
        if (!directory.Inode.IsDirectory)
            return Errno.ENOTDIR;
        Errno error = directory.Inode.CheckAccess(caller.Credentials, AccessMask.Write | AccessMask.Execute);
        if (error != Errno.OK)
            return error;
        if (directory.Mount.IsReadOnly)
            return Errno.EROFS;
        NewInode what = Describe(in caller, directory.Inode, mode | FileMode.S_IFREG);
        what.OpensWith = flags;
        what.NeverLinked = (flags & OpenFlags.O_EXCL) != 0;
        error = directory.Inode.CreateUnnamed(in what, out Inode? made);
        if (error != Errno.OK)
            return error;
        Dentry dentry = Dentry.Unnamed(made!, directory.Dentry);
        return OpenFound(in caller, new VfsPath(directory.Mount, dentry), flags, true, out file);
    }

    /// <summary>may_open and the open itself. A file made by this very call needs no permission.</summary>
    internal static Errno OpenFound(in Caller caller, VfsPath place, OpenFlags flags, bool created, out FileDescription? file)
    {
        file = null;
        Inode inode = place.Inode;
        bool truncate = (flags & OpenFlags.O_TRUNC) != 0 && !created;
        AccessMask wanted = (flags & OpenFlags.O_ACCMODE) switch
        {
            OpenFlags.O_RDONLY => AccessMask.Read,
            OpenFlags.O_WRONLY => AccessMask.Write,
            _ => AccessMask.Read | AccessMask.Write,
        };
        if (truncate)
            wanted |= AccessMask.Write;
        if (created)
            wanted = AccessMask.None;
        switch (inode.Type)
        {
            case FileMode.S_IFLNK:
                return Errno.ELOOP;
            case FileMode.S_IFDIR when (wanted & AccessMask.Write) != 0:
                return Errno.EISDIR;
            case FileMode.S_IFBLK or FileMode.S_IFCHR when (place.Mount.Flags & MountFlags.NoDev) != 0:
                return Errno.EACCES;
            case FileMode.S_IFBLK or FileMode.S_IFCHR or FileMode.S_IFIFO or FileMode.S_IFSOCK:
                truncate = false;
                break;
        }
        Errno error = inode.CheckAccess(caller.Credentials, wanted);
        if (error != Errno.OK)
            return error;
        if ((wanted & AccessMask.Write) != 0 && place.Mount.IsReadOnly && (inode.IsRegular || inode.IsDirectory))
            return Errno.EROFS;
        if ((flags & OpenFlags.O_NOATIME) != 0 && !AccessCheck.IsOwnerOrCapable(inode.Permissions, caller.Credentials))
            return Errno.EPERM;
        if ((wanted & AccessMask.Write) != 0 && inode.IsBeingExecuted)
            return Errno.ETXTBSY;
        OpenFlags own = created ? flags | OpenFlags.O_CREAT : flags & ~OpenFlags.O_CREAT;
        error = inode.Open(in caller, place, own, out file);
        if (error != Errno.OK)
            return error;
        file!.Path = place;
        file.WasCreated = created;
        error = file.CanWrite ? file.Claim(execute: false) : Errno.OK;
        if (error == Errno.OK)
            FileEvents.Opened(file);
        if (error == Errno.OK && !truncate)
            return Errno.OK;
        if (error == Errno.OK)
            error = file.CanWrite ? file.Truncate(0).Error : inode.SetAttributes(new AttributeChange { Mask = AttributeMask.Size });
        if (error != Errno.OK)
        {
            file.DropReference();
            file = null;
            return error;
        }
        FileEvents.Written(file);
        return Errno.OK;
    }
}
