using System.Buffers.Binary;
using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>
/// The host's form of FPU state in signal frames (struct _fpstate with fpx_sw_bytes and the XSAVE header, arch/x86 uapi
/// sigcontext.h), learnt from a frame that no guest has touched.
/// </summary>
internal sealed class FpuFormat
{
    private const int MxcsrAt = 24, MxcsrMaskAt = 28, SoftwareAt = 464, LegacySize = 512, HeaderSize = 64;
    private const uint Magic1 = 0x46505853, Magic2 = 0x46505845;
    private const ulong LegacyFeatures = 3; // x87 and SSE

    private readonly byte[] _initial;
    private readonly int _stateSize;
    private readonly ulong _features;
    private readonly uint _mxcsrMask;

    private FpuFormat(byte[] initial, int stateSize, ulong features, uint mxcsrMask)
    {
        _initial = initial;
        _stateSize = stateSize;
        _features = features;
        _mxcsrMask = mxcsrMask;
    }

    /// <summary>Bytes of the whole area, the trailing magic word included.</summary>
    public int Size => _initial.Length;

    /// <summary>Reads the form from the frame at an offset of a slot. Throws <see cref="HostException"/> when the host has no XSAVE frames.</summary>
    public static FpuFormat Read(ReadOnlySpan<byte> slot, int offset)
    {
        if (offset < Slot.SignalStack || offset + LegacySize + HeaderSize > slot.Length)
            throw new HostException("the host's signal frames carry no FPU state");
        ReadOnlySpan<byte> area = slot[offset..];
        int size = BinaryPrimitives.ReadInt32LittleEndian(area[(SoftwareAt + 4)..]);
        ulong features = BinaryPrimitives.ReadUInt64LittleEndian(area[(SoftwareAt + 8)..]);
        int stateSize = BinaryPrimitives.ReadInt32LittleEndian(area[(SoftwareAt + 16)..]);
        uint magic = BinaryPrimitives.ReadUInt32LittleEndian(area[SoftwareAt..]);
        if (magic != Magic1 || stateSize < LegacySize + HeaderSize || size != stateSize + 4 || size > area.Length)
            throw new HostException("the host's signal frames carry no XSAVE state");
        uint mask = BinaryPrimitives.ReadUInt32LittleEndian(area[MxcsrMaskAt..]);

        // Initial state: control words, and a header that says that every component is initial.
        byte[] initial = area[..size].ToArray();
        initial.AsSpan(0, SoftwareAt).Clear();
        initial.AsSpan(LegacySize, stateSize - LegacySize).Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(initial, 0x37f);
        BinaryPrimitives.WriteUInt32LittleEndian(initial.AsSpan(MxcsrAt), 0x1f80);
        BinaryPrimitives.WriteUInt32LittleEndian(initial.AsSpan(MxcsrMaskAt), mask);
        BinaryPrimitives.WriteUInt32LittleEndian(initial.AsSpan(stateSize), Magic2);
        return new FpuFormat(initial, stateSize, features, mask == 0 ? 0xffbf : mask);
    }

    /// <summary>Writes the initial state.</summary>
    public void Reset(Span<byte> area) => _initial.CopyTo(area);

    /// <summary>
    /// Writes a state from an untrusted frame, as rt_sigreturn understands it: without the magic words it is legacy FXSAVE
    /// state and the rest becomes initial. False, and the initial state, when the processor would refuse it.
    /// </summary>
    public bool Restore(Span<byte> area, ReadOnlySpan<byte> state)
    {
        Reset(area);
        if (state.Length < LegacySize)
            return false;

        // Each word that decides is read once, from the copy in the area, and then written as it was judged.
        bool extended = IsExtended(state);
        state[..SoftwareAt].CopyTo(area);
        uint mxcsr = BinaryPrimitives.ReadUInt32LittleEndian(area[MxcsrAt..]);
        ulong present = LegacyFeatures;
        if (extended)
        {
            state[LegacySize.._stateSize].CopyTo(area[LegacySize..]);
            present = BinaryPrimitives.ReadUInt64LittleEndian(area[LegacySize..]);
            // XRSTOR refuses a compacted form and any reserved bit of the header.
            if ((present & ~_features) != 0 || area.Slice(LegacySize + 8, HeaderSize - 8).ContainsAnyExcept((byte)0))
                mxcsr = uint.MaxValue;
        }

        if ((mxcsr & ~_mxcsrMask) != 0)
        {
            Reset(area);
            return false;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(area[MxcsrAt..], mxcsr);
        BinaryPrimitives.WriteUInt64LittleEndian(area[LegacySize..], present);
        return true;
    }

    private bool IsExtended(ReadOnlySpan<byte> state)
        => state.Length >= Size
            && BinaryPrimitives.ReadUInt32LittleEndian(state[SoftwareAt..]) == Magic1
            && BinaryPrimitives.ReadInt32LittleEndian(state[(SoftwareAt + 4)..]) == Size
            && BinaryPrimitives.ReadInt32LittleEndian(state[(SoftwareAt + 16)..]) == _stateSize
            && BinaryPrimitives.ReadUInt32LittleEndian(state[_stateSize..]) == Magic2;
}
