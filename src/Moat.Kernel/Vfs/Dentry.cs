using System.Collections.Concurrent;

namespace Moat.Kernel.Vfs;

/// <summary>
/// A name in a tree and the inode behind it. While anything refers to a dentry, looking its name up again yields the same
/// object: remembered children are held strongly while they are recent and weakly afterwards, so nobody counts references
/// and no name is remembered for ever.
/// </summary>
internal sealed class Dentry
{
    private static long s_moves;

    private ConcurrentDictionary<string, object>? _children;
    private WeakReference<Dentry>? _weak;
    private Dentry? _parent;
    private string _name;
    private int _weakChildren;
    private volatile bool _isDeleted;

    /// <summary>A root, or the name of something outside every tree (pipes, memory files).</summary>
    public Dentry(Inode inode, string name = "")
    {
        Inode = inode;
        _name = name;
    }

    private Dentry(Inode inode, string name, Dentry parent)
        : this(inode, name) => _parent = parent;

    public Inode Inode { get; }

    /// <summary>The dentry of a file that has no name yet (O_TMPFILE): shown as a deleted one.</summary>
    public static Dentry Unnamed(Inode inode, Dentry directory)
        => new(inode, "#" + inode.LockOrder, directory) { _isDeleted = true };

    /// <summary>One char per byte; empty for roots.</summary>
    public string Name => Volatile.Read(ref _name);

    /// <summary>The directory it is in; null for roots. Stays after deletion.</summary>
    public Dentry? Parent => Volatile.Read(ref _parent);

    /// <summary>The name is gone (unlink, rmdir, replaced by rename).</summary>
    public bool IsDeleted => _isDeleted;

    /// <summary>Something is mounted here in some mount.</summary>
    public bool IsMountPoint { get; set; }

    /// <summary>Looked at since the cache's hand last passed.</summary>
    internal bool Referenced { get; set; }

    /// <summary>Changes with every move of any dentry: readers of several names read it before and after.</summary>
    public static long Moves => Volatile.Read(ref s_moves);

    /// <summary>The child under a name. ENOENT, ENAMETOOLONG, or the file system's error. Search permission has been checked.</summary>
    public Errno Lookup(ReadOnlySpan<char> name, out Dentry? child)
    {
        if (name.Length > 255)
        {
            child = null;
            return Errno.ENAMETOOLONG;
        }
        if (Inode.FileSystem.Caching == NameCaching.Afresh)
            return LookupAfresh(name, out child);
        child = Remembered(name);
        if (child is not null)
            return Errno.OK;
        lock (Inode.DirectoryLock)
        {
            child = Remembered(name);
            if (child is not null)
                return Errno.OK;
            if (_isDeleted)
                return Errno.ENOENT;
            Errno error = Inode.Lookup(name, out Inode? inode);
            if (error == Errno.OK)
                child = Attach(name.ToString(), inode!);
            return error;
        }
    }

    /// <summary>The child if it is remembered and can be trusted (RESOLVE_CACHED); else null.</summary>
    public Dentry? LookupCached(ReadOnlySpan<char> name)
        => Inode.FileSystem.Caching == NameCaching.Trusted ? Remembered(name) : null;

    /// <summary>Names a new child of this directory. Under its lock, after the file system made it.</summary>
    public Dentry Attach(string name, Inode inode)
    {
        Dentry child = new(inode, name, this);
        bool strong = Inode.FileSystem.Caching == NameCaching.Trusted;
        Children[name] = strong ? child : child.Weak;
        if (strong)
            Inode.FileSystem.Dentries.Add(child);
        else
            CountWeak();
        return child;
    }

    /// <summary>A child's name is gone. Under the directory's lock, after the file system removed it.</summary>
    public void Detach(Dentry child)
    {
        Forget(child);
        child._isDeleted = true;
    }

    /// <summary>Drops a remembered child that turned out stale; the next look-up asks the file system.</summary>
    public void Forget(Dentry child)
    {
        ConcurrentDictionary<string, object>? children = Volatile.Read(ref _children);
        if (children is null || !children.TryGetValue(child.Name, out object? entry))
            return;
        if (ReferenceEquals(entry, child) || ReferenceEquals(entry, child._weak))
            children.TryRemove(new KeyValuePair<string, object>(child.Name, entry));
    }

    /// <summary>A child takes another name, perhaps in another directory. Under the locks of both and RenameLock if they differ.</summary>
    public void Move(Dentry child, Dentry newParent, string newName)
    {
        Interlocked.Increment(ref s_moves);
        Forget(child);
        Volatile.Write(ref child._parent, newParent);
        Volatile.Write(ref child._name, newName);
        newParent.Children[newName] = child.Inode.FileSystem.Caching == NameCaching.Trusted ? child : child.Weak;
        Interlocked.Increment(ref s_moves);
    }

    /// <summary>Two children swap names (RENAME_EXCHANGE). Locks as for <see cref="Move"/>.</summary>
    public static void Exchange(Dentry one, Dentry other)
    {
        Dentry? oneParent = one.Parent, otherParent = other.Parent;
        string oneName = one.Name, otherName = other.Name;
        bool strong = one.Inode.FileSystem.Caching == NameCaching.Trusted;
        Interlocked.Increment(ref s_moves);
        Volatile.Write(ref one._parent, otherParent);
        Volatile.Write(ref one._name, otherName);
        Volatile.Write(ref other._parent, oneParent);
        Volatile.Write(ref other._name, oneName);
        otherParent!.Children[otherName] = strong ? one : one.Weak;
        oneParent!.Children[oneName] = strong ? other : other.Weak;
        Interlocked.Increment(ref s_moves);
    }

    /// <summary>True when this is <paramref name="ancestor"/> or below it.</summary>
    public bool IsBelowOrSame(Dentry ancestor)
    {
        for (Dentry? d = this; d is not null; d = d.Parent)
        {
            if (d == ancestor)
                return true;
        }
        return false;
    }

    /// <summary>The cache lets go: from now on the name is remembered only while somebody else holds the dentry.</summary>
    internal void Weaken()
    {
        Dentry? parent = Parent;
        ConcurrentDictionary<string, object>? siblings = parent is null ? null : Volatile.Read(ref parent._children);
        if (siblings is not null && siblings.TryUpdate(Name, Weak, this))
            parent!.CountWeak();
    }

    private WeakReference<Dentry> Weak => _weak ??= new WeakReference<Dentry>(this);

    private ConcurrentDictionary<string, object> Children
    {
        get
        {
            if (Volatile.Read(ref _children) is { } known)
                return known;
            ConcurrentDictionary<string, object> made = new(1, 7, StringComparer.Ordinal);
            return Interlocked.CompareExchange(ref _children, made, null) ?? made;
        }
    }

    private Dentry? Remembered(ReadOnlySpan<char> name)
    {
        ConcurrentDictionary<string, object>? children = Volatile.Read(ref _children);
        if (children is null || !children.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out object? entry))
            return null;
        if (entry is Dentry strong)
        {
            if (!strong.Referenced)
                strong.Referenced = true;
            return strong;
        }
        return ((WeakReference<Dentry>)entry).TryGetTarget(out Dentry? weak) ? weak : null;
    }

    private Errno LookupAfresh(ReadOnlySpan<char> name, out Dentry? child)
    {
        Errno error = Inode.Lookup(name, out Inode? inode);
        child = Remembered(name);
        if (error != Errno.OK)
        {
            if (child is not null && error == Errno.ENOENT)
                Forget(child);
            child = null;
            return error;
        }
        if (child?.Inode != inode)
            child = Attach(name.ToString(), inode!);
        return Errno.OK;
    }

    /// <summary>Now and then throws away the names whose dentries the collector has taken.</summary>
    private void CountWeak()
    {
        ConcurrentDictionary<string, object> children = Children;
        if (Interlocked.Increment(ref _weakChildren) < 256)
            return;
        int alive = 0;
        foreach (KeyValuePair<string, object> child in children)
        {
            if (child.Value is WeakReference<Dentry> weak && !weak.TryGetTarget(out _))
                children.TryRemove(child);
            else
                alive++;
        }
        // Look again when as many more have gone weak as are left: amortized over the additions.
        Volatile.Write(ref _weakChildren, Math.Min(0, 256 - alive));
    }
}
