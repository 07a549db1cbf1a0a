using Moat.Kernel.FileSystems.Host;
using Moat.Kernel.FileSystems.Tmp;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Overlay;

/// <summary>
/// A host directory that guests may change without the host noticing: files in memory over a read-only lower layer. One inode
/// object stands for a file before and after it changes, so numbers, locks and open descriptions stay.
/// </summary>
/// <remarks>
/// A changed file is remembered by name in its directory; a removed lower name is hidden by a whiteout. A directory that moves
/// takes its lower directory along. Attributes and content come up separately: chmod copies no data.
/// </remarks>
internal sealed class OverlayFileSystem : TmpFileSystem
{
    // Far above what hosts use, since files made here share device numbers with host files.
    private const ulong FirstNumber = 1UL << 56;

    private readonly Lock _lock = new();
    private readonly Dictionary<(ulong Device, ulong Number), WeakReference<OverlayRegular>> _linked = [];
    private readonly HashSet<OverlayRegular> _changed = [];
    private readonly OverlayDirectory _root;
    private int _sweepAt = 256;

    public OverlayFileSystem(HostFileSystem lower, FrameAllocator frames)
        : base(frames)
    {
        Source = "moat";
        Device = lower.Device;
        _root = new OverlayDirectory(this, (HostInode)lower.Root, null, "");
    }

    public override string TypeName => "overlay";

    public override string Source { get; }

    public override ulong Device { get; }

    public override Inode Root => _root;

    public override bool HasSeals => false;

    /// <summary>Almost every disk's.</summary>
    public override uint DirectAlignment => 512;

    /// <summary>ext4's, with blocks of 4 KiB.</summary>
    public override long MaxFileSize => (1L << 44) - 4096;

    public override ulong NextNumber() => FirstNumber + base.NextNumber();

    public override Errno GetStatFs(out StatFs stat)
    {
        const long OVERLAYFS_SUPER_MAGIC = 0x794c7630;
        Errno error = base.GetStatFs(out stat);
        stat.f_type = OVERLAYFS_SUPER_MAGIC;
        return error;
    }

    internal override TmpInode Make(in NewInode what, ulong device)
        => (what.Mode & FileMode.S_IFMT) == FileMode.S_IFDIR ? new OverlayDirectory(this, in what, device) : base.Make(in what, device);

    /// <summary>The inode for a lower file. All names of one linked file get the same.</summary>
    internal TmpInode Wrap(HostInode lower, OverlayDirectory foundIn, string foundAs)
    {
        if (lower.IsDirectory)
            return new OverlayDirectory(this, lower, foundIn, foundAs);
        if (!lower.IsRegular)
            return new TmpLowerNode(this, lower, foundIn, foundAs);
        if (lower.LinkCount <= 1)
            return new OverlayRegular(this, lower, foundIn, foundAs);
        lock (_lock)
        {
            if (_linked.TryGetValue((lower.Device, lower.Number), out WeakReference<OverlayRegular>? weak) && weak.TryGetTarget(out OverlayRegular? known))
                return known;
            OverlayRegular made = new(this, lower, foundIn, foundAs);
            _linked[(lower.Device, lower.Number)] = new WeakReference<OverlayRegular>(made);
            if (_linked.Count >= _sweepAt)
                Sweep();
            return made;
        }
    }

    /// <summary>A linked file changed: its other names have to find it for as long as the sandbox lives.</summary>
    internal void Changed(OverlayRegular file)
    {
        lock (_lock)
        {
            if (_linked.ContainsKey((file.Device, file.Number)))
                _changed.Add(file);
        }
    }

    private void Sweep()
    {
        foreach (KeyValuePair<(ulong, ulong), WeakReference<OverlayRegular>> linked in _linked)
        {
            if (!linked.Value.TryGetTarget(out _))
                _linked.Remove(linked.Key);
        }
        _sweepAt = Math.Max(256, _linked.Count * 2);
    }
}
