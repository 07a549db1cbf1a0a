using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>Entries of a submission ring that come with the call.</summary>
public sealed unsafe partial class TrapThread
{
    private SubmissionRing? _gathers;

    // Bytes of words that came with the last call: the next is likely to bring as many.
    private uint _gatheredBytes;

    // They came with this call.
    private bool _hasGathered;

    /// <inheritdoc/>
    public override SubmissionRing? Gathers => _gathers;

    /// <inheritdoc/>
    public override void Gather(SubmissionRing ring)
    {
        ArgumentNullException.ThrowIfNull(ring);
        if (!_fast)
            return;
        _gathers = ring;
        *(uint*)(_slot + Slot.GatherMask) = ring.Mask;
        *(ulong*)(_slot + Slot.GatherEntries) = ring.Entries;
        *(ulong*)(_slot + Slot.GatherArray) = ring.Array;
        *(ulong*)(_slot + Slot.GatherWords) = ring.Words;
        Volatile.Write(ref *(uint*)(_slot + Slot.GatherDescriptor), *(uint*)(_slot + Slot.Arguments));
    }

    /// <inheritdoc/>
    public override bool TryTakeGathered(out GatheredEntries entries)
    {
        // The stub notes the number of the event before.
        _hasGathered = _fast && Volatile.Read(ref *(uint*)(_slot + Slot.GatheredEvent)) + 1 == _event;
        if (!_hasGathered)
        {
            entries = default;
            return false;
        }

        entries = new GatheredEntries(_slot);
        _gatheredBytes = Math.Min(*(uint*)(_slot + Slot.GatheredBytes), Slot.MostGathered * Slot.EntryBytes);
        return true;
    }

    // On the way to the call: the lines come while others are looked at.
    private void FetchGathered()
    {
        if (_gathers is not null && *(uint*)(_slot + Slot.Number) == StubGuestCode.SYS_io_uring_enter)
            CacheLines.Fetch(_slot + Slot.GatheredEvent, GatheredLines);
    }

    private uint GatheredLines => CacheLines.Of(Slot.GatheredWords - Slot.GatheredEvent + _gatheredBytes);

    private void ForgetGather()
    {
        _gathers = null;
        _hasGathered = false;
        *(uint*)(_slot + Slot.GatherDescriptor) = uint.MaxValue;
        *(uint*)(_slot + Slot.GatheredEvent) = 0;
    }
}
