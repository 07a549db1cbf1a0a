using Moat.Host;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Host;

/// <summary>
/// A directory of the host and what is below it, reached only through descriptors of directories and single names, links never
/// followed by the host: "..", symbolic links and races on names do not lead out of it. Read-only it serves as the lower layer of an
/// overlay, and names are remembered; writable it is a volume, where others change names and every step looks afresh.
/// </summary>
internal sealed class HostFileSystem : FileSystem
{
    private readonly Lock _lock = new();
    private readonly Dictionary<InodeKey, WeakReference<HostInode>> _inodes = [];
    private readonly HostInode _root;
    private int _sweepAt = 1024;

    internal readonly record struct InodeKey(ulong Device, ulong Number, long BornSeconds, uint BornNanoseconds);

    private HostFileSystem(string source, int rootFd, in Statx stat, bool isReadOnly, NameCaching caching, HostHandleCache handles)
    {
        Source = source;
        IsReadOnly = isReadOnly;
        Caching = caching;
        Handles = handles;
        Device = DeviceNumber.Make(stat.stx_dev_major, stat.stx_dev_minor);
        _root = new HostInode(this, in stat, null, "", new HostHandle(rootFd));
    }

    public override string TypeName => "host";

    public override string Source { get; }

    public override ulong Device { get; }

    public override Inode Root => _root;

    public override bool IsReadOnly { get; }

    public override NameCaching Caching { get; }

    internal HostHandleCache Handles { get; }

    /// <summary>How many O_PATH descriptors a sandbox keeps at most, given RLIMIT_NOFILE.</summary>
    public static int HandlesFor(long descriptorLimit) => (int)Math.Clamp(descriptorLimit / 8, 64, 8192);

    /// <summary>
    /// Opens a host directory as a file system. <paramref name="isLower"/>: below an overlay, read-only. ENOENT, ENOTDIR, EACCES.
    /// </summary>
    public static Errno Open(string path, bool isLower, bool isReadOnly, HostHandleCache handles, out HostFileSystem? fileSystem)
    {
        fileSystem = null;
        int fd = HostFiles.OpenPath(path, HostFiles.O_PATH | HostFiles.O_DIRECTORY);
        if (fd < 0)
            return (Errno)(-fd);
        int error = HostFiles.Stat(fd, out Statx stat);
        if (error < 0)
        {
            HostFiles.Close(fd);
            return (Errno)(-error);
        }
        fileSystem = new HostFileSystem(path, fd, in stat, isReadOnly || isLower, isLower ? NameCaching.Trusted : NameCaching.Afresh, handles);
        return Errno.OK;
    }

    public override Errno GetStatFs(out StatFs stat) => _root.GetStatFs(out stat);

    public override Errno Sync()
    {
        if (IsReadOnly)
            return Errno.OK;
        // syncfs refuses O_PATH descriptors.
        int fd = HostFiles.Reopen(_root.RootFd, HostFiles.O_DIRECTORY);
        if (fd < 0)
            return (Errno)(-fd);
        int error = HostFiles.SyncFs(fd);
        HostFiles.Close(fd);
        return (Errno)(-error);
    }

    /// <summary>
    /// The inode for what was found in a directory. In volumes one host file is one inode, whatever name it was found by, so that
    /// locks meet; below an overlay the overlay sees to that.
    /// </summary>
    internal HostInode Intern(in Statx stat, HostInode parent, string name)
    {
        if (Caching == NameCaching.Trusted)
            return new HostInode(this, in stat, parent, name, null);
        InodeKey key = new(
            DeviceNumber.Make(stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino, stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec);
        lock (_lock)
        {
            if (_inodes.TryGetValue(key, out WeakReference<HostInode>? weak) && weak.TryGetTarget(out HostInode? known)
                && known.Type == (stat.stx_mode & FileMode.S_IFMT))
            {
                known.Found(in stat, parent, name);
                return known;
            }
            HostInode made = new(this, in stat, parent, name, null) { Key = key };
            _inodes[key] = new WeakReference<HostInode>(made);
            if (_inodes.Count >= _sweepAt)
                Sweep();
            return made;
        }
    }

    /// <summary>A name of it is gone. With the last one its number may come again for another file, within the same tick of its clock.</summary>
    internal void Removed(HostInode inode)
    {
        if (inode.LinkCount > 1 && !inode.IsDirectory)
            return;
        lock (_lock)
            _inodes.Remove(inode.Key);
    }

    private void Sweep()
    {
        List<InodeKey> dead = [];
        foreach (KeyValuePair<InodeKey, WeakReference<HostInode>> inode in _inodes)
        {
            if (!inode.Value.TryGetTarget(out _))
                dead.Add(inode.Key);
        }
        foreach (InodeKey key in dead)
            _inodes.Remove(key);
        _sweepAt = Math.Max(1024, _inodes.Count * 2);
    }
}
