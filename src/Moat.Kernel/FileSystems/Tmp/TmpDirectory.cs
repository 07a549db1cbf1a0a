using Moat.Kernel.FileSystems.Host;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Tmp;

/// <summary>
/// A directory in memory: names in order of making, each with a number that never changes and never comes again, so that a listing
/// that goes on from a number neither repeats nor skips what was there all the time.
/// </summary>
internal partial class TmpDirectory : TmpInode
{
    // Positions 0 and 1 are the dots; 2 is the start of the names.
    private const long FirstCookie = 2;

    private readonly Dictionary<string, Entry> _names = new(StringComparer.Ordinal);
    private readonly List<Entry> _order = [];
    private long _nextCookie = FirstCookie;
    private int _removed;

    public TmpDirectory(TmpFileSystem fileSystem, in NewInode what, ulong device)
        : base(fileSystem, in what, device)
    {
    }

    protected TmpDirectory(TmpFileSystem fileSystem, HostInode lower, TmpDirectory? foundIn, string foundAs)
        : base(fileSystem, lower, foundIn, foundAs)
    {
    }

    /// <summary>A name; without an inode a whiteout, which hides a lower name.</summary>
    private sealed class Entry(string name, TmpInode? inode, long cookie)
    {
        public string Name { get; } = name;

        public TmpInode? Inode { get; set; } = inode;

        public long Cookie { get; } = cookie;

        public bool IsRemoved { get; set; }
    }

    public override long Size => 20L * (_names.Count + 2);

    /// <summary>True when it has names of its own, whiteouts included.</summary>
    public bool HasNames => _names.Count != 0;

    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        lock (State)
        {
            bool found = _names.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out Entry? entry);
            child = entry?.Inode;
            return found && child is not null ? Errno.OK : Errno.ENOENT;
        }
    }

    /// <summary>True when the name is here, as a file or as a whiteout (null).</summary>
    protected bool TryFindOwn(ReadOnlySpan<char> name, out TmpInode? inode)
    {
        lock (State)
        {
            bool found = _names.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out Entry? entry);
            inode = entry?.Inode;
            return found;
        }
    }

    public override Errno ReadEntries(ref long position, ref DirectoryEmitter into)
    {
        Accessed();
        lock (State)
        {
            for (int i = IndexOf(position); i < _order.Count; i++)
            {
                Entry entry = _order[i];
                if (entry.IsRemoved || entry.Inode is null)
                    continue;
                if (!into.Emit(entry.Name, entry.Inode.Number, DirentType.FromMode(entry.Inode.Type), entry.Cookie + 1))
                    break;
                position = entry.Cookie + 1;
            }
        }
        return Errno.OK;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = new DirectoryDescription(flags);
        return Errno.OK;
    }

    public override Errno Create(string name, in NewInode what, out Inode? child)
    {
        child = null;
        Errno error = Tmp.Frames.HasRoomForName ? Own() : Errno.ENOSPC;
        if (error != Errno.OK)
            return error;
        TmpInode made = Tmp.Make(in what, Device);
        Insert(name, made);
        if (made.IsDirectory)
            AddLinks(1);
        Modified();
        child = made;
        return Errno.OK;
    }

    public override Errno CreateUnnamed(in NewInode what, out Inode? child)
    {
        TmpRegular made = (TmpRegular)Tmp.Make(in what, Device);
        made.MakeUnnamed(what.NeverLinked);
        child = made;
        return Errno.OK;
    }

    public override Errno Link(string name, Inode target)
    {
        TmpInode linked = (TmpInode)target;
        Errno error = Tmp.Frames.HasRoomForName ? Own() : Errno.ENOSPC;
        if (error == Errno.OK)
            error = linked is TmpRegular regular ? regular.TakeName() : linked.AddLinks(1);
        if (error != Errno.OK)
            return error;
        Insert(name, linked);
        Modified();
        return Errno.OK;
    }

    public override Errno Remove(string name, Inode child)
    {
        Errno error = child.IsDirectory ? ((TmpDirectory)child).CheckEmpty() : Errno.OK;
        if (error == Errno.OK)
            error = Own();
        if (error != Errno.OK)
            return error;
        error = Drop((TmpInode)child);
        if (error != Errno.OK)
            return error;
        Hide(name);
        Modified();
        return Errno.OK;
    }

    public override Errno Rename(string name, Inode child, Inode newDirectory, string newName, Inode? replaced, RenameFlags flags)
    {
        TmpDirectory to = (TmpDirectory)newDirectory;
        TmpInode moved = (TmpInode)child, target = (TmpInode)replaced!;
        bool exchange = (flags & RenameFlags.RENAME_EXCHANGE) != 0;
        Errno error = target is TmpDirectory directory && !exchange ? directory.CheckEmpty() : Errno.OK;
        if (error == Errno.OK)
            error = Own();
        if (error == Errno.OK)
            error = to.Own();
        if (error == Errno.OK)
            error = moved.Own();
        if (error == Errno.OK && target is not null)
            error = exchange ? target.Own() : to.Drop(target);
        if (error != Errno.OK)
            return error;
        if (exchange)
            Insert(name, target!);
        else
            Hide(name);
        to.Insert(newName, moved);
        if (this != to)
        {
            int here = (moved.IsDirectory ? -1 : 0) + (exchange && target!.IsDirectory ? 1 : 0);
            if (here != 0)
            {
                AddLinks(here);
                to.AddLinks(-here);
            }
            to.Modified();
        }
        Modified();
        moved.Changed();
        if (exchange)
            target!.Changed();
        return Errno.OK;
    }

    /// <summary>ENOTEMPTY unless nothing is in it.</summary>
    protected virtual Errno CheckEmpty()
    {
        lock (State)
        {
            foreach (Entry entry in _order)
            {
                if (!entry.IsRemoved && entry.Inode is not null)
                    return Errno.ENOTEMPTY;
            }
            return Errno.OK;
        }
    }

    /// <summary>Takes a name away so that nothing shows under it any more; the overlay leaves a whiteout where there is a lower name.</summary>
    protected virtual void Hide(string name)
    {
        lock (State)
            Erase(name);
    }

    /// <summary>Puts an inode under a name, in place of what is there.</summary>
    protected virtual void Insert(string name, TmpInode? inode)
    {
        lock (State)
        {
            Erase(name);
            Entry entry = new(name, inode, _nextCookie++);
            _names.Add(name, entry);
            _order.Add(entry);
            Tmp.Frames.CountName(1);
        }
        Keep();
    }

    /// <summary>A child found in the lower directory is no longer what the host has: remember it, unless the name means something else by now.</summary>
    internal void Remember(string name, TmpInode child)
    {
        lock (State)
        {
            if (!_names.ContainsKey(name))
                Insert(name, child);
        }
    }

    /// <summary>The names that are here and what they stand for; whiteouts are null.</summary>
    protected void CopyNames(List<(string Name, TmpInode? Inode)> into)
    {
        lock (State)
        {
            foreach (Entry entry in _order)
            {
                if (!entry.IsRemoved)
                    into.Add((entry.Name, entry.Inode));
            }
        }
    }

    /// <summary>A child loses its name in this directory.</summary>
    private Errno Drop(TmpInode child)
    {
        if (!child.IsDirectory)
            return child.AddLinks(-1);
        Errno error = child.AddLinks(-2);
        return error == Errno.OK ? AddLinks(-1) : error;
    }

    private void Erase(string name)
    {
        if (!_names.Remove(name, out Entry? entry))
            return;
        entry.IsRemoved = true;
        Tmp.Frames.CountName(-1);
        if (++_removed <= 32 || _removed <= _order.Count / 2)
            return;
        _order.RemoveAll(e => e.IsRemoved);
        _removed = 0;
    }

    /// <summary>The first entry whose number is at least <paramref name="cookie"/>.</summary>
    private int IndexOf(long cookie)
    {
        int low = 0, high = _order.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_order[middle].Cookie < cookie)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }
}
