using Moat.Kernel.Memory;

namespace Moat.Kernel.IoUring;

/// <summary>
/// Memory of a ring that the guest may map: the rings, the SQEs, buffer rings, parameter regions. It lives until the ring no longer has
/// it and nobody maps it.
/// </summary>
internal sealed class RingRegion(uint serial, ulong offset, ulong bytes)
{
    /// <summary>
    /// Tells regions apart in the file offsets of mappings: its bits above <see cref="SerialShift"/>. 0 for those that a ring begins with.
    /// </summary>
    public uint Serial => serial;

    /// <summary>Where it is in the memory file, bytes.</summary>
    public ulong Offset => offset;

    /// <summary>Whole pages, bytes.</summary>
    public ulong Bytes => bytes;

    /// <summary>The buffer group that it belongs to; <see cref="ulong.MaxValue"/>: none.</summary>
    public ulong Group { get; init; } = ulong.MaxValue;

    /// <summary>Bytes mapped, by all mappings together.</summary>
    public ulong Mapped;

    /// <summary>The ring has dropped it: the last mapping takes it along.</summary>
    public bool IsDropped;

    public const int SerialShift = 40;
}
