namespace Moat.Kernel.Vfs;

/// <summary>What path walks start from, and the umask. Shared by threads (CLONE_FS), copied by fork.</summary>
internal sealed partial class FsContext
{
    private Place _root, _current;

    /// <summary>Starts at one place, as root and as current directory.</summary>
    public FsContext(VfsPath root)
    {
        _root = _current = new Place(root);
    }

    /// <summary>A context of a sandbox without files: tests.</summary>
    public FsContext()
        : this(default)
    {
    }

    // A path is two words; threads that share the context read it whole through one reference.
    private sealed record Place(VfsPath Path);

    /// <summary>Permission bits that creation clears (umask(2)).</summary>
    public uint Umask { get; set; } = 0x12;

    /// <summary>Where absolute paths start (chroot(2)).</summary>
    public VfsPath Root
    {
        get => Volatile.Read(ref _root).Path;
        set => Volatile.Write(ref _root, new Place(value));
    }

    /// <summary>Where relative paths start (chdir(2)).</summary>
    public VfsPath Current
    {
        get => Volatile.Read(ref _current).Path;
        set => Volatile.Write(ref _current, new Place(value));
    }

    /// <summary>A copy of its own (fork(2), unshare(CLONE_FS)).</summary>
    public FsContext Copy() => new(Root) { Current = Current, Umask = Umask };
}
