using System.Runtime.CompilerServices;
using Moat.Kernel.Memory;

namespace Moat.Kernel.IoUring;

/// <summary>
/// The memory that a ring shares with its guest: two ranges of the memory file. Each shared word has one writer and is accessed
/// in place; what the guest writes is any value at any time. Sizes and masks are kept here: their copies in the shared memory are
/// for the guest only. All words are on one cache line: guest and sentry take turns on two cores, and each line that both touch
/// costs a transfer there and one back, more than a few requests.
/// </summary>
internal sealed unsafe class RingMemory
{
    private const uint Line = 64;
    private const uint SqHeadAt = 0, SqTailAt = 4, CqHeadAt = 8, CqTailAt = 12, SqFlagsAt = 16, CqFlagsAt = 20, CountersAt = 24,
        ConstantsAt = 32, CqesAt = Line;

    private readonly byte* _ring;
    private readonly uint* _sqHead, _sqTail, _cqHead, _cqTail, _sqFlags, _cqFlags, _sqDropped, _cqOverflow, _sqArray;
    private readonly IoUringSqe* _sqes;
    private readonly IoUringCqe* _cqes;

    private RingMemory(FrameAllocator frames, uint sqEntries, uint cqEntries, bool array, ulong ringOffset, ulong sqesOffset)
    {
        RingOffset = ringOffset;
        SqesOffset = sqesOffset;
        RingBytes = RingSize(sqEntries, cqEntries, array);
        SqesBytes = RoundToPage((ulong)sqEntries * (ulong)sizeof(IoUringSqe));
        SqEntries = sqEntries;
        CqEntries = cqEntries;
        // SAFETY: both ranges are allocated, as large as the layout needs, and live until Free.
        _ring = frames.Pointer(ringOffset);
        _sqHead = (uint*)(_ring + SqHeadAt);
        _sqTail = (uint*)(_ring + SqTailAt);
        _cqHead = (uint*)(_ring + CqHeadAt);
        _cqTail = (uint*)(_ring + CqTailAt);
        _sqFlags = (uint*)(_ring + SqFlagsAt);
        _cqFlags = (uint*)(_ring + CqFlagsAt);
        _sqDropped = (uint*)(_ring + CountersAt);
        _cqOverflow = _sqDropped + 1;
        _cqes = (IoUringCqe*)(_ring + CqesAt);
        _sqArray = array ? (uint*)(_ring + ArrayAt(cqEntries)) : null;
        _sqes = (IoUringSqe*)frames.Pointer(sqesOffset);
        uint* constants = (uint*)(_ring + ConstantsAt);
        constants[0] = sqEntries - 1;
        constants[1] = cqEntries - 1;
        constants[2] = sqEntries;
        constants[3] = cqEntries;
    }

    /// <summary>Entries of the submission ring, a power of two.</summary>
    public uint SqEntries { get; }

    /// <summary>Entries of the completion ring, a power of two.</summary>
    public uint CqEntries { get; }

    /// <summary>Where the rings are in the memory file, bytes.</summary>
    public ulong RingOffset { get; }

    /// <summary>Whole pages of the rings, bytes.</summary>
    public ulong RingBytes { get; }

    /// <summary>Where the SQEs are in the memory file, bytes.</summary>
    public ulong SqesOffset { get; }

    /// <summary>Whole pages of the SQEs, bytes.</summary>
    public ulong SqesBytes { get; }

    /// <summary>Allocates zeroed rings. Both counts are powers of two. ENOMEM.</summary>
    public static Errno Create(FrameAllocator frames, uint sqEntries, uint cqEntries, bool array, out RingMemory? memory)
    {
        memory = null;
        ulong ringBytes = RingSize(sqEntries, cqEntries, array);
        Errno e = frames.Allocate(ringBytes, out ulong ring);
        if (e != Errno.OK)
            return e;
        e = frames.Allocate(RoundToPage((ulong)sqEntries * (ulong)sizeof(IoUringSqe)), out ulong sqes);
        if (e != Errno.OK)
        {
            frames.Free(ring, ringBytes);
            return e;
        }
        memory = new RingMemory(frames, sqEntries, cqEntries, array, ring, sqes);
        return Errno.OK;
    }

    /// <summary>Where the guest finds each word, for io_uring_params.</summary>
    public void DescribeTo(ref IoUringParams p)
    {
        p.sq_off = new IoSqringOffsets
        {
            head = SqHeadAt,
            tail = SqTailAt,
            ring_mask = ConstantsAt,
            ring_entries = ConstantsAt + 8,
            flags = SqFlagsAt,
            dropped = CountersAt,
            array = _sqArray == null ? 0 : ArrayAt(CqEntries),
        };
        p.cq_off = new IoCqringOffsets
        {
            head = CqHeadAt,
            tail = CqTailAt,
            ring_mask = ConstantsAt + 4,
            ring_entries = ConstantsAt + 12,
            overflow = CountersAt + 4,
            cqes = CqesAt,
            flags = CqFlagsAt,
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
        byte* from = (byte*)(_sqes + index);
        ref byte to = ref Unsafe.As<IoUringSqe, byte>(ref into);
        // The first word is looked at while it is in a register: reading it back from the copy would stall.
        ulong first = Volatile.Read(ref *(ulong*)from);
        Unsafe.WriteUnaligned(ref to, first);
        Unsafe.CopyBlockUnaligned(ref Unsafe.Add(ref to, sizeof(ulong)), ref from[sizeof(ulong)], (uint)(sizeof(IoUringSqe) - sizeof(ulong)));
        head = new SqeHead(first);
        return true;
    }

    /// <summary>Writes a CQE; the guest sees it with the next <see cref="PublishCqTail"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteCqe(uint position, in IoUringCqe cqe)
    {
        // SAFETY: the mask keeps the index below CqEntries.
        _cqes[position & (CqEntries - 1)] = cqe;
    }

    /// <summary>Reads an SQE for fdinfo; torn when the guest writes meanwhile.</summary>
    public IoUringSqe PeekSqe(uint index) => _sqes[index & (SqEntries - 1)]; // SAFETY: masked.

    /// <summary>The index array's word for fdinfo, or the position itself without an array.</summary>
    public uint PeekIndex(uint position)
    {
        uint index = position & (SqEntries - 1);
        return _sqArray == null ? index : Volatile.Read(ref _sqArray[index]); // SAFETY: masked.
    }

    /// <summary>Reads a CQE for fdinfo; torn when the guest writes meanwhile.</summary>
    public IoUringCqe PeekCqe(uint position) => _cqes[position & (CqEntries - 1)]; // SAFETY: masked.

    private static uint ArrayAt(uint cqEntries) => CqesAt + (cqEntries * 16);

    private static ulong RingSize(uint sqEntries, uint cqEntries, bool array)
        => RoundToPage(ArrayAt(cqEntries) + (array ? (ulong)sqEntries * 4 : 0));

    private static ulong RoundToPage(ulong bytes) => (bytes + FrameAllocator.PageSize - 1) & ~(FrameAllocator.PageSize - 1);
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
