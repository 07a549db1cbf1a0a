using System.Runtime.CompilerServices;
using Moat.Kernel.FileSystems.Host;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Tmp;

/// <summary>A file in memory: its attributes. What has a lower file (the overlay) loads them from it when they first change.</summary>
internal abstract partial class TmpInode : Inode
{
    private uint _mode, _uid, _gid;
    private Timespec _atime, _mtime, _ctime, _btime;

    // atime is as it has to be until something changes.
    private volatile bool _accessed;

    private const long SecondsPerDay = 86400;

    /// <param name="fileSystem">Its file system.</param>
    /// <param name="what">Mode and owner.</param>
    /// <param name="device">st_dev.</param>
    protected TmpInode(TmpFileSystem fileSystem, in NewInode what, ulong device)
        : base(fileSystem, what.Mode)
    {
        Tmp = fileSystem;
        _mode = what.Mode;
        _uid = what.Uid;
        _gid = what.Gid;
        Rdev = what.Rdev;
        Device = device;
        Number = fileSystem.NextNumber();
        _atime = _mtime = _ctime = _btime = RealTime.Now;
        LinkCount = IsDirectory ? 2u : 1u;
    }

    /// <summary>A file of a lower layer, found under a name: its attributes are the lower file's until they change.</summary>
    protected TmpInode(TmpFileSystem fileSystem, HostInode lower, TmpDirectory? foundIn, string foundAs)
        : base(fileSystem, lower.Type)
    {
        Tmp = fileSystem;
        Device = lower.Device;
        Number = lower.Number;
        Lower = lower;
        _foundIn = foundIn;
        _foundAs = foundAs;
    }

    public TmpFileSystem Tmp { get; }

    /// <summary>st_dev.</summary>
    public ulong Device { get; }

    /// <summary>st_ino.</summary>
    public ulong Number { get; }

    /// <summary>st_nlink; under <see cref="State"/>.</summary>
    public uint LinkCount { get; protected set; }

    protected ulong Rdev { get; }

    /// <summary>Guards attributes, names and links. A leaf but for the frame allocator.</summary>
    protected Lock State { get; } = new();

    public virtual long Size => 0;

    /// <summary>512-byte units.</summary>
    protected virtual ulong Blocks => 0;

    public override InodePermissions Permissions => IsOwn ? new(_mode, _uid, _gid) : Lower.Permissions;

    public override Errno GetStat(out FileStat stat)
    {
        if (!IsOwn)
            return Lower.GetStat(out stat);
        lock (State)
        {
            stat = new FileStat
            {
                Dev = Device,
                Ino = Number,
                Rdev = Rdev,
                Mode = _mode,
                Nlink = LinkCount,
                Uid = _uid,
                Gid = _gid,
                Size = Size,
                Blocks = Blocks,
                BlockSize = 4096,
                Atime = _atime,
                Mtime = _mtime,
                Ctime = _ctime,
                Btime = _btime,
                Mask = StatxMask.STATX_BTIME,
            };
        }
        if (IsRegular && Tmp.DirectAlignment > 1)
        {
            stat.Mask |= StatxMask.STATX_DIOALIGN;
            stat.DioMemoryAlign = stat.DioOffsetAlign = Tmp.DirectAlignment;
        }
        return Errno.OK;
    }

    public override Errno SetAttributes(in AttributeChange change)
    {
        Errno error = Own();
        if (error == Errno.OK && change.Has(AttributeMask.Size))
            error = Resize(change.Size);
        if (error != Errno.OK)
            return error;
        lock (State)
        {
            if (change.Has(AttributeMask.Mode))
                _mode = (_mode & FileMode.S_IFMT) | (change.Mode & ~FileMode.S_IFMT);
            if (change.Has(AttributeMask.Uid))
                _uid = change.Uid;
            if (change.Has(AttributeMask.Gid))
                _gid = change.Gid;
            if (change.Has(AttributeMask.Atime))
                _atime = change.Atime;
            if (change.Has(AttributeMask.Mtime))
                _mtime = change.Mtime;
            _ctime = RealTime.Now;
            _accessed = false;
        }
        return Errno.OK;
    }

    /// <summary>truncate(2) of a regular file.</summary>
    protected virtual Errno Resize(long size) => Errno.EINVAL;

    /// <summary>Another name, or one less; under nothing. The last one of a file that nobody uses frees it.</summary>
    internal Errno AddLinks(int delta)
    {
        Errno error = Own();
        if (error != Errno.OK)
            return error;
        lock (State)
        {
            // Directories of some hosts have one link whatever is in them.
            LinkCount = (uint)Math.Max(0, (int)LinkCount + delta);
            _ctime = RealTime.Now;
        }
        if (LinkCount == 0)
            Unused();
        return Errno.OK;
    }

    /// <summary>No name is left.</summary>
    protected virtual void Unused()
    {
    }

    /// <summary>Content was written: mtime, ctime, and set-id bits that do not survive it.</summary>
    internal void Modified(bool keepsSetIds = true)
    {
        Timespec now = RealTime.Now;
        lock (State)
        {
            _mtime = _ctime = now;
            _accessed = false;
            if (!keepsSetIds)
                _mode = PathOperations.WithoutSetIds(_mode);
        }
    }

    /// <summary>Only ctime: the inode itself changed.</summary>
    internal void Changed()
    {
        Timespec now = RealTime.Now;
        lock (State)
        {
            _ctime = now;
            _accessed = false;
        }
    }

    /// <summary>Content was read: atime as relatime updates it (man 8 mount).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Accessed()
    {
        if (!_accessed)
            UpdateAtime();
    }

    /// <summary>It is opened: the next read looks at the clock again.</summary>
    protected void LookAtAtimeAgain() => _accessed = false;

    private void UpdateAtime()
    {
        if (!IsOwn)
            return;
        Timespec now = RealTime.Now;
        lock (State)
        {
            _accessed = true;
            // Once a day, and when it is older than the last change.
            if (!IsLater(_atime, _mtime) || !IsLater(_atime, _ctime) || now.Seconds - _atime.Seconds >= SecondsPerDay)
                _atime = now;
        }
    }

    private static bool IsLater(Timespec a, Timespec b) => a.Seconds > b.Seconds || (a.Seconds == b.Seconds && a.Nanoseconds > b.Nanoseconds);
}
