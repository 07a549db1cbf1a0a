using Moat.Kernel.Events;

namespace Moat.Kernel.Vfs;

/// <summary>inotify(7): what happened, and how a watch is meant.</summary>
[Flags]
internal enum InotifyMask : uint
{
    IN_ACCESS = 1,
    IN_MODIFY = 2,
    IN_ATTRIB = 4,
    IN_CLOSE_WRITE = 8,
    IN_CLOSE_NOWRITE = 0x10,
    IN_OPEN = 0x20,
    IN_MOVED_FROM = 0x40,
    IN_MOVED_TO = 0x80,
    IN_CREATE = 0x100,
    IN_DELETE = 0x200,
    IN_DELETE_SELF = 0x400,
    IN_MOVE_SELF = 0x800,
    IN_ALL_EVENTS = 0xfff,
    IN_UNMOUNT = 0x2000,
    IN_Q_OVERFLOW = 0x4000,
    IN_IGNORED = 0x8000,
    IN_ONLYDIR = 0x1000000,
    IN_DONT_FOLLOW = 0x2000000,
    IN_EXCL_UNLINK = 0x4000000,
    IN_MASK_CREATE = 0x10000000,
    IN_MASK_ADD = 0x20000000,
    IN_ISDIR = 0x40000000,
    IN_ONESHOT = 0x80000000,
}

/// <summary>
/// Tells watchers what happens to files, where the operations that all callers share do it. While nobody watches anything, each call is
/// one look at a flag.
/// </summary>
internal static class FileEvents
{
    private static readonly Lock s_lock = new();
    private static volatile bool s_isActive;
    private static int s_watches, s_lastCookie;

    /// <summary>Somebody watches something.</summary>
    public static bool IsActive => s_isActive;

    /// <summary>Links a watch to its inode.</summary>
    public static void Add(InotifyWatch watch)
    {
        lock (s_lock)
        {
            watch.Inode.Watches = [.. watch.Inode.Watches, watch];
            s_watches++;
            s_isActive = true;
        }
    }

    /// <summary>Unlinks a watch. False: it was not linked any more.</summary>
    public static bool Remove(InotifyWatch watch)
    {
        lock (s_lock)
        {
            int at = Array.IndexOf(watch.Inode.Watches, watch);
            if (at < 0)
                return false;
            watch.Inode.Watches = [.. watch.Inode.Watches[..at], .. watch.Inode.Watches[(at + 1)..]];
            s_isActive = --s_watches != 0;
            return true;
        }
    }

    /// <summary>Bytes were read from a file, or entries from a directory.</summary>
    public static void Read(FileDescription file)
    {
        if (s_isActive)
            Tell(file.KnownDentry, InotifyMask.IN_ACCESS);
    }

    /// <summary>Bytes of a file, or its size, were changed.</summary>
    public static void Written(FileDescription file)
    {
        if (s_isActive)
            Tell(file.KnownDentry, InotifyMask.IN_MODIFY);
    }

    public static void Opened(FileDescription file)
    {
        if (s_isActive)
            Tell(file.KnownDentry, InotifyMask.IN_OPEN);
    }

    /// <summary>The last reference to a description is gone.</summary>
    public static void Closed(Dentry place, bool couldWrite)
    {
        Tell(place, couldWrite ? InotifyMask.IN_CLOSE_WRITE : InotifyMask.IN_CLOSE_NOWRITE);
        if (place.IsDeleted)
            Gone(place.Inode);
    }

    /// <summary>Attributes were changed: which event that is depends on them.</summary>
    public static void Changed(VfsPath place, in AttributeChange change)
    {
        if (!s_isActive)
            return;
        const AttributeMask Times = AttributeMask.Atime | AttributeMask.Mtime;
        InotifyMask what = 0;
        if (change.Has(AttributeMask.Mode | AttributeMask.Uid | AttributeMask.Gid) || (change.Mask & Times) == Times)
            what |= InotifyMask.IN_ATTRIB;
        else if (change.Has(AttributeMask.Atime))
            what |= InotifyMask.IN_ACCESS;
        else if (change.Has(AttributeMask.Mtime))
            what |= InotifyMask.IN_MODIFY;
        if (change.Has(AttributeMask.Size))
            what |= InotifyMask.IN_MODIFY;
        Tell(place.Dentry, what);
    }

    /// <summary>Extended attributes were changed.</summary>
    public static void Changed(VfsPath place)
    {
        if (s_isActive)
            Tell(place.Dentry, InotifyMask.IN_ATTRIB);
    }

    /// <summary>A name was made; <paramref name="linked"/>: for a file that had one.</summary>
    public static void Created(Dentry directory, string name, Inode made, bool linked = false)
    {
        if (!s_isActive)
            return;
        if (linked)
            TellInode(made, InotifyMask.IN_ATTRIB, null, 0, null);
        TellInode(directory.Inode, InotifyMask.IN_CREATE | Kind(made), name, 0, null);
    }

    /// <summary>A name was taken away; its directory's lock is held.</summary>
    public static void Removed(Dentry directory, Dentry victim)
    {
        if (!s_isActive)
            return;
        Inode inode = victim.Inode;
        if (!inode.IsDirectory)
            TellInode(inode, InotifyMask.IN_ATTRIB, null, 0, null);
        Gone(inode);
        TellInode(directory.Inode, InotifyMask.IN_DELETE | Kind(inode), victim.Name, 0, null);
    }

    /// <summary>A name was moved, over another one perhaps. With <paramref name="exchanged"/> that one took its place.</summary>
    public static void Moved(Dentry from, string oldName, Dentry to, string newName, Inode moved, Inode? replaced, bool exchanged)
    {
        if (!s_isActive)
            return;
        TellMove(from, oldName, to, newName, moved, exchanged ? null : replaced);
        if (replaced is null)
            return;
        if (exchanged)
            TellMove(to, newName, from, oldName, replaced, null);
        else
            Gone(replaced);
    }

    private static void TellMove(Dentry from, string oldName, Dentry to, string newName, Inode moved, Inode? replaced)
    {
        uint cookie = (uint)Interlocked.Increment(ref s_lastCookie);
        TellInode(from.Inode, InotifyMask.IN_MOVED_FROM | Kind(moved), oldName, cookie, null);
        TellInode(to.Inode, InotifyMask.IN_MOVED_TO | Kind(moved), newName, cookie, null);
        if (replaced is { IsDirectory: false })
            TellInode(replaced, InotifyMask.IN_ATTRIB, null, 0, null);
        TellInode(moved, InotifyMask.IN_MOVE_SELF, null, 0, null);
    }

    /// <summary>A name of a file is gone: if it was the last one and nobody has the file open, so is the file.</summary>
    private static void Gone(Inode inode)
    {
        if (inode.Watches.Length == 0 || inode.Descriptions > 0)
            return;
        if (!inode.IsDirectory && inode.GetStat(out FileStat stat) == Errno.OK && stat.Nlink != 0)
            return;
        TellInode(inode, InotifyMask.IN_DELETE_SELF, null, 0, null);
        foreach (InotifyWatch watch in inode.Watches)
            watch.Owner.Drop(watch);
    }

    private static InotifyMask Kind(Inode inode) => inode.IsDirectory ? InotifyMask.IN_ISDIR : 0;

    /// <summary>To the watchers of the directory that it is in, and to its own.</summary>
    private static void Tell(Dentry? place, InotifyMask what)
    {
        if (place is null)
            return;
        InotifyMask kind = Kind(place.Inode);
        if (place.Parent is { } directory)
            TellInode(directory.Inode, what | kind, place.Name, 0, place);
        TellInode(place.Inode, what | kind, null, 0, null);
    }

    private static void TellInode(Inode inode, InotifyMask what, string? name, uint cookie, Dentry? child)
    {
        foreach (InotifyWatch watch in inode.Watches)
        {
            if ((watch.Mask & what & InotifyMask.IN_ALL_EVENTS) != 0
                && !(child is { IsDeleted: true } && (watch.Mask & InotifyMask.IN_EXCL_UNLINK) != 0))
            {
                watch.Owner.Tell(watch, what, name, cookie);
            }
        }
    }
}
