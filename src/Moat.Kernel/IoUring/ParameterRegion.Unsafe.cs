using Moat.Kernel.Memory;

namespace Moat.Kernel.IoUring;

/// <summary>struct io_uring_reg_wait: what a wait in io_uring_enter(2) is told, from a region (IORING_ENTER_EXT_ARG_REG).</summary>
internal struct RegWait
{
    public Timespec Time;
    public uint MinWaitMicroseconds, Flags;
    public ulong SignalMask;
    public uint SignalMaskSize;
}

/// <summary>Memory registered for the arguments of waits (IORING_REGISTER_MEM_REGION); the guest writes it at any time.</summary>
internal sealed unsafe class ParameterRegion
{
    private readonly byte* _memory;
    private readonly ulong _bytes;
    private readonly PinnedMemory? _pinned;

    /// <summary>The guest's own memory, which it takes over.</summary>
    public ParameterRegion(PinnedMemory memory)
    {
        _pinned = memory;
        _memory = memory.Pointer;
        _bytes = memory.Length;
    }

    /// <summary>A region that the guest maps.</summary>
    public ParameterRegion(FrameAllocator frames, RingRegion region)
    {
        _memory = frames.Pointer(region.Offset);
        _bytes = region.Bytes;
    }

    /// <summary>Reads an entry, each word once. False: it is not within the region, or its place is odd.</summary>
    public bool TryRead(ulong offset, out RegWait wait)
    {
        const ulong Size = 64;
        wait = default;
        if ((offset & 7) != 0 || offset > _bytes || _bytes - offset < Size)
            return false;
        // SAFETY: the entry lies within the region, which stays until the ring ends.
        ulong* at = (ulong*)(_memory + offset);
        wait.Time = new Timespec { Seconds = (long)Volatile.Read(ref at[0]), Nanoseconds = (long)Volatile.Read(ref at[1]) };
        ulong word = Volatile.Read(ref at[2]);
        wait.MinWaitMicroseconds = (uint)word;
        wait.Flags = (uint)(word >> 32);
        wait.SignalMask = Volatile.Read(ref at[3]);
        wait.SignalMaskSize = (uint)Volatile.Read(ref at[4]);
        return true;
    }

    /// <summary>Lets go of the guest's memory.</summary>
    public void Dispose() => _pinned?.Dispose();
}
