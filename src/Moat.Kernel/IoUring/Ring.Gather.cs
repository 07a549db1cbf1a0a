using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Platform;

namespace Moat.Kernel.IoUring;

/// <summary>SQEs that the guest's core hands over with the call, in few cache lines.</summary>
internal sealed partial class Ring
{
    /// <summary>From so many SQEs on it pays; and how many calls come between two searches for the mappings, at first and at most.</summary>
    private const int LeastGathered = 4, FirstSearch = 64, LastSearch = 1 << 16;

    // Where a program finds this ring; null once anybody has unmapped some of it, for something else may be there now. Set under _regionsLock.
    private SubmissionRing? _place;
    private uint _unmappings;
    private int _untilSearch, _searchEvery = FirstSearch;

    /// <summary>Where the task's program finds what it submits; null: not known. Another object each time that it was mapped.</summary>
    private SubmissionRing? PlaceFor(Task task)
    {
        SubmissionRing? place = Volatile.Read(ref _place);
        if (place is not null && place.Owner == task.Mm)
            return place;
        return --_untilSearch > 0 ? null : FindPlace(task.Mm);
    }

    private SubmissionRing? FindPlace(MemoryManager mm)
    {
        ulong ringAt, sqesAt, ringBytes, sqesBytes;
        uint unmappings;
        lock (_regionsLock)
        {
            unmappings = _unmappings;
            (ringAt, ringBytes) = FileRange(_ringRegion, IoUringConst.IORING_OFF_SQ_RING);
            (sqesAt, sqesBytes) = FileRange(_sqesRegion, IoUringConst.IORING_OFF_SQES);
        }
        ulong ring = ringBytes == 0 ? 0 : mm.FindShared(this, ringAt, ringBytes);
        ulong sqes = ring == 0 ? 0 : mm.FindShared(this, sqesAt, sqesBytes);
        SubmissionRing? place = null;
        lock (_regionsLock)
        {
            if (sqes != 0 && _unmappings == unmappings)
            {
                (_memory.GuestRing, _memory.GuestSqes) = (ring, sqes);
                Volatile.Write(ref _place, place = _memory.PlaceAt(mm, ring, sqes));
            }
        }
        _searchEvery = place is null ? Math.Min(_searchEvery * 2, LastSearch) : FirstSearch;
        _untilSearch = _searchEvery;
        return place;
    }

    // Offsets of mappings, as RegionAt makes them. No bytes: the rings are in the guest's own memory.
    private static (ulong At, ulong Bytes) FileRange(RingRegion? region, ulong zone)
        => region is null ? default : (((ulong)region.Serial << RingRegion.SerialShift) | zone, region.Bytes);

    // Under _regionsLock.
    private void ForgetPlace()
    {
        _unmappings++;
        Volatile.Write(ref _place, null);
    }
}
