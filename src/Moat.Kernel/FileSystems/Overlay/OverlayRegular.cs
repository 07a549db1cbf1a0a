using Moat.Kernel.FileSystems.Host;
using Moat.Kernel.FileSystems.Tmp;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Overlay;

/// <summary>A regular file of the lower layer: read from the host until it is opened for writing, which copies it into memory.</summary>
internal sealed class OverlayRegular : TmpRegular
{
    private bool _isUp;

    public OverlayRegular(OverlayFileSystem fileSystem, HostInode lower, OverlayDirectory foundIn, string foundAs)
        : base(fileSystem, lower, foundIn, foundAs)
    {
    }

    /// <summary>The content is in memory.</summary>
    public bool IsUp => Volatile.Read(ref _isUp);

    public override Errno GetStat(out FileStat stat)
    {
        Errno error = base.GetStat(out stat);
        if (error == Errno.OK && IsOwn && !IsUp && Lower!.GetStat(out FileStat lower) == Errno.OK)
            (stat.Size, stat.Blocks) = (lower.Size, lower.Blocks);
        return error;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        if (!IsUp && (flags & OpenFlags.O_ACCMODE) is OpenFlags.O_WRONLY or OpenFlags.O_RDWR)
        {
            Errno error = BringUp((flags & OpenFlags.O_TRUNC) != 0 ? 0 : long.MaxValue);
            if (error != Errno.OK)
                return error;
        }
        if (IsUp)
            return base.Open(in caller, path, flags, out file);
        Errno opened = Lower!.OpenHandle(flags, out HostHandle? handle);
        if (opened != Errno.OK)
            return opened;
        Lower.Opened(handle!);
        file = new LowerFile(this, Lower, handle!, flags);
        return Errno.OK;
    }

    protected internal override Errno BringUp(long keep)
    {
        if (IsUp)
            return Errno.OK;
        Errno error = Own();
        if (error != Errno.OK)
            return error;
        if (keep == 0)
            return CopyUp(-1, 0, ref _isUp);
        error = Lower!.OpenHandle(OpenFlags.O_RDONLY, out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        error = Lower.GetStat(out FileStat stat);
        if (error == Errno.OK)
            error = CopyUp(handle!.Fd, Math.Min(keep, stat.Size), ref _isUp);
        handle!.DropReference();
        return error;
    }

    protected override void Keep()
    {
        base.Keep();
        ((OverlayFileSystem)Tmp).Changed(this);
    }
}

/// <summary>
/// A lower file opened for reading. Once the file is written to, reads see what was written; mappings made before keep showing the
/// lower file, as with overlayfs.
/// </summary>
internal sealed class LowerFile(OverlayRegular inode, HostInode lower, HostHandle handle, OpenFlags flags) : HostFile(lower, handle, flags)
{
    public override int HostDescriptor => inode.IsUp ? -1 : base.HostDescriptor;

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
        => inode.IsUp ? inode.Read(to, ref offset) : base.Read(to, ref offset, flags);

    public override SysResult Seek(long offset, int whence)
    {
        const int SEEK_END = 2, SEEK_DATA = 3;
        if (!inode.IsUp || whence < SEEK_END)
            return base.Seek(offset, whence);
        if (whence == SEEK_END)
            return base.Seek(inode.Size + offset, 0);
        SysResult found = inode.Seek(offset, whence == SEEK_DATA);
        if (!found.IsError)
            Position = found.Value;
        return found;
    }

    public override Errno GetMappable(out IMappable? mappable)
    {
        if (!inode.IsUp)
            return base.GetMappable(out mappable);
        // The content is in memory now.
        mappable = new UpperMapping(inode, MapName);
        return Errno.OK;
    }

    private sealed class UpperMapping(OverlayRegular inode, string name) : IMappable
    {
        public FileMappers? Mappers => inode.Mappers;

        public string MapName => name;

        public bool IsWrittenBack => true;

        public ulong MapDevice => inode.Device;

        public ulong MapInode => inode.Number;

        public Errno Resolve(ulong offset, ulong length, out Backing backing) => inode.Resolve(offset, length, out backing);

        public void AddMapping(ulong offset, ulong length) => inode.AddMapping(length);

        public void RemoveMapping(ulong offset, ulong length) => inode.RemoveMapping(length);
    }
}
