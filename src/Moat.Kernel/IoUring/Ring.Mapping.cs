using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Platform;

namespace Moat.Kernel.IoUring;

/// <summary>What mmap(2) of a ring's descriptor shows.</summary>
internal sealed partial class Ring : IMappable
{
    // Under _regionsLock, a leaf: mappings come and go under the memory managers' locks.
    private readonly Lock _regionsLock = new();
    private readonly List<RingRegion> _regions = [];
    private RingRegion? _ringRegion, _sqesRegion, _firstSqesRegion, _parameterRegion;
    private uint _lastSerial;
    private long _mappedBytes;

    /// <inheritdoc/>
    public string MapName => "anon_inode:[io_uring]";

    /// <inheritdoc/>
    public bool IsSpecial => true;

    /// <inheritdoc/>
    public ulong ShownOffset(ulong offset)
    {
        ulong shown = offset & ((1UL << RingRegion.SerialShift) - 1);
        lock (_regionsLock)
        {
            if (RegionOf(offset, out _) is { Group: not ulong.MaxValue } region)
                shown |= region.Group << (int)IoUringConst.IORING_OFF_PBUF_SHIFT;
        }
        return shown;
    }

    /// <inheritdoc/>
    public ulong MapDevice => Inode.FileSystem.Device;

    /// <inheritdoc/>
    public ulong MapInode => GetStat(out Vfs.FileStat stat) == Errno.OK ? stat.Ino : 0;

    /// <inheritdoc/>
    public override Errno GetMappable(out IMappable? mappable)
    {
        mappable = this;
        return Errno.OK;
    }

    /// <summary>
    /// Rings are mapped where there is room, without execution, and always from the start of their zone: the upper bits of the offset say which,
    /// the rest is ignored (but a buffer ring's group). EPERM, ENOMEM, EFAULT (a part of a zone, but for the rings themselves).
    /// </summary>
    public Errno CheckMapping(ref MapRequest request)
    {
        RingRegion? region = RegionAt(ref request.FileOffset);
        if (region is null)
            return Errno.ENOMEM;
        request.MaxAccess &= ~MapAccess.Execute;
        if ((request.Access & MapAccess.Execute) != 0)
            return Errno.EPERM;
        return request.Length < region.Bytes && region != _ringRegion ? Errno.EFAULT : Errno.OK;
    }

    /// <inheritdoc/>
    public Errno Resolve(ulong offset, ulong length, out Backing backing)
    {
        backing = default;
        lock (_regionsLock)
        {
            RingRegion? region = RegionOf(offset, out ulong at);
            if (region is null || at >= region.Bytes)
                return Errno.ENXIO;
            backing = new Backing { HostFd = -1, Offset = region.Offset + at, Length = Math.Min(length, region.Bytes - at) };
        }
        return Errno.OK;
    }

    /// <inheritdoc/>
    public void AddMapping(ulong offset, ulong length)
    {
        if (Interlocked.Add(ref _mappedBytes, (long)length) == (long)length)
            AddReference();
        lock (_regionsLock)
        {
            if (RegionOf(offset, out _) is { } region)
                region.Mapped += length;
        }
    }

    /// <inheritdoc/>
    public void RemoveMapping(ulong offset, ulong length)
    {
        RingRegion? free = null;
        lock (_regionsLock)
        {
            RingRegion? region = RegionOf(offset, out _);
            if (region is not null)
            {
                region.Mapped -= length;
                if (region == _ringRegion || region == _sqesRegion)
                    ForgetPlace();
                if (region.Mapped == 0 && region.IsDropped)
                    free = region;
                if (free is not null)
                    _regions.Remove(free);
            }
        }
        if (free is not null)
            _sentry.Frames.Free(free.Offset, free.Bytes);
        if (Interlocked.Add(ref _mappedBytes, -(long)length) == 0)
            DropReference();
    }

    /// <summary>Allocates zeroed memory that the guest can map. ENOMEM.</summary>
    private Errno AddRegion(ulong bytes, out RingRegion? region, int group = -1, bool first = false)
    {
        region = null;
        bytes = MemoryManager.PageUp(bytes);
        Errno e = _sentry.Frames.Allocate(bytes, out ulong offset);
        if (e != Errno.OK)
            return e;
        lock (_regionsLock)
        {
            region = new RingRegion(first ? 0 : ++_lastSerial, offset, bytes) { Group = group < 0 ? ulong.MaxValue : (ulong)group };
            _regions.Add(region);
        }
        return Errno.OK;
    }

    /// <summary>The ring no longer has a region; its memory goes now, or with its last mapping.</summary>
    private void DropRegion(RingRegion region)
    {
        lock (_regionsLock)
        {
            region.IsDropped = true;
            if (region.Mapped != 0)
                return;
            _regions.Remove(region);
        }
        _sentry.Frames.Free(region.Offset, region.Bytes);
    }

    /// <summary>Counts memory of the ring as locked. ENOMEM.</summary>
    private Errno Charge(Task task, ulong bytes)
    {
        bytes = MemoryManager.PageUp(bytes);
        Errno e = _account?.Charge(task, bytes) ?? Errno.OK;
        if (e == Errno.OK)
            _charged += bytes;
        return e;
    }

    private void Uncharge(ulong bytes)
    {
        bytes = MemoryManager.PageUp(bytes);
        _account?.Uncharge(bytes);
        _charged -= bytes;
    }

    /// <summary>Gives all regions back; nobody maps the ring any more.</summary>
    private void FreeRegions()
    {
        foreach (RingRegion region in _regions)
            _sentry.Frames.Free(region.Offset, region.Bytes);
        _regions.Clear();
    }

    /// <summary>The region that mmap(2) means by an offset, which becomes one that tells regions apart.</summary>
    private RingRegion? RegionAt(ref ulong offset)
    {
        ulong zone = offset & IoUringConst.IORING_OFF_MMAP_MASK;
        ulong id = (offset & ~IoUringConst.IORING_OFF_MMAP_MASK) >> IoUringConst.IORING_OFF_PBUF_SHIFT;
        RingRegion? region;
        lock (_regionsLock)
        {
            region = zone switch
            {
                IoUringConst.IORING_OFF_SQ_RING or IoUringConst.IORING_OFF_CQ_RING => _ringRegion,
                IoUringConst.IORING_OFF_SQES => _sqesRegion,
                IoUringConst.IORING_OFF_PBUF_RING => _regions.Find(r => r.Group == id && !r.IsDropped),
                IoUringConst.IORING_MAP_OFF_PARAM_REGION => _parameterRegion,
                _ => null,
            };
        }
        offset = zone;
        if (region is not null)
            offset |= (ulong)region.Serial << RingRegion.SerialShift;
        return region;
    }

    /// <summary>The region of a mapping's offset. Under _regionsLock.</summary>
    private RingRegion? RegionOf(ulong offset, out ulong at)
    {
        uint serial = (uint)(offset >> RingRegion.SerialShift);
        ulong low = offset & ((1UL << RingRegion.SerialShift) - 1), zone = low & IoUringConst.IORING_OFF_MMAP_MASK;
        at = low - zone;
        foreach (RingRegion region in _regions)
        {
            if (region.Serial == serial && (serial != 0 || (region == _firstSqesRegion) == (zone == IoUringConst.IORING_OFF_SQES)))
                return region;
        }
        return null;
    }
}
