using Moat.Host;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Host;

// Changes: volumes only. The host checks the sentry's own rights after the guest's were checked.
internal sealed partial class HostInode
{
    private static readonly bool s_isRoot = HostSyscall.CallQuick(107 /* geteuid */) == 0;

    public override Errno SetAttributes(in AttributeChange change)
    {
        const long UTIME_OMIT = 0x3ffffffe;
        if (_fileSystem.IsReadOnly)
            return Errno.EROFS;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        int fd = handle!.Fd;
        int result = 0;
        if (change.Has(AttributeMask.Size))
            result = HostFiles.TruncatePath(fd, change.Size);
        if (result == 0 && change.Has(AttributeMask.Size))
            Shrunk(change.Size);
        if (result == 0 && change.Has(AttributeMask.Uid | AttributeMask.Gid))
        {
            result = HostFiles.ChangeOwner(
                fd, change.Has(AttributeMask.Uid) ? change.Uid : uint.MaxValue, change.Has(AttributeMask.Gid) ? change.Gid : uint.MaxValue);
        }
        // Behind chown, which clears set-id bits.
        if (result == 0 && change.Has(AttributeMask.Mode))
            result = IsSymlink ? -(int)Errno.EOPNOTSUPP : HostFiles.ChangeMode(fd, change.Mode);
        if (result == 0 && change.Has(AttributeMask.Atime | AttributeMask.Mtime))
        {
            Timespec omit = new() { Nanoseconds = UTIME_OMIT };
            result = HostFiles.ChangeTimes(
                fd, change.Has(AttributeMask.Atime) ? change.Atime : omit, change.Has(AttributeMask.Mtime) ? change.Mtime : omit);
        }
        if (HostFiles.Stat(fd, out Statx stat) == 0)
            Remember(in stat);
        handle.DropReference();
        return (Errno)(-result);
    }

    public override Errno Create(string name, in NewInode what, out Inode? child)
    {
        child = null;
        if (_fileSystem.IsReadOnly)
            return Errno.EROFS;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        int made = Make(handle!.Fd, name, in what);
        Statx stat = default;
        int result = made < 0 ? made : made > 0 ? HostFiles.Stat(made, out stat) : HostFiles.StatAt(handle.Fd, name, out stat);
        if (result < 0)
        {
            if (made > 0)
                HostFiles.Close(made);
            handle.DropReference();
            return (Errno)(-result);
        }
        HostInode inode = _fileSystem.Intern(in stat, this, name);
        if (s_isRoot && (what.Uid != stat.stx_uid || what.Gid != stat.stx_gid))
            inode.Own(handle.Fd, name, made, in what);
        handle.DropReference();
        inode.Keep(made, what.OpensWith != 0);
        child = inode;
        return Errno.OK;
    }

    public override Errno CreateUnnamed(in NewInode what, out Inode? child)
    {
        OpenFlags wanted = OpenFlags.O_TMPFILE | OpenFlags.O_RDWR | (what.OpensWith & HostsOwn);
        child = null;
        if (_fileSystem.IsReadOnly)
            return Errno.EROFS;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        int fd = HostFiles.OpenAt(handle!.Fd, ".", (int)(what.NeverLinked ? wanted | OpenFlags.O_EXCL : wanted), what.Mode & 0xfff);
        handle.DropReference();
        if (fd < 0)
            return (Errno)(-fd);
        int result = HostFiles.Stat(fd, out Statx stat);
        if (result < 0)
        {
            HostFiles.Close(fd);
            return (Errno)(-result);
        }
        HostInode inode = _fileSystem.Intern(in stat, this, "");
        if (s_isRoot && (what.Uid != stat.stx_uid || what.Gid != stat.stx_gid))
            inode.Own(-1, "", fd, in what);
        inode.Keep(fd, what.OpensWith != 0);
        child = inode;
        return Errno.OK;
    }

    public override Errno Link(string name, Inode target)
    {
        if (_fileSystem.IsReadOnly)
            return Errno.EROFS;
        HostInode linked = (HostInode)target;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        error = linked.Pin(out HostHandle? from);
        if (error == Errno.OK)
        {
            error = (Errno)(-HostFiles.Link(from!.Fd, handle!.Fd, name));
            from.DropReference();
            if (error == Errno.OK && linked._location.Name.Length == 0)
                linked.Moved(this, name);
        }
        handle!.DropReference();
        return error;
    }

    public override Errno Remove(string name, Inode child)
    {
        if (_fileSystem.IsReadOnly)
            return Errno.EROFS;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        error = (Errno)(-HostFiles.Remove(handle!.Fd, name, child.IsDirectory));
        handle.DropReference();
        if (error == Errno.OK)
            _fileSystem.Removed((HostInode)child);
        return error;
    }

    public override Errno Rename(string name, Inode child, Inode newDirectory, string newName, Inode? replaced, RenameFlags flags)
    {
        if (_fileSystem.IsReadOnly)
            return Errno.EROFS;
        if ((flags & RenameFlags.RENAME_WHITEOUT) != 0)
            return Errno.EINVAL;
        HostInode to = (HostInode)newDirectory;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        error = to.Pin(out HostHandle? toHandle);
        if (error == Errno.OK)
        {
            error = (Errno)(-HostFiles.Rename(handle!.Fd, name, toHandle!.Fd, newName, (uint)flags));
            toHandle.DropReference();
        }
        handle!.DropReference();
        if (error != Errno.OK)
            return error;
        ((HostInode)child).Moved(to, newName);
        if ((flags & RenameFlags.RENAME_EXCHANGE) != 0)
            ((HostInode)replaced!).Moved(this, name);
        else if (replaced is not null)
            _fileSystem.Removed((HostInode)replaced);
        return Errno.OK;
    }

    public override SysResult GetXattr(string name, Span<byte> value)
    {
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        int result = HostFiles.GetXattr(handle!.Fd, name, value);
        handle.DropReference();
        return result;
    }

    public override SysResult ListXattr(Span<byte> names)
    {
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        int result = HostFiles.ListXattr(handle!.Fd, names);
        handle.DropReference();
        return result;
    }

    public override Errno SetXattr(string name, ReadOnlySpan<byte> value, int flags)
    {
        if (_fileSystem.IsReadOnly)
            return Errno.EROFS;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        error = (Errno)(-HostFiles.SetXattr(handle!.Fd, name, value, flags));
        handle.DropReference();
        return error;
    }

    public override Errno RemoveXattr(string name)
    {
        if (_fileSystem.IsReadOnly)
            return Errno.EROFS;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        error = (Errno)(-HostFiles.RemoveXattr(handle!.Fd, name));
        handle.DropReference();
        return error;
    }

    /// <summary>Makes it on the host. A descriptor for regular files, 0 for the rest, or -errno.</summary>
    private static int Make(int directory, string name, in NewInode what)
    {
        const int Creating = (int)(OpenFlags.O_CREAT | OpenFlags.O_EXCL | OpenFlags.O_RDWR | OpenFlags.O_NOFOLLOW | OpenFlags.O_NONBLOCK);
        uint permissions = what.Mode & 0xfff;
        return (what.Mode & FileMode.S_IFMT) switch
        {
            FileMode.S_IFREG => HostFiles.OpenAt(directory, name, Creating | (int)(what.OpensWith & HostsOwn), permissions),
            FileMode.S_IFDIR => HostFiles.MakeDirectory(directory, name, permissions),
            FileMode.S_IFLNK => HostFiles.MakeLink(what.LinkTarget!, directory, name),
            FileMode.S_IFIFO or FileMode.S_IFSOCK => HostFiles.MakeNode(directory, name, what.Mode, 0),
            _ => -(int)Errno.EPERM,
        };
    }

    /// <summary>A sentry that runs as user 0 gives new files to the guest's user.</summary>
    private void Own(int directory, string name, int made, in NewInode what)
    {
        int fd = made > 0 ? made : HostFiles.OpenAt(directory, name, HostFiles.O_PATH | HostFiles.O_NOFOLLOW);
        if (fd < 0)
            return;
        if (HostFiles.ChangeOwner(fd, what.Uid, what.Gid) == 0)
        {
            // Only now, so that nobody else ran it with another owner's rights; chown has cleared the bits.
            if ((what.Mode & (FileMode.S_ISUID | FileMode.S_ISGID)) != 0 && !IsSymlink)
                HostFiles.ChangeMode(fd, what.Mode & 0xfff);
            if (HostFiles.Stat(fd, out Statx stat) == 0)
                Remember(in stat);
        }
        if (made <= 0)
            HostFiles.Close(fd);
    }

    private void Keep(int made, bool willOpen)
    {
        if (made <= 0)
            return;
        HostHandle handle = new(made);
        if (willOpen)
            handle = Interlocked.Exchange(ref _made, handle)!;
        handle?.DropReference();
    }
}
