using Moat.Kernel.Memory;

namespace Moat.Kernel.IoUring;

/// <summary>
/// A ring of provided buffers (IORING_REGISTER_PBUF_RING) in memory that the guest writes: any value at any time, each word read once. The
/// tail is the guest's; how far buffers are used is kept here. Under the ring's lock.
/// </summary>
internal sealed unsafe class BufferRing
{
    private const int TailAt = 14;

    private readonly IoUringBuf* _entries;
    private readonly uint _mask;
    private readonly PinnedMemory? _pinned;
    private readonly uint? _minLeft;
    private ushort _head;

    /// <summary>A ring of <paramref name="entries"/> (a power of two) in the guest's own memory, which it takes over; <paramref name="minLeft"/>: incremental.</summary>
    public BufferRing(PinnedMemory memory, uint entries, uint? minLeft)
    {
        _pinned = memory;
        // SAFETY: pinned until Dispose, and as long as the entries need.
        _entries = (IoUringBuf*)memory.Pointer;
        _mask = entries - 1;
        _minLeft = minLeft;
    }

    /// <summary>A ring in a region that the guest maps.</summary>
    public BufferRing(FrameAllocator frames, RingRegion region, uint entries, uint? minLeft)
    {
        Region = region;
        // SAFETY: allocated until the region is dropped, and as long as the entries need.
        _entries = (IoUringBuf*)frames.Pointer(region.Offset);
        _mask = entries - 1;
        _minLeft = minLeft;
    }

    /// <summary>IOU_PBUF_RING_INC: a transfer uses up a part of a buffer, unless less than a minimum would be left.</summary>
    public bool IsIncremental => _minLeft is not null;

    /// <summary>The mapped region; null: the guest's own memory.</summary>
    public RingRegion? Region { get; }

    /// <summary>Entries in all.</summary>
    public uint Entries => _mask + 1;

    /// <summary>How many buffers have been used up, modulo 65536.</summary>
    public ushort Head => _head;

    /// <summary>Buffers that are there.</summary>
    public uint Available => Math.Min((ushort)(Volatile.Read(ref *(ushort*)((byte*)_entries + TailAt)) - _head), _mask + 1);

    /// <summary>Reads the buffer <paramref name="ahead"/> of the head; the caller has looked at <see cref="Available"/>.</summary>
    public ProvidedBuffer Peek(uint ahead)
    {
        IoUringBuf* entry = _entries + ((_head + ahead) & _mask); // SAFETY: masked.
        return new ProvidedBuffer
        {
            Address = Volatile.Read(ref entry->addr),
            Length = Volatile.Read(ref entry->len),
            Id = Volatile.Read(ref entry->bid),
        };
    }

    /// <summary>
    /// A transfer has used <paramref name="bytes"/> of the next <paramref name="count"/> buffers. True when no rest of one is left (always,
    /// unless incremental).
    /// </summary>
    public bool Commit(ulong bytes, int count)
    {
        if (!IsIncremental)
        {
            _head += (ushort)count;
            return true;
        }
        if (bytes == 0)
            return false;
        while (bytes != 0)
        {
            IoUringBuf* entry = _entries + (_head & _mask); // SAFETY: masked.
            uint length = Volatile.Read(ref entry->len), used = (uint)Math.Min(bytes, length);
            if ((used != length && length - used >= _minLeft) || used == 0)
            {
                Volatile.Write(ref entry->addr, Volatile.Read(ref entry->addr) + used);
                Volatile.Write(ref entry->len, length - used);
                return false;
            }
            Volatile.Write(ref entry->len, 0);
            _head++;
            bytes -= used;
        }
        return true;
    }

    /// <summary>Lets go of the guest's memory.</summary>
    public void Dispose() => _pinned?.Dispose();
}
