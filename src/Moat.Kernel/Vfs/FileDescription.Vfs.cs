using Moat.Kernel.Memory;
using Moat.Platform;

namespace Moat.Kernel.Vfs;

internal abstract partial class FileDescription
{
    private Mount? _mount;
    private Dentry? _dentry;

    /// <summary>
    /// Where it was opened. What has no name anywhere (pipes, event descriptors) gets a place of its own when first asked.
    /// </summary>
    public VfsPath Path
    {
        get
        {
            if (Volatile.Read(ref _dentry) is null)
            {
                VfsPath place = MakePlace();
                Volatile.Write(ref _mount, place.Mount);
                if (Interlocked.CompareExchange(ref _dentry, place.Dentry, null) is null)
                    place.Inode.CountDescription(1);
            }
            return new VfsPath(_mount!, _dentry!);
        }

        // Set once, before anybody else sees the description.
        set
        {
            value.Inode.AddUser();
            value.Inode.CountDescription(1);
            _mount = value.Mount;
            Volatile.Write(ref _dentry, value.Dentry);
        }
    }

    /// <summary>Its name, if it has been opened by one or somebody asked.</summary>
    internal Dentry? KnownDentry => Volatile.Read(ref _dentry);

    /// <summary>Makes the place of what has no name anywhere.</summary>
    protected virtual VfsPath MakePlace() => AnonymousFileSystem.MakePlace(AnonymousName ?? "anon_inode:[unknown]");

    /// <summary>
    /// How long read(2) and write(2) wait at most, nanoseconds (SO_RCVTIMEO, SO_SNDTIMEO); <see cref="Tasks.Task.Forever"/>: no limit.
    /// </summary>
    public virtual long GetWaitTimeout(bool write) => Tasks.Task.Forever;

    /// <summary>The file behind it, for everything that is not reading or writing.</summary>
    public Inode Inode => Path.Inode;

    /// <summary>A lock was taken through it: closing has to look for locks.</summary>
    public bool HoldsLock { get; set; }

    /// <summary>The open that made this description also made the file (F_CREATED_QUERY).</summary>
    public bool WasCreated { get; set; }

    /// <summary>A descriptor of a table is closed: the table's POSIX locks on the file go, whichever descriptor took them (fcntl(2)).</summary>
    internal void DropTableLocks(FdTable table)
    {
        if (_dentry?.Inode.LocksIfAny is { } locks)
            locks.ClearRange(table, 0, long.MaxValue);
    }

    private void DropOwnLocks()
    {
        if (!HoldsLock)
            return;
        Inode.Locks.SetWhole(this, null);
        Inode.Locks.ClearRange(this, 0, long.MaxValue);
    }

    /// <summary>fstat(2).</summary>
    public virtual Errno GetStat(out FileStat stat) => Inode.GetStat(out stat);

    /// <summary>
    /// The part of open(2) that may wait: OK when the file is open, EAGAIN when the caller has to wait on <see cref="Waiters"/> and
    /// ask again (a FIFO without its other end), or the error of the open.
    /// </summary>
    public virtual Errno FinishOpen() => Errno.OK;

    /// <summary>
    /// getdents64(2): emits entries from <see cref="Position"/> on until the buffer is full, and moves it; called under
    /// <see cref="PositionLock"/>. ENOTDIR, ENOENT (deleted).
    /// </summary>
    public virtual Errno ReadDirectory(ref DirectoryEmitter into) => Errno.ENOTDIR;

    /// <summary>posix_fadvise(2); advice is valid.</summary>
    public virtual Errno Advise(long offset, long length, int advice) => Errno.OK;

    /// <summary>cachestat(2): nothing for what has no pages.</summary>
    public virtual Errno GetCacheCounts(in CacheRange range, out CacheCounts counts)
    {
        counts = default;
        return Errno.OK;
    }

    /// <summary>sync_file_range(2); arguments are valid. ESPIPE for what is no file, directory, link or block device.</summary>
    public virtual Errno SyncRange(long offset, long length, uint flags)
        => Inode.Type is FileMode.S_IFREG or FileMode.S_IFDIR or FileMode.S_IFLNK or FileMode.S_IFBLK ? Errno.OK : Errno.ESPIPE;

    /// <summary>
    /// As <see cref="GetMappable(out IMappable?)"/>, told what for: EPERM when a shared mapping may not write, and
    /// <paramref name="maximum"/> loses what mprotect(2) may not add later.
    /// </summary>
    public virtual Errno GetMappable(bool shared, bool write, ref MapAccess maximum, out IMappable? mappable) => GetMappable(out mappable);

    /// <summary>Seals of a memory file (F_GET_SEALS); EINVAL for everything else.</summary>
    public virtual SysResult GetSeals() => Errno.EINVAL;

    /// <summary>F_ADD_SEALS. EPERM, EBUSY; EINVAL when the file has no seals.</summary>
    public virtual Errno AddSeals(Seals seals) => Errno.EINVAL;

    /// <summary>
    /// F_SETPIPE_SZ (bytes given) and F_GETPIPE_SZ (-1): the size in bytes, or EBADF for what is no pipe.
    /// </summary>
    public virtual SysResult PipeSize(long bytes) => Errno.EBADF;

    /// <summary>RWF_NOWAIT is honoured; else preadv2(2) with it is EOPNOTSUPP.</summary>
    public virtual bool SupportsNoWait => true;

    /// <summary>RWF_DONTCACHE is taken: the file system has a page cache that data can be dropped from. The host answers for its own files.</summary>
    public virtual bool SupportsUncached => HostDescriptor >= 0;

    /// <summary>A host descriptor whose bytes are this file's, for copying on the host (copy_file_range, sendfile); -1: none.</summary>
    public virtual int HostDescriptor => -1;
}
