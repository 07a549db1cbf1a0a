namespace Moat.Kernel.Vfs;

/// <summary>How names found in a file system are remembered.</summary>
internal enum NameCaching
{
    /// <summary>Nobody else changes the tree: a remembered name is the truth.</summary>
    Trusted,

    /// <summary>Names appear and vanish by themselves (/proc, host volumes): every step looks afresh.</summary>
    Afresh,
}

/// <summary>One instance of a file system: a tree of inodes under one root.</summary>
internal abstract class FileSystem
{
    private Dentry? _rootDentry;

    /// <summary>Serializes renames between directories, so that "is below" stays true while it is used (man: directory locking).</summary>
    public Lock RenameLock { get; } = new();

    /// <summary>As /proc/mounts names it.</summary>
    public abstract string TypeName { get; }

    /// <summary>What was mounted, as /proc/mounts shows it.</summary>
    public virtual string Source => TypeName;

    /// <summary>st_dev of its files, unless an inode says otherwise.</summary>
    public virtual ulong Device { get; } = DeviceNumber.NextAnonymous();

    public abstract Inode Root { get; }

    /// <summary>The root's name, shared by all mounts of this file system.</summary>
    public Dentry RootDentry => LazyInitializer.EnsureInitialized(ref _rootDentry, () => new Dentry(Root));

    public virtual NameCaching Caching => NameCaching.Trusted;

    /// <summary>Nothing can be written, whatever the mount says.</summary>
    public virtual bool IsReadOnly => false;

    /// <summary>Remembered dentries; bounded.</summary>
    internal DentryCache Dentries { get; } = new();

    /// <summary>statfs(2).</summary>
    public abstract Errno GetStatFs(out StatFs stat);

    /// <summary>sync(2), syncfs(2): what was written is on stable storage when it returns.</summary>
    public virtual Errno Sync() => Errno.OK;
}
