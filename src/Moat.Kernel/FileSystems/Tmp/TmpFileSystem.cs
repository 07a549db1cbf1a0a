using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Tmp;

/// <summary>
/// Files in memory (tmpfs(5)). Data lies in pages of the memory file, so reading and writing is one copy and mappings show the very
/// pages. All of a sandbox share one limit, half of its memory limit, for data and (a page each) for names.
/// </summary>
internal class TmpFileSystem : FileSystem
{
    private long _lastNumber;
    private readonly uint _rootMode;
    private TmpDirectory? _root;

    /// <summary>An empty file system whose root belongs to user 0; <paramref name="rootMode"/>: permission bits.</summary>
    public TmpFileSystem(FrameAllocator frames, uint rootMode = 0x3ff, string source = "tmpfs")
        : this(frames)
    {
        Source = source;
        _rootMode = rootMode;
    }

    /// <summary>For file systems with a root of their own.</summary>
    protected TmpFileSystem(FrameAllocator frames) => Frames = frames;

    public override string TypeName => "tmpfs";

    public override string Source { get; } = "tmpfs";

    public override Inode Root => LazyInitializer.EnsureInitialized(
        ref _root, () => new TmpDirectory(this, new NewInode { Mode = FileMode.S_IFDIR | _rootMode }, Device));

    /// <summary>F_GET_SEALS works on its files, as on tmpfs; on other file systems it is EINVAL.</summary>
    public virtual bool HasSeals => true;

    /// <summary>It stands for a disk's: what O_DIRECT asks of places, lengths and memory, bytes. 1: memory, which asks nothing.</summary>
    public virtual uint DirectAlignment => 1;

    /// <summary>The largest file, bytes.</summary>
    public virtual long MaxFileSize => long.MaxValue;

    /// <summary>Where pages come from.</summary>
    public FrameAllocator Frames { get; }

    /// <summary>A fresh inode number.</summary>
    public virtual ulong NextNumber() => (ulong)Interlocked.Increment(ref _lastNumber);

    /// <summary>Makes an inode of any type for a directory.</summary>
    internal virtual TmpInode Make(in NewInode what, ulong device) => (what.Mode & FileMode.S_IFMT) switch
    {
        FileMode.S_IFDIR => new TmpDirectory(this, in what, device),
        FileMode.S_IFREG => new TmpRegular(this, in what, device),
        FileMode.S_IFLNK => new TmpLink(this, in what, device),
        _ => new TmpSpecial(this, in what, device),
    };

    public override Errno GetStatFs(out StatFs stat)
    {
        const long TMPFS_MAGIC = 0x01021994;
        const ulong Page = FrameAllocator.PageSize;
        ulong total = Math.Min(Frames.StorageLimit, (ulong)GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2) / Page;
        ulong used = Math.Min(Frames.Stored / Page, total), names = Math.Min((ulong)Frames.Names, total);
        stat = new StatFs
        {
            f_type = TMPFS_MAGIC,
            f_bsize = (long)Page,
            f_frsize = (long)Page,
            f_blocks = total,
            f_bfree = total - used,
            f_bavail = total - used,
            f_files = total,
            f_ffree = total - names,
            f_fsid0 = (int)Device,
            f_namelen = 255,
        };
        return Errno.OK;
    }
}
