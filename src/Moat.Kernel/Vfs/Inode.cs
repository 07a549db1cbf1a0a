namespace Moat.Kernel.Vfs;

/// <summary>
/// A file of any type, apart from its names. File systems derive from it; <c>PathOperations</c> does what is the
/// same for all: permissions, mounts, names, locks. Nothing here throws; errors are returned.
/// </summary>
/// <remarks>
/// Directory operations are called under <see cref="DirectoryLock"/> of the directories involved, on file systems with
/// <see cref="NameCaching.Trusted"/> also <see cref="Lookup"/>. Names are valid: 1 to 255 bytes, one char each (Latin-1), no
/// slash, not "." or "..".
/// </remarks>
internal abstract partial class Inode(FileSystem fileSystem, uint type)
{
    private Lock? _directoryLock;

    public FileSystem FileSystem { get; } = fileSystem;

    /// <summary>S_IFMT part of the mode: never changes.</summary>
    public uint Type { get; } = type & FileMode.S_IFMT;

    public bool IsDirectory => Type == FileMode.S_IFDIR;

    public bool IsSymlink => Type == FileMode.S_IFLNK;

    public bool IsRegular => Type == FileMode.S_IFREG;

    /// <summary>
    /// Serializes changes of a directory. Order: <see cref="FileSystem.RenameLock"/>, ancestors before descendants, else by
    /// <see cref="LockOrder"/>. Reentrant.
    /// </summary>
    public Lock DirectoryLock
    {
        get
        {
            if (Volatile.Read(ref _directoryLock) is { } known)
                return known;
            Lock made = new();
            return Interlocked.CompareExchange(ref _directoryLock, made, null) ?? made;
        }
    }

    private FileLocks? _locks;

    /// <summary>Advisory locks; made when first asked for.</summary>
    public FileLocks Locks => LazyInitializer.EnsureInitialized(ref _locks, () => new FileLocks());

    /// <summary>Advisory locks if there ever were any.</summary>
    public FileLocks? LocksIfAny => Volatile.Read(ref _locks);

    private static long s_lastOrder;

    /// <summary>A number of its own for each inode, in order of making.</summary>
    public long LockOrder { get; } = Interlocked.Increment(ref s_lastOrder);

    /// <summary>Owner and mode as of now, for permission checks. Cheap: no host call once known.</summary>
    public abstract InodePermissions Permissions { get; }

    /// <summary>All of stat(2). May ask the host.</summary>
    public abstract Errno GetStat(out FileStat stat);

    /// <summary>
    /// May this caller? EACCES or OK. The default is Linux's generic_permission: owner, group, others; user 0 passes except for
    /// executing what nobody may execute.
    /// </summary>
    public virtual Errno CheckAccess(Tasks.Credentials credentials, AccessMask wanted)
        => AccessCheck.Generic(Permissions, credentials, wanted);

    /// <summary>ESTALE when a remembered name does not lead to this file any more; asked before the second try after an ESTALE.</summary>
    public virtual Errno Revalidate() => Errno.OK;

    /// <summary>Applies a checked change (chmod, chown, truncate, utimensat). EROFS and EPERM where nothing can change.</summary>
    public virtual Errno SetAttributes(in AttributeChange change) => Errno.EPERM;

    /// <summary>
    /// Opens it: a new description with one reference. <paramref name="flags"/> are those of open(2); O_CREAT is set only when this
    /// very call has made the file, O_TRUNC only as a hint (the caller truncates through <see cref="SetAttributes"/> right after).
    /// Does not wait (<see cref="FileDescription.FinishOpen"/> does). Errors: ENXIO, EACCES, ENOMEM, EMFILE and the host's own.
    /// </summary>
    public abstract Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file);

    /// <summary>Finds a name in this directory: OK and the inode, ENOENT, or the host's error.</summary>
    public virtual Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        child = null;
        return Errno.ENOTDIR;
    }

    /// <summary>
    /// Emits the entries of this directory from <paramref name="position"/> (2 for the first) on, without dots, until all are
    /// told or the buffer is full; leaves the position of the first that was not. For <see cref="DirectoryDescription"/>.
    /// </summary>
    public virtual Errno ReadEntries(ref long position, ref DirectoryEmitter into) => Errno.ENOTDIR;

    /// <summary>Makes a file of any type under a name that does not exist. EEXIST, ENOSPC, EROFS, EPERM.</summary>
    public virtual Errno Create(string name, in NewInode what, out Inode? child)
    {
        child = null;
        return Errno.EPERM;
    }

    /// <summary>Makes a regular file without a name (O_TMPFILE). EOPNOTSUPP.</summary>
    public virtual Errno CreateUnnamed(in NewInode what, out Inode? child)
    {
        child = null;
        return Errno.EOPNOTSUPP;
    }

    /// <summary>Gives an inode of this file system one more name. EPERM, EMLINK, EXDEV, ENOENT when it has none and was not unnamed.</summary>
    public virtual Errno Link(string name, Inode target) => Errno.EPERM;

    /// <summary>Takes a name away: unlink(2), or rmdir(2) when the child is a directory (ENOTEMPTY).</summary>
    public virtual Errno Remove(string name, Inode child) => Errno.EPERM;

    /// <summary>
    /// Moves <paramref name="child"/> from here to <paramref name="newDirectory"/> (same file system), over <paramref name="replaced"/>
    /// if not null; with RENAME_EXCHANGE swaps them. Types have been checked. ENOTEMPTY, EXDEV, EINVAL for unknown flags.
    /// </summary>
    public virtual Errno Rename(string name, Inode child, Inode newDirectory, string newName, Inode? replaced, RenameFlags flags)
        => Errno.EPERM;

    /// <summary>The target of a symbolic link, one char per byte.</summary>
    public virtual Errno ReadLink(in Caller caller, out string target)
    {
        target = "";
        return Errno.EINVAL;
    }

    /// <summary>
    /// True for links that lead to an object and not through their text: /proc/self/fd/N, exe, cwd, root. Following them is
    /// <see cref="FollowMagic"/>; RESOLVE_NO_MAGICLINKS forbids it.
    /// </summary>
    public virtual bool IsMagicLink => false;

    /// <summary>Where a magic link leads. ENOENT, EACCES.</summary>
    public virtual Errno FollowMagic(in Caller caller, out VfsPath target)
    {
        target = default;
        return Errno.EINVAL;
    }

    /// <summary>A description stands for this inode; paired with <see cref="DropUser"/>. For files that live only while used.</summary>
    public virtual void AddUser()
    {
    }

    /// <summary>A description is gone.</summary>
    public virtual void DropUser()
    {
    }

    /// <summary>statfs(2); the file system's unless parts of it differ.</summary>
    public virtual Errno GetStatFs(out StatFs stat) => FileSystem.GetStatFs(out stat);

    /// <summary>getxattr(2): the size, or with a buffer the bytes copied; ENODATA, ERANGE, EOPNOTSUPP. The name has a known prefix.</summary>
    public virtual SysResult GetXattr(string name, Span<byte> value) => Errno.EOPNOTSUPP;

    /// <summary>setxattr(2); flags XATTR_CREATE 1, XATTR_REPLACE 2. EEXIST, ENODATA, ENOSPC, EOPNOTSUPP.</summary>
    public virtual Errno SetXattr(string name, ReadOnlySpan<byte> value, int flags) => Errno.EOPNOTSUPP;

    /// <summary>listxattr(2): names, each with its NUL; an empty buffer asks for the size. ERANGE.</summary>
    public virtual SysResult ListXattr(Span<byte> names) => 0;

    /// <summary>removexattr(2). ENODATA, EOPNOTSUPP.</summary>
    public virtual Errno RemoveXattr(string name) => Errno.EOPNOTSUPP;
}
