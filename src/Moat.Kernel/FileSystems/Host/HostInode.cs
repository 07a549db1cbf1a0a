using System.Text;
using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Host;

/// <summary>A file of the host: which one (device and number), and a name by which it is found again and then compared.</summary>
internal sealed partial class HostInode : Inode
{
    private readonly HostFileSystem _fileSystem;
    private readonly ulong _device, _number;
    private readonly HostHandle? _rootHandle;
    private readonly Lock _lock = new();
    private volatile Location _location;
    private volatile Attributes _attributes;
    private volatile string? _linkTarget;
    private HostHandle? _path, _open;
    private long _lookedAt = -1000;

    // Two references that change together are read as one.
    private sealed record Location(HostInode? Parent, string Name);

    private sealed record Attributes(InodePermissions Permissions);

    internal HostInode(HostFileSystem fileSystem, in Statx stat, HostInode? parent, string name, HostHandle? rootHandle)
        : base(fileSystem, stat.stx_mode)
    {
        _fileSystem = fileSystem;
        _device = DeviceNumber.Make(stat.stx_dev_major, stat.stx_dev_minor);
        _number = stat.stx_ino;
        _rootHandle = rootHandle;
        _location = new Location(parent, name);
        _attributes = new Attributes(new InodePermissions(stat.stx_mode, stat.stx_uid, stat.stx_gid));
        LinkCount = stat.stx_nlink;
    }

    private FileMappers? _mappers;

    /// <summary>The address spaces that map it: of files that can shrink.</summary>
    internal FileMappers Mappers => LazyInitializer.EnsureInitialized(ref _mappers);

    /// <summary>It ends here now: private copies of what it has no more go. The rest is the host's business.</summary>
    internal void Shrunk(long end) => Volatile.Read(ref _mappers)?.Shrunk((ulong)end);

    /// <summary>As last seen.</summary>
    public uint LinkCount { get; private set; }

    /// <summary>What it is interned by, in volumes.</summary>
    internal HostFileSystem.InodeKey Key { get; init; }

    public ulong Device => _device;

    public ulong Number => _number;

    /// <summary>Nobody in the sandbox writes it.</summary>
    internal bool IsLower => _fileSystem.Caching == NameCaching.Trusted;

    internal int RootFd => _rootHandle!.Fd;

    public override InodePermissions Permissions => _attributes.Permissions;

    /// <summary>Seen again, perhaps under another name.</summary>
    internal void Found(in Statx stat, HostInode parent, string name)
    {
        Location location = _location;
        if (location.Parent != parent || location.Name != name)
            _location = new Location(parent, name);
        Remember(in stat);
    }

    /// <summary>It was renamed by us.</summary>
    internal void Moved(HostInode parent, string name) => _location = new Location(parent, name);

    public override Errno GetStat(out FileStat stat)
    {
        Errno error = StatHost(out Statx host);
        stat = error == Errno.OK ? Convert(in host) : default;
        return error;
    }

    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        child = null;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        int result = HostFiles.StatAt(handle!.Fd, name, out Statx stat);
        if (result == -(int)Errno.ENOENT && IsRemoved(handle.Fd))
            result = -(int)Errno.ESTALE;
        handle.DropReference();
        if (result < 0)
            return (Errno)(-result);
        child = _fileSystem.Intern(in stat, this, name.ToString());
        return Errno.OK;
    }

    /// <summary>
    /// In a lower directory that the host has removed meanwhile nothing is found, though another may be in its place. Asked at most
    /// once a second.
    /// </summary>
    private bool IsRemoved(int fd)
    {
        long now = Environment.TickCount64;
        if (_fileSystem.Caching != NameCaching.Trusted || now - Volatile.Read(ref _lookedAt) < 1000)
            return false;
        Volatile.Write(ref _lookedAt, now);
        return HostFiles.Stat(fd, out Statx self) == 0 && self.stx_nlink == 0;
    }

    public override Errno ReadLink(in Caller caller, out string target)
    {
        // The target of a link never changes; a link that is replaced is another inode. In volumes numbers come again too soon for that.
        target = _linkTarget ?? "";
        if (target.Length > 0)
            return Errno.OK;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        Span<byte> text = stackalloc byte[4096];
        int length = HostFiles.ReadLinkAt(handle!.Fd, "", text);
        handle.DropReference();
        if (length < 0)
            return (Errno)(-length);
        target = Encoding.Latin1.GetString(text[..length]);
        if (_fileSystem.Caching == NameCaching.Trusted)
            _linkTarget = target;
        return Errno.OK;
    }

    public override Errno GetStatFs(out StatFs stat)
    {
        stat = default;
        Errno error = Pin(out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        int result = HostFiles.StatFs(handle!.Fd, out stat);
        handle.DropReference();
        return (Errno)(-result);
    }

    /// <summary>
    /// A descriptor of this very file with a reference for the caller: an open one, a remembered O_PATH one, or a fresh O_PATH one.
    /// ESTALE when the name now leads to another file.
    /// </summary>
    internal Errno Pin(out HostHandle? handle)
    {
        handle = _rootHandle;
        if (handle is not null)
            return handle.TryAddReference() ? Errno.OK : Errno.ESTALE;
        handle = Volatile.Read(ref _path);
        if (handle is not null && handle.TryAddReference())
        {
            handle.Referenced = true;
            return Errno.OK;
        }
        if (PinOpen(out handle))
            return Errno.OK;
        Location location = _location;
        Errno error = location.Parent!.Pin(out HostHandle? parent);
        if (error != Errno.OK)
            return error;
        int fd = HostFiles.OpenAt(parent!.Fd, location.Name, HostFiles.O_PATH | HostFiles.O_NOFOLLOW);
        parent.DropReference();
        if (fd < 0)
            return fd == -(int)Errno.ENOENT ? Errno.ESTALE : (Errno)(-fd);
        error = Compare(fd, out _);
        if (error != Errno.OK)
        {
            HostFiles.Close(fd);
            return error;
        }
        handle = new HostHandle(fd);
        handle.TryAddReference();
        Volatile.Write(ref _path, handle);
        _fileSystem.Handles.Add(handle);
        return Errno.OK;
    }

    private bool PinOpen(out HostHandle? handle)
    {
        handle = null;
        if (Volatile.Read(ref _open) is null)
            return false;
        lock (_lock)
        {
            for (handle = _open; handle is not null; handle = handle.NextOpen)
            {
                if (handle.TryAddReference())
                    return true;
            }
        }
        return false;
    }

    /// <summary>ESTALE when the name does not lead here any more.</summary>
    public override Errno Revalidate()
    {
        Location location = _location;
        if (location.Parent is null)
            return Errno.OK;
        Errno error = location.Parent.Pin(out HostHandle? parent);
        if (error != Errno.OK)
            return error;
        int result = HostFiles.StatAt(parent!.Fd, location.Name, out Statx stat);
        parent.DropReference();
        if (result == 0 && IsThis(in stat))
            return Errno.OK;
        return result < 0 && result != -(int)Errno.ENOENT ? (Errno)(-result) : Errno.ESTALE;
    }

    /// <summary>ESTALE unless a descriptor stands for this file.</summary>
    private Errno Compare(int fd, out Statx stat)
    {
        int error = HostFiles.Stat(fd, out stat);
        if (error < 0)
            return (Errno)(-error);
        return IsThis(in stat) ? Errno.OK : Errno.ESTALE;
    }

    private bool IsThis(in Statx stat)
        => stat.stx_ino == _number && DeviceNumber.Make(stat.stx_dev_major, stat.stx_dev_minor) == _device
            && (stat.stx_mode & FileMode.S_IFMT) == Type;

    private Errno StatHost(out Statx stat)
    {
        int result;
        HostHandle? handle = _rootHandle;
        if (handle is not null)
            result = HostFiles.Stat(handle.Fd, out stat);
        else if (PinOpen(out handle) || (handle = PinPath()) is not null)
        {
            result = HostFiles.Stat(handle!.Fd, out stat);
            handle.DropReference();
        }
        else
        {
            Location location = _location;
            Errno error = location.Parent!.Pin(out HostHandle? parent);
            stat = default;
            if (error != Errno.OK)
                return error;
            result = HostFiles.StatAt(parent!.Fd, location.Name, out stat);
            parent.DropReference();
            if (result == -(int)Errno.ENOENT || (result == 0 && !IsThis(in stat)))
                return Errno.ESTALE;
        }
        if (result < 0)
            return (Errno)(-result);
        Remember(in stat);
        return Errno.OK;
    }

    private void Remember(in Statx stat)
    {
        LinkCount = stat.stx_nlink;
        InodePermissions seen = new(stat.stx_mode, stat.stx_uid, stat.stx_gid);
        if (seen != _attributes.Permissions)
            _attributes = new Attributes(seen);
    }

    internal static FileStat Convert(in Statx host) => new()
    {
        Dev = DeviceNumber.Make(host.stx_dev_major, host.stx_dev_minor),
        Ino = host.stx_ino,
        Rdev = DeviceNumber.Make(host.stx_rdev_major, host.stx_rdev_minor),
        Mode = host.stx_mode,
        Nlink = host.stx_nlink,
        Uid = host.stx_uid,
        Gid = host.stx_gid,
        Size = (long)host.stx_size,
        Blocks = host.stx_blocks,
        BlockSize = host.stx_blksize,
        Atime = Time(host.stx_atime),
        Mtime = Time(host.stx_mtime),
        Ctime = Time(host.stx_ctime),
        Btime = Time(host.stx_btime),
        Mask = host.stx_mask & (StatxMask.STATX_BTIME | StatxMask.STATX_DIOALIGN),
        Attributes = host.stx_attributes & ~StatxMask.STATX_ATTR_MOUNT_ROOT,
        AttributesMask = host.stx_attributes_mask & ~StatxMask.STATX_ATTR_MOUNT_ROOT,
        DioMemoryAlign = host.stx_dio_mem_align,
        DioOffsetAlign = host.stx_dio_offset_align,
    };

    private static Timespec Time(StatxTimestamp t) => new() { Seconds = t.tv_sec, Nanoseconds = t.tv_nsec };
}
