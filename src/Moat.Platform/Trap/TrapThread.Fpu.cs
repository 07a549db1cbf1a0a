namespace Moat.Platform.Trap;

/// <summary>FPU state: the XSAVE area of the frame in the slot.</summary>
public sealed unsafe partial class TrapThread
{
    // Stands in when the guest has broken its own frame; such a thread dies at the next switch.
    private byte[]? _noFpu;

    /// <inheritdoc/>
    public override Span<byte> FpuState
    {
        get
        {
            FpuFormat format = _space.Platform.Fpu!; // known since the first thread's start
            int offset = FpuOffset();
            if (offset >= Slot.SignalStack && offset + format.Size <= (int)Slot.Size)
                return new Span<byte>(_slot + offset, format.Size);
            _space.Kill();
            _noFpu ??= new byte[format.Size];
            format.Reset(_noFpu);
            return _noFpu;
        }
    }

    /// <inheritdoc/>
    public override bool RestoreFpuState(ReadOnlySpan<byte> state) => _space.Platform.Fpu!.Restore(FpuState, state);

    /// <inheritdoc/>
    public override void ResetFpuState() => _space.Platform.Fpu!.Reset(FpuState);

    // Offset of the FPU state in the slot, or -1: the pointer is guest memory, and it must be aligned for XRSTOR.
    private int FpuOffset()
    {
        ulong pointer = Volatile.Read(ref *(ulong*)(Frame() + Slot.ContextFpuPointer));
        return (pointer & 63) == 0 && InSlot(pointer, 0) ? (int)(pointer - _stubSlot) : -1;
    }
}
