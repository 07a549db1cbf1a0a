using Moat.Host;

namespace Moat.Kernel.Memory;

/// <summary>
/// Gives out page ranges of the memory file. What is allocated reads as zero; what is freed is zeroed in place and kept
/// (small ranges: the host need not find and clear pages again) or given back to the host (large ones). Thread-safe; its lock is a
/// leaf and never held during a host call.
/// </summary>
/// <remarks>
/// Guest memory lives in the upper part of the file, in slots with room below the first range, so that a mapping placed below its
/// neighbour finds the bytes below the neighbour's free (<see cref="AllocateNear"/>): adjacent guest mappings then have adjacent bytes
/// and merge, here and in the host. Everything else (files in memory, rings) is packed from the bottom.
/// </remarks>
internal sealed partial class FrameAllocator
{
    /// <summary>Bytes of a page.</summary>
    public const ulong PageSize = 4096;

    /// <summary>No neighbour to be near of.</summary>
    public const ulong NoHint = ulong.MaxValue;

    private const ulong HomeStart = 1UL << 40, HomeSlot = 1UL << 30;

    private readonly Lock _lock = new();
    private readonly ExtentSet _free = new();
    private readonly PinMap _pins = new();

    // Owners beside the first one.
    private readonly PinMap _shares = new();
    private readonly List<(ulong Start, ulong End)> _scratch = [];
    private ulong _charged;

    /// <summary>Manages all of <paramref name="file"/>.</summary>
    public FrameAllocator(MemoryFile file)
    {
        File = file;
        // Offset 0 stays unused: no frame has it, so a zero offset is never mistaken for one.
        _free.Add(PageSize, MemoryFile.Capacity);
    }

    /// <summary>The memory file.</summary>
    public MemoryFile File { get; }

    /// <summary>Bytes allocated now, touched or not.</summary>
    public ulong Charged => Volatile.Read(ref _charged);

    /// <summary>Allocates zeroed bytes, whole pages. ENOMEM beyond the limit.</summary>
    public Errno Allocate(ulong length, out ulong offset, MemoryNeed need = MemoryNeed.Likely)
    {
        offset = 0;
        if (!MayAllocate(length, need))
            return Errno.ENOMEM;
        lock (_lock)
        {
            _charged += length;
            if (_free.TryTakeLowest(length, 0, out offset))
            {
                Reused(length);
                return Errno.OK;
            }
            _charged -= length;
            return Errno.ENOMEM;
        }
    }

    /// <summary>
    /// Allocates zeroed bytes for guest memory, at <paramref name="hint"/> if that is free: the offset that makes them
    /// adjacent to a neighbour, or <see cref="NoHint"/>. ENOMEM beyond the limit.
    /// </summary>
    public Errno AllocateNear(ulong length, ulong hint, out ulong offset, MemoryNeed need = MemoryNeed.Likely)
    {
        offset = 0;
        if (!MayAllocate(length, need))
            return Errno.ENOMEM;
        lock (_lock)
        {
            _charged += length;
            offset = hint;
            if ((hint < MemoryFile.Capacity && hint + length <= MemoryFile.Capacity && _free.TryTake(hint, hint + length))
                || _free.TryTakeWithRoom(length, HomeSlot - Math.Min(length, HomeSlot / 2), HomeSlot, HomeStart, out offset)
                || _free.TryTakeLowest(length, 0, out offset))
            {
                Reused(length);
                return Errno.OK;
            }
            _charged -= length;
            return Errno.ENOMEM;
        }
    }

    /// <summary>Gives allocated bytes one owner more, who frees them like the others. Charged anew: ENOMEM.</summary>
    public Errno Share(ulong offset, ulong length)
    {
        if (!MayAllocate(length, MemoryNeed.Unlikely))
            return Errno.ENOMEM;
        lock (_lock)
        {
            _charged += length;
            _shares.Pin(offset, offset + length);
            return Errno.OK;
        }
    }

    /// <summary>True when some byte of the range has another owner.</summary>
    public bool IsShared(ulong offset, ulong length)
    {
        lock (_lock)
            return _shares.Overlaps(offset, offset + length);
    }

    /// <summary>The first part of a range that is pinned, or false.</summary>
    public bool FindPinned(ulong offset, ulong length, out ulong start, out ulong end)
    {
        start = end = 0;
        if (_pins.IsEmpty)
            return false;
        lock (_lock)
            return _pins.TryFind(offset, offset + length, out start, out end);
    }

    /// <summary>
    /// Frees allocated bytes, any part of what was allocated, whole pages. Nobody maps them any more; pinned parts are
    /// given back when the last pin goes.
    /// </summary>
    public void Free(ulong offset, ulong length)
    {
        if (length == 0)
            return;
        // A hint without the lock: bytes that one frees were shared by oneself, or under a lock that both took.
        if (_shares.IsEmpty)
        {
            FreeOwn(offset, length);
            return;
        }
        List<(ulong Start, ulong End)> own = [];
        lock (_lock)
        {
            _shares.TakeOne(offset, offset + length, own);
            _charged -= length;
            foreach ((ulong start, ulong end) in own)
                _charged += end - start;
        }
        foreach ((ulong start, ulong end) in own)
            FreeOwn(start, end - start);
    }

    private void FreeOwn(ulong offset, ulong length)
    {
        // A hint without the lock: a pin that matters here was made while the range was still mapped.
        if (!_pins.IsEmpty)
        {
            List<(ulong Start, ulong End)> unpinned = [];
            lock (_lock)
                _pins.Free(offset, offset + length, unpinned);
            CleanAndReturn(unpinned);
            return;
        }
        Clean(offset, length);
        lock (_lock)
            Return(offset, offset + length);
    }

    /// <summary>
    /// Keeps allocated bytes from being given out again until <see cref="Unpin"/>, even when they are freed. The caller
    /// makes sure that they are not freed right now.
    /// </summary>
    public void Pin(ulong offset, ulong length)
    {
        lock (_lock)
            _pins.Pin(offset, offset + length);
    }

    /// <summary>Takes one pin back.</summary>
    public void Unpin(ulong offset, ulong length)
    {
        List<(ulong Start, ulong End)>? released = null;
        lock (_lock)
        {
            _scratch.Clear();
            _pins.Unpin(offset, offset + length, _scratch);
            if (_scratch.Count != 0)
                released = [.. _scratch];
        }
        if (released is not null)
            CleanAndReturn(released);
    }

    /// <summary>True when some byte of the range is pinned.</summary>
    public bool IsPinned(ulong offset, ulong length)
    {
        if (_pins.IsEmpty)
            return false;
        lock (_lock)
            return _pins.Overlaps(offset, offset + length);
    }

    private void CleanAndReturn(List<(ulong Start, ulong End)> ranges)
    {
        foreach ((ulong start, ulong end) in ranges)
        {
            Clean(start, end - start);
            lock (_lock)
                Return(start, end);
        }
    }

    private void Return(ulong start, ulong end)
    {
        _charged -= end - start;
        _free.Add(start, end);
    }
}
