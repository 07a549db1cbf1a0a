using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.FileSystems.Tmp;

/// <summary>An open file in memory. Never waits for anything.</summary>
internal sealed partial class TmpFile(TmpRegular inode, OpenFlags flags) : FileDescription(flags), IMappable
{
    private long _mapped;
    private WritableMapping? _writable;

    public override bool IsSeekable => true;

    public override bool IsRegular => true;

    /// <summary>The path that /proc/self/maps shows.</summary>
    public string MapName => AnonymousFileSystem.Owns(Path) ? Path.Dentry.Name : Path.ToText(Path.Mount.Table.Root.RootPath);

    public ulong MapDevice => inode.Device;

    public ulong MapInode => inode.Number;

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        // At the end of a file there is nothing to read from a disk.
        if (IsUnaligned(to, offset) && offset < inode.Size)
            return Errno.EINVAL;
        SysResult result = inode.Read(to, ref offset);
        if ((Flags & OpenFlags.O_NOATIME) == 0)
            inode.Accessed();
        return result;
    }

    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
    {
        bool append = ((Flags & OpenFlags.O_APPEND) != 0 && (flags & RwFlags.RWF_NOAPPEND) == 0) || (flags & RwFlags.RWF_APPEND) != 0;
        if (IsUnaligned(from, append ? inode.Size : offset))
            return Errno.EINVAL;
        SysResult result = inode.Write(from, ref offset, append);
        if (result.Value > 0)
            inode.Modified(keepsSetIds: false);
        return result;
    }

    /// <summary>True when O_DIRECT does not go there (open(2)).</summary>
    private bool IsUnaligned(IoVector vector, long offset)
        => (Flags & OpenFlags.O_DIRECT) != 0 && (((ulong)offset | vector.GetAlignment()) & (inode.Tmp.DirectAlignment - 1)) != 0;

    public override Errno GetCacheCounts(in CacheRange range, out CacheCounts counts)
    {
        counts = new CacheCounts { Cached = inode.CountPages(range.Offset, range.Length) };
        return Errno.OK;
    }

    public override SysResult Seek(long offset, int whence)
    {
        const int SEEK_CUR = 1, SEEK_END = 2, SEEK_DATA = 3, SEEK_HOLE = 4;
        if (whence is SEEK_DATA or SEEK_HOLE)
        {
            SysResult found = inode.Seek(offset, whence == SEEK_DATA);
            if (!found.IsError)
                Position = found.Value;
            return found;
        }
        long from = whence switch { SEEK_CUR => Position, SEEK_END => inode.Size, _ => 0 };
        if (offset > 0 ? from > long.MaxValue - offset : from + offset < 0)
            return offset > 0 ? Errno.EOVERFLOW : Errno.EINVAL;
        return Position = from + offset;
    }

    public override SysResult Sync(bool dataOnly) => 0;

    public override Errno SyncRange(long offset, long length, uint flags) => Errno.OK;

    public override SysResult Allocate(int mode, long offset, long length) => inode.Allocate((FallocFlags)mode, offset, length);

    public override SysResult Truncate(long length) => inode.SetSize(length);

    public override SysResult GetSeals() => inode.Tmp.HasSeals ? (int)inode.CurrentSeals : Errno.EINVAL;

    public override Errno AddSeals(Seals seals)
        => !inode.Tmp.HasSeals ? Errno.EINVAL : CanWrite ? inode.AddSeals(seals) : Errno.EPERM;

    public override Errno GetMappable(out IMappable? mappable)
    {
        mappable = this;
        return Errno.OK;
    }

    public override Errno GetMappable(bool shared, bool write, ref MapAccess maximum, out IMappable? mappable)
    {
        mappable = this;
        if (!shared || !CanWrite)
            return Errno.OK;
        if ((inode.CurrentSeals & (Seals.F_SEAL_WRITE | Seals.F_SEAL_FUTURE_WRITE)) != 0)
        {
            maximum &= ~MapAccess.Write;
            return write ? Errno.EPERM : Errno.OK;
        }
        mappable = LazyInitializer.EnsureInitialized(ref _writable, () => new WritableMapping(this, inode));
        return Errno.OK;
    }

    /// <summary>Shared mappings that can write, which forbid F_SEAL_WRITE.</summary>
    private sealed class WritableMapping(TmpFile file, TmpRegular inode) : IMappable
    {
        public FileMappers? Mappers => inode.Mappers;

        public bool IsWrittenBack => file.IsWrittenBack;

        public string MapName => file.MapName;

        public ulong MapDevice => file.MapDevice;

        public ulong MapInode => file.MapInode;

        public Errno Resolve(ulong offset, ulong length, out Backing backing) => inode.Resolve(offset, length, out backing);

        public void AddMapping(ulong offset, ulong length)
        {
            inode.AddWritable((long)length);
            file.AddMapping(offset, length);
        }

        public void RemoveMapping(ulong offset, ulong length)
        {
            inode.AddWritable(-(long)length);
            file.RemoveMapping(offset, length);
        }
    }

    public FileMappers? Mappers => inode.Mappers;

    public bool IsWrittenBack => !inode.Tmp.HasSeals;

    public Errno Resolve(ulong offset, ulong length, out Backing backing) => inode.Resolve(offset, length, out backing);

    /// <summary>A mapping holds the description as a descriptor does (man 2 mmap).</summary>
    public void AddMapping(ulong offset, ulong length)
    {
        inode.AddMapping(length);
        if (Interlocked.Add(ref _mapped, (long)length) == (long)length)
            AddReference();
    }

    public void RemoveMapping(ulong offset, ulong length)
    {
        inode.RemoveMapping(length);
        if (Interlocked.Add(ref _mapped, -(long)length) == 0)
            DropReference();
    }

    protected override void Release() => inode.DropUser();
}
