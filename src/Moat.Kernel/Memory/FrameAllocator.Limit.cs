namespace Moat.Kernel.Memory;

/// <summary>How likely it is that allocated memory is touched: what a limit does about it.</summary>
internal enum MemoryNeed
{
    /// <summary>Soon and whole: refused when it does not fit.</summary>
    Likely,

    /// <summary>Perhaps never (MAP_NORESERVE, a copy of a process): refused only while nothing is left.</summary>
    Unlikely,

    /// <summary>The guest touches memory that it was given: not refused; <see cref="MemoryWatch"/> sees to the rest.</summary>
    Owed,
}

/// <summary>
/// The limit is one of touched memory. While no more than that is allocated, nothing is looked at. Beyond it (overcommitted), an
/// allocation is refused if it does not fit beside what the host says is touched, and <see cref="MemoryWatch"/> looks after memory that
/// is touched without asking.
/// </summary>
internal sealed partial class FrameAllocator
{
    private ulong _stored;
    private long _names;

    /// <summary>Most bytes that guests may touch (--memory).</summary>
    public ulong Limit { get; set; } = ulong.MaxValue;

    /// <summary>Most bytes of files in memory.</summary>
    public ulong StorageLimit { get; set; } = ulong.MaxValue;

    /// <summary>Called when more is about to be allocated than the limit is. Any thread.</summary>
    public Action? Overcommitted { get; set; }

    /// <summary>Bytes that guests hold, at most: what is allocated and touched, and a few free ones that wait to be used again.</summary>
    public ulong Used => Math.Min(Charged, ResidentBytes);

    /// <summary>Bytes of files in memory; pages of theirs that are mapped but were never touched count only as long as they may be.</summary>
    public ulong Stored
    {
        get
        {
            ulong stored = Volatile.Read(ref _stored);
            return stored <= StorageLimit ? stored : Math.Min(stored, ResidentBytes);
        }
    }

    /// <summary>Allocates bytes of a file in memory. ENOSPC beyond either limit; <see cref="MemoryNeed.Unlikely"/>: holes that are mapped.</summary>
    public Errno AllocateStored(ulong length, out ulong offset, MemoryNeed need = MemoryNeed.Likely)
    {
        offset = 0;
        if (StorageLimit != ulong.MaxValue && need == MemoryNeed.Likely
            && (length > StorageLimit || (Volatile.Read(ref _stored) > StorageLimit - length && Stored > StorageLimit - length)))
        {
            return Errno.ENOSPC;
        }
        if (Allocate(length, out offset, need) != Errno.OK)
            return Errno.ENOSPC;
        Interlocked.Add(ref _stored, length);
        return Errno.OK;
    }

    /// <summary>Frees bytes of a file in memory.</summary>
    public void FreeStored(ulong offset, ulong length)
    {
        Interlocked.Add(ref _stored, 0 - length);
        Free(offset, length);
    }

    /// <summary>Names of files in memory.</summary>
    public long Names => Interlocked.Read(ref _names);

    /// <summary>One name more is allowed: one for each page of the storage limit. What it stands for lies in the sentry's own memory.</summary>
    public bool HasRoomForName => Names < (long)(StorageLimit / PageSize);

    /// <summary>Counts a name that came (1) or went (-1).</summary>
    public void CountName(int change) => Interlocked.Add(ref _names, change);

    private bool MayAllocate(ulong length, MemoryNeed need)
    {
        ulong charged = Volatile.Read(ref _charged);
        if (length <= Limit && charged <= Limit - length)
            return true;
        if (need == MemoryNeed.Likely && length > Limit)
            return false;
        Overcommitted?.Invoke();
        return need switch
        {
            MemoryNeed.Likely => Used <= Limit - length,
            MemoryNeed.Unlikely => Used < Limit,
            _ => true,
        };
    }
}
