using System.Runtime.CompilerServices;
using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Platform;

namespace Moat.Kernel.IoUring;

/// <summary>
/// The memory that a ring shares with its guest: two ranges of the memory file. Each shared word has one writer and is accessed
/// in place; what the guest writes is any value at any time. Sizes and masks are kept here: their copies in the shared memory are
/// for the guest only. All words are on one cache line: guest and sentry take turns on two cores, and each line that both touch
/// costs a transfer there and one back, more than a few requests. Everything is where Linux has it.
/// </summary>
internal sealed unsafe class RingMemory
{
    private const uint SqHeadAt = 0, SqTailAt = 4, CqHeadAt = 8, CqTailAt = 12, ConstantsAt = 16, SqDroppedAt = 32, SqFlagsAt = 36, CqFlagsAt = 40,
        CqOverflowAt = 44;

    private readonly byte* _ring;
    private readonly uint* _sqHead, _sqTail, _cqHead, _cqTail, _sqFlags, _cqFlags, _sqDropped, _cqOverflow, _sqArray;
    private readonly IoUringSqe* _sqes;
    private readonly IoUringCqe* _cqes;
    private readonly RingLayout _layout;
    private readonly int _sqeShift, _cqeShift;

    // Rings in the guest's own memory (IORING_SETUP_NO_MMAP).
    private readonly PinnedMemory? _ringPin, _sqesPin;

    private RingMemory(in RingLayout layout, byte* ring, byte* sqes)
    {
        _layout = layout;
        _sqeShift = layout.SqeShift;
        _cqeShift = layout.CqeShift;
        SqEntries = layout.SqEntries;
        CqEntries = layout.CqEntries;
        // SAFETY: both ranges are as large as the layout needs, and live as long as this object is used.
        _ring = ring;
        _sqHead = (uint*)(_ring + SqHeadAt);
        _sqTail = (uint*)(_ring + SqTailAt);
        _cqHead = (uint*)(_ring + CqHeadAt);
        _cqTail = (uint*)(_ring + CqTailAt);
        _sqFlags = (uint*)(_ring + SqFlagsAt);
        _cqFlags = (uint*)(_ring + CqFlagsAt);
        _sqDropped = (uint*)(_ring + SqDroppedAt);
        _cqOverflow = (uint*)(_ring + CqOverflowAt);
        _cqes = (IoUringCqe*)(_ring + RingLayout.CqesAt);
        _sqArray = layout.HasArray ? (uint*)(_ring + layout.ArrayAt) : null;
        _sqes = (IoUringSqe*)sqes;
        uint* constants = (uint*)(_ring + ConstantsAt);
        constants[0] = SqEntries - 1;
        constants[1] = CqEntries - 1;
        constants[2] = SqEntries;
        constants[3] = CqEntries;
    }

    /// <summary>Rings in regions that the guest maps, zeroed and large enough.</summary>
    public RingMemory(FrameAllocator frames, in RingLayout layout, RingRegion ring, RingRegion sqes)
        : this(in layout, frames.Pointer(ring.Offset), frames.Pointer(sqes.Offset))
    {
    }

    /// <summary>Rings in the guest's own memory, which it takes over.</summary>
    public RingMemory(in RingLayout layout, PinnedMemory ring, PinnedMemory sqes)
        : this(in layout, ring.Pointer, sqes.Pointer)
    {
        _ringPin = ring;
        _sqesPin = sqes;
    }

    /// <summary>Entries of the submission ring, a power of two.</summary>
    public uint SqEntries { get; }

    /// <summary>Entries of the completion ring, a power of two.</summary>
    public uint CqEntries { get; }

    /// <summary>How it is laid out.</summary>
    public ref readonly RingLayout Layout => ref _layout;

    /// <summary>Lets go of the guest's own memory; nobody uses the rings any more.</summary>
    public void Unpin()
    {
        _ringPin?.Dispose();
        _sqesPin?.Dispose();
    }

    /// <summary>Where the guest finds each word, for io_uring_params.</summary>
    public void DescribeTo(ref IoUringParams p)
    {
        if (_sqesPin is not null)
            (GuestRing, GuestSqes) = (p.cq_off.user_addr, p.sq_off.user_addr);
        p.sq_off = new IoSqringOffsets
        {
            head = SqHeadAt,
            tail = SqTailAt,
            ring_mask = ConstantsAt,
            ring_entries = ConstantsAt + 8,
            flags = SqFlagsAt,
            dropped = SqDroppedAt,
            array = _sqArray == null ? 0 : _layout.ArrayAt,
            user_addr = _sqesPin is null ? 0 : p.sq_off.user_addr,
        };
        p.cq_off = new IoCqringOffsets
        {
            head = CqHeadAt,
            tail = CqTailAt,
            ring_mask = ConstantsAt + 4,
            ring_entries = ConstantsAt + 12,
            overflow = CqOverflowAt,
            cqes = RingLayout.CqesAt,
            flags = CqFlagsAt,
            user_addr = _ringPin is null ? 0 : p.cq_off.user_addr,
        };
    }

    /// <summary>The guest's submission tail: any value.</summary>
    public uint SqTail => Volatile.Read(ref *_sqTail);

    /// <summary>The guest's completion head: any value.</summary>
    public uint CqHead => Volatile.Read(ref *_cqHead);

    /// <summary>The guest's IORING_CQ_ flags: any value.</summary>
    public CqRingFlags CqFlags => (CqRingFlags)Volatile.Read(ref *_cqFlags);

    /// <summary>Tells the guest how far submission has come.</summary>
    public void PublishSqHead(uint head) => Volatile.Write(ref *_sqHead, head);

    /// <summary>Tells the guest of completions written before.</summary>
    public void PublishCqTail(uint tail) => Volatile.Write(ref *_cqTail, tail);

    /// <summary>Sets bits of the IORING_SQ_ flags.</summary>
    public void SetSqFlags(SqRingFlags bits) => Interlocked.Or(ref *_sqFlags, (uint)bits);

    /// <summary>Clears bits of the IORING_SQ_ flags.</summary>
    public void ClearSqFlags(SqRingFlags bits) => Interlocked.And(ref *_sqFlags, ~(uint)bits);

    /// <summary>The guest's counter of invalid indices in the array.</summary>
    public void PublishDropped(uint count) => Volatile.Write(ref *_sqDropped, count);

    /// <summary>The guest's counter of completions that are lost.</summary>
    public void PublishOverflow(uint count) => Volatile.Write(ref *_cqOverflow, count);

    /// <summary>Where some process has mapped the rings and the SQEs last: hints for <see cref="Ahead"/>; 0: nowhere yet.</summary>
    public ulong GuestRing, GuestSqes;

    /// <summary>Where the words and entries of the submission ring are, for the core that gathers them; null: the SQEs are large.</summary>
    public SubmissionRing? PlaceAt(object owner, ulong ring, ulong sqes) => _sqeShift != 0 ? null
        : new SubmissionRing(owner, ring + SqHeadAt, sqes, _sqArray == null ? 0 : ring + _layout.ArrayAt, SqEntries - 1);

    /// <summary>
    /// Fetches what a submission of <paramref name="count"/> SQEs touches, all at once; the places of CQEs are about to be written. Of the SQEs the
    /// first: the processor runs ahead of the others by itself. None of those that the other core gathers.
    /// </summary>
    public void Fetch(uint sqHead, uint cqTail, uint count, bool gathered)
    {
        const uint FirstSqes = 16, Most = 256;
        count = Math.Min(count, Most);
        uint cq = cqTail & (CqEntries - 1), cqes = Math.Min(count, CqEntries - cq) << _cqeShift;
        uint sq = sqHead & (SqEntries - 1), sqes = Math.Min(count, SqEntries - sq);
        // SAFETY: nothing is read or written.
        CacheLines.FetchToWrite(_ring, 1);
        CacheLines.FetchToWrite(_cqes + ((ulong)cq << _cqeShift), CacheLines.Of(cqes * (uint)sizeof(IoUringCqe)));
        if (gathered)
            return;
        if (_sqArray != null)
            CacheLines.Fetch(_sqArray + sq, CacheLines.Of(sqes * sizeof(uint)));
        CacheLines.Fetch(_sqes + ((ulong)sq << _sqeShift), Math.Min(sqes, FirstSqes) << _sqeShift);
    }

    /// <summary>
    /// What the program touches after a call that has submitted <paramref name="count"/> SQEs: the words that both sides write, its CQEs, the
    /// places of as many SQEs again; those that it has gathered are still there.
    /// </summary>
    public GuestLines Ahead(uint sqHead, uint cqTail, uint count, bool gathered)
    {
        const uint MostAtOnce = 16, Most = 128;
        count = Math.Min(count, Most);
        ulong sqe = (ulong)sizeof(IoUringSqe) << _sqeShift, cqe = (ulong)sizeof(IoUringCqe) << _cqeShift;
        uint sq = sqHead & (SqEntries - 1), sqes = Math.Min(count, SqEntries - sq);
        uint cqes = Math.Min(count, CqEntries), cq = (cqTail - cqes) & (CqEntries - 1);
        return new GuestLines
        {
            Shared = GuestLines.Range(GuestRing, CacheLines.Size),
            Results = GuestLines.Range(GuestRing + RingLayout.CqesAt + (cq * cqe), Math.Min(cqes, CqEntries - cq) * cqe),
            Requests = gathered ? 0 : GuestLines.Range(GuestSqes + (sq * sqe), Math.Min(sqes, MostAtOnce) * sqe),
        };
    }

    /// <summary>Copies the SQE for one place of the ring, each byte once. False: the index array points nowhere.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool ReadSqe(uint position, ref IoUringSqe into, out SqeHead head)
    {
        uint index = position & (SqEntries - 1);
        // SAFETY: the index is below SqEntries both for the array and for the SQEs; the copy stays within two SQEs.
        if (_sqArray != null)
        {
            index = Volatile.Read(ref _sqArray[index]);
            if (index >= SqEntries)
            {
                head = default;
                return false;
            }
        }
        byte* from = (byte*)(_sqes + ((ulong)index << _sqeShift));
        ref byte to = ref Unsafe.As<IoUringSqe, byte>(ref into);
        // The first word is looked at while it is in a register: reading it back from the copy would stall.
        ulong first = Volatile.Read(ref *(ulong*)from);
        Unsafe.WriteUnaligned(ref to, first);
        Unsafe.CopyBlockUnaligned(ref Unsafe.Add(ref to, sizeof(ulong)), ref from[sizeof(ulong)], (uint)(sizeof(IoUringSqe) - sizeof(ulong)));
        head = new SqeHead(first);
        return true;
    }

    /// <summary>
    /// Writes the CQEs of SQEs from <paramref name="position"/> on that are NOPs without flags, as long as they are, to places from
    /// <paramref name="cqPosition"/> on. Returns how many. Each word is read once.
    /// </summary>
    public uint CompleteNops(uint position, uint cqPosition, uint most)
    {
        uint mask = SqEntries - 1, done = 0;
        for (; done < most; done++)
        {
            uint index = (position + done) & mask;
            // SAFETY: as in ReadSqe.
            if (_sqArray != null)
            {
                index = Volatile.Read(ref _sqArray[index]);
                if (index > mask)
                    break;
            }
            IoUringSqe* sqe = _sqes + ((ulong)index << _sqeShift);
            // Opcode, flags and priority; the operation's flags; personality.
            if ((Volatile.Read(ref *(uint*)sqe) | Volatile.Read(ref sqe->nop_flags) | Volatile.Read(ref sqe->personality)) != 0)
                break;
            WriteCqe(cqPosition + done, new IoUringCqe { user_data = sqe->user_data });
        }
        return done;
    }

    /// <summary>The same for those that have come with the call, from the <paramref name="first"/> on.</summary>
    public uint CompleteNops(ref GatheredEntries gathered, uint first, uint cqPosition, uint most)
    {
        uint done = 0;
        // A copy that stays in registers.
        GatheredEntries entries = gathered;
        for (; done < most && entries.TryTakeNop(first + done, out ulong userData); done++)
            WriteCqe(cqPosition + done, new IoUringCqe { user_data = userData });
        gathered = entries;
        return done;
    }

    /// <summary>Writes a CQE; the guest sees it with the next <see cref="PublishCqTail"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteCqe(uint position, in IoUringCqe cqe)
    {
        // SAFETY: the mask keeps the index below CqEntries; with a shift each has the room of two.
        IoUringCqe* at = _cqes + ((ulong)(position & (CqEntries - 1)) << _cqeShift);
        *at = cqe;
        if (_cqeShift != 0)
            at[1] = default;
    }

    /// <summary>Writes the second half of a large CQE: in the place itself (CQE32), or in the next one, which is not the ring's first (CQE_MIXED).</summary>
    public void WriteExtra(uint position, ulong first, ulong second)
    {
        // SAFETY: as above; the caller keeps the second half of a mixed one within the ring.
        IoUringCqe* at = _cqes + ((ulong)(position & (CqEntries - 1)) << _cqeShift) + 1;
        *at = new IoUringCqe { user_data = first, res = (int)second, flags = (uint)(second >> 32) };
    }

    /// <summary>Reads the second half of a large CQE.</summary>
    public (ulong First, ulong Second) PeekExtra(uint position)
    {
        IoUringCqe* at = _cqes + ((ulong)(position & (CqEntries - 1)) << _cqeShift) + 1; // SAFETY: as in WriteExtra.
        return (at->user_data, (uint)at->res | ((ulong)at->flags << 32));
    }

    /// <summary>
    /// Takes over what is in other rings with entries of the same sizes (IORING_REGISTER_RESIZE_RINGS): what the guest has submitted from
    /// <paramref name="sqHead"/> on, and what it has not consumed before <paramref name="cqTail"/>. EOVERFLOW when that does not fit.
    /// </summary>
    public Errno TakeOver(RingMemory from, uint sqHead, uint cqTail)
    {
        uint sqTail = from.SqTail, cqHead = from.CqHead;
        if (sqTail - sqHead > SqEntries || cqTail - cqHead > CqEntries || sqTail - sqHead > from.SqEntries || cqTail - cqHead > from.CqEntries)
            return Errno.EOVERFLOW;
        for (uint i = sqHead; i != sqTail; i++)
            CopySqe(i, from, i);
        for (uint i = cqHead; i != cqTail; i++)
        {
            WriteCqe(i, from.PeekCqe(i));
            if (_cqeShift != 0)
            {
                (ulong first, ulong second) = from.PeekExtra(i);
                WriteExtra(i, first, second);
            }
        }
        *_sqHead = sqHead;
        *_sqTail = sqTail;
        *_cqHead = cqHead;
        *_cqTail = cqTail;
        // What happened to the former ones meanwhile is not known: the program is to come by, as on Linux.
        *_sqFlags = *from._sqFlags | (uint)(SqRingFlags.NEED_WAKEUP | SqRingFlags.TASKRUN);
        *_cqFlags = *from._cqFlags;
        *_sqDropped = *from._sqDropped;
        *_cqOverflow = *from._cqOverflow;
        return Errno.OK;
    }

    private void CopySqe(uint position, RingMemory from, uint fromPosition)
    {
        // SAFETY: masked on both sides; both have SQEs of the same size.
        IoUringSqe* target = _sqes + ((ulong)(position & (SqEntries - 1)) << _sqeShift);
        IoUringSqe* source = from._sqes + ((ulong)(fromPosition & (from.SqEntries - 1)) << _sqeShift);
        new ReadOnlySpan<IoUringSqe>(source, 1 << _sqeShift).CopyTo(new Span<IoUringSqe>(target, 1 << _sqeShift));
    }

    /// <summary>Reads an SQE for fdinfo; torn when the guest writes meanwhile.</summary>
    public IoUringSqe PeekSqe(uint index) => _sqes[(ulong)(index & (SqEntries - 1)) << _sqeShift]; // SAFETY: masked.

    /// <summary>The index array's word for fdinfo, or the position itself without an array.</summary>
    public uint PeekIndex(uint position)
    {
        uint index = position & (SqEntries - 1);
        return _sqArray == null ? index : Volatile.Read(ref _sqArray[index]); // SAFETY: masked.
    }

    /// <summary>A word of the second half of a large SQE (IORING_SETUP_SQE128) for fdinfo.</summary>
    public ulong PeekSqeWord(uint index, int word)
        => ((ulong*)(_sqes + ((ulong)(index & (SqEntries - 1)) << _sqeShift) + 1))[word]; // SAFETY: masked; the caller stays below 8, and SQEs are large.

    /// <summary>
    /// What fdinfo shows at a place, which 6.18 counts in small CQEs even where all are large, and what follows it: 0 at the ring's end.
    /// </summary>
    public IoUringCqe PeekPlace(uint position, out ulong first, out ulong second)
    {
        uint index = position & (CqEntries - 1);
        // SAFETY: both places lie within the CQEs.
        IoUringCqe* next = index + 1 < CqEntries << _cqeShift ? _cqes + index + 1 : null;
        first = next == null ? 0 : next->user_data;
        second = next == null ? 0 : (uint)next->res | ((ulong)next->flags << 32);
        return _cqes[index];
    }

    /// <summary>Reads a CQE; torn when the guest writes meanwhile.</summary>
    public IoUringCqe PeekCqe(uint position) => _cqes[(ulong)(position & (CqEntries - 1)) << _cqeShift]; // SAFETY: masked.
}

/// <summary>Sizes of rings.</summary>
/// <param name="SqEntries">A power of two.</param>
/// <param name="CqEntries">A power of two.</param>
/// <param name="HasArray">There is an index array (no NO_SQARRAY).</param>
/// <param name="SqeShift">1: SQEs have 128 bytes.</param>
/// <param name="CqeShift">1: CQEs have 32 bytes.</param>
internal readonly record struct RingLayout(uint SqEntries, uint CqEntries, bool HasArray, int SqeShift, int CqeShift)
{
    private const uint Line = 64;

    /// <summary>Where the CQEs are.</summary>
    public const uint CqesAt = Line;

    /// <summary>Where the index array is, from a cache line's start on; large CQEs make all that is before it twice as large.</summary>
    public uint ArrayAt => (((CqesAt + (CqEntries * 16)) << CqeShift) + Line - 1) & ~(Line - 1);

    /// <summary>Bytes of the rings, whole pages.</summary>
    public ulong RingBytes => MemoryManager.PageUp(ArrayAt + (HasArray ? (ulong)SqEntries * 4 : 0));

    /// <summary>Bytes of the SQEs, whole pages.</summary>
    public ulong SqesBytes => MemoryManager.PageUp((ulong)SqEntries * 64 << SqeShift);
}

/// <summary>The first eight bytes of an SQE: opcode, flags, ioprio, fd.</summary>
internal readonly struct SqeHead(ulong word)
{
    /// <summary>sqe.opcode.</summary>
    public byte Opcode => (byte)word;

    /// <summary>sqe.flags has at most FIXED_FILE, and sqe.ioprio is zero.</summary>
    public bool IsPlain => (word & (0xffffff00 & ~((ulong)SqeFlags.FIXED_FILE << 8))) == 0;

    /// <summary>sqe.flags.</summary>
    public SqeFlags Flags => (SqeFlags)(byte)(word >> 8);
}
