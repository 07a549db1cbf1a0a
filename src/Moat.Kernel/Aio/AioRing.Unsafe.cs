using Moat.Kernel.Memory;

namespace Moat.Kernel.Aio;

/// <summary>
/// struct aio_ring in guest memory, at the address that is the context's name: a header and the events that ended. libaio and fio read it
/// without a system call and may move the head. Pinned: it stays, whatever the guest does to the mapping.
/// </summary>
internal sealed unsafe class AioRing : IDisposable
{
    /// <summary>Bytes before the first event.</summary>
    public const int HeaderSize = 32;

    private const uint AIO_RING_MAGIC = 0xa10a10a1, CompatibleFeatures = 1;
    private const int Number = 0, Slots = 1, HeadWord = 2, TailWord = 3, Magic = 4, Compatible = 5, HeaderLength = 7;

    private readonly PinnedRange _memory = new();
    private uint* _words;
    private IoEvent* _events;

    /// <summary>Takes over zeroed guest memory. EFAULT when somebody unmapped it meanwhile.</summary>
    public Errno Attach(MemoryManager mm, ulong address, ulong bytes)
    {
        Errno error = mm.Pin(new Syscalls.UserPtr(address), bytes, Platform.MapAccess.Read | Platform.MapAccess.Write, _memory);
        if (error != Errno.OK)
            return error;
        if (_memory.MayFault || !_memory.IsContiguous(out byte* first))
            return Errno.EFAULT;
        // SAFETY: pinned memory of this size, in one piece; it stays until Dispose.
        _words = (uint*)first;
        _events = (IoEvent*)(first + HeaderSize);
        Count = (uint)((bytes - HeaderSize) / IoEvent.Size);
        _words[Number] = 0;
        _words[Slots] = Count;
        _words[Magic] = AIO_RING_MAGIC;
        _words[Compatible] = CompatibleFeatures;
        _words[HeaderLength] = HeaderSize;
        return Errno.OK;
    }

    /// <summary>Slots for events.</summary>
    public uint Count { get; private set; }

    /// <summary>The slot of the oldest event: the guest may have moved it anywhere.</summary>
    public uint Head
    {
        // SAFETY: the header is pinned; the guest's word is brought into range.
        get => Volatile.Read(ref _words[HeadWord]) % Count;
        set => Volatile.Write(ref _words[HeadWord], value);
    }

    /// <summary>Shows the guest how far events go.</summary>
    // SAFETY: as above.
    public void PublishTail(uint tail) => Volatile.Write(ref _words[TailWord], tail);

    /// <summary>An event; <paramref name="slot"/> is below <see cref="Count"/>.</summary>
    // SAFETY: the slot lies within the pinned memory.
    public ref IoEvent this[uint slot] => ref _events[slot];

    public void Dispose() => _memory.Unpin();
}
