namespace Moat.Kernel.Vfs;

/// <summary>Flags of a mount: the MS_ bits of mount(2), which statfs(2) reports as ST_ bits of the same values.</summary>
[Flags]
internal enum MountFlags : uint
{
    None = 0,
    ReadOnly = 1,
    NoSuid = 2,
    NoDev = 4,
    NoExec = 8,
    NoAtime = 1024,
    RelAtime = 0x200000,
}

/// <summary>A file system's tree shown at a place of another one.</summary>
internal sealed class Mount
{
    internal Mount(MountTable table, int id, FileSystem fileSystem, MountFlags flags, Mount? parent, Dentry? mountPoint)
    {
        Table = table;
        Id = id;
        FileSystem = fileSystem;
        Flags = flags;
        Parent = parent;
        MountPoint = mountPoint;
        Root = fileSystem.RootDentry;
    }

    public MountTable Table { get; }

    /// <summary>As statx(2) and /proc/self/mountinfo show it.</summary>
    public int Id { get; }

    public FileSystem FileSystem { get; }

    public MountFlags Flags { get; }

    public Dentry Root { get; }

    /// <summary>The mount it is on; null for the root of all.</summary>
    public Mount? Parent { get; }

    /// <summary>Where in the parent; null for the root of all.</summary>
    public Dentry? MountPoint { get; }

    public bool IsReadOnly => (Flags & MountFlags.ReadOnly) != 0 || FileSystem.IsReadOnly;

    public VfsPath RootPath => new(this, Root);
}

/// <summary>All mounts of a sandbox. Made at start; look-ups take no lock.</summary>
internal sealed class MountTable
{
    private readonly Lock _lock = new();
    private Dictionary<(Mount, Dentry), Mount> _mounts = [];
    private List<Mount> _all = [];
    private int _lastId = 20;

    /// <summary>Makes a table with a root file system.</summary>
    public MountTable(FileSystem root, MountFlags flags = MountFlags.RelAtime)
    {
        Root = new Mount(this, ++_lastId, root, flags, null, null);
        _all.Add(Root);
    }

    public Mount Root { get; }

    /// <summary>Every mount in order of mounting; a snapshot.</summary>
    public IReadOnlyList<Mount> All => Volatile.Read(ref _all);

    /// <summary>Shows a file system at a place; what was there is hidden. Mounting twice on one place stacks.</summary>
    public Mount Mount(FileSystem fileSystem, VfsPath at, MountFlags flags = MountFlags.RelAtime)
    {
        lock (_lock)
        {
            at = Cross(at);
            Mount mount = new(this, ++_lastId, fileSystem, flags, at.Mount, at.Dentry);
            Volatile.Write(ref _mounts, new Dictionary<(Mount, Dentry), Mount>(_mounts) { [(at.Mount, at.Dentry)] = mount });
            Volatile.Write(ref _all, [.. _all, mount]);
            at.Dentry.IsMountPoint = true;
            return mount;
        }
    }

    /// <summary>From a place to the root of what is mounted on it, or the place itself.</summary>
    public VfsPath Cross(VfsPath place)
    {
        while (place.Dentry.IsMountPoint && Volatile.Read(ref _mounts).TryGetValue((place.Mount, place.Dentry), out Mount? mounted))
            place = mounted.RootPath;
        return place;
    }
}
