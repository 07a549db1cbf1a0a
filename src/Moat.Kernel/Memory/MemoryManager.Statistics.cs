namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>Bytes that are locked (mlock(2)).</summary>
    public ulong LockedBytes { get; private set; }

    /// <summary>Most bytes ever mapped at a time (VmPeak).</summary>
    public ulong PeakBytes { get; private set; }
}
