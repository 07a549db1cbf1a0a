namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>Bytes that are locked (mlock(2)).</summary>
    public ulong LockedBytes { get; private set; }

    /// <summary>Bytes of registered buffers, whole pages, each as often as it is registered.</summary>
    public ulong PinnedBytes => (ulong)Interlocked.Read(ref _pinnedBytes);

    private long _pinnedBytes;

    /// <summary>Counts a buffer that is registered, or no longer.</summary>
    public void CountPinned(long bytes) => Interlocked.Add(ref _pinnedBytes, bytes);

    /// <summary>Bytes mapped now (VmSize).</summary>
    public ulong TotalBytes => _vmas.TotalBytes;

    /// <summary>Most bytes ever mapped at a time (VmPeak).</summary>
    public ulong PeakBytes { get; private set; }

    /// <summary>The loaded program's strings and vectors.</summary>
    public ProgramArea Program { get; set; } = new();
}

/// <summary>Where the loader put things, for /proc/PID/stat, cmdline, environ and auxv. Addresses in the guest.</summary>
internal sealed class ProgramArea
{
    /// <summary>First byte of executable segments, and first byte behind them.</summary>
    public ulong CodeStart { get; init; }

    public ulong CodeEnd { get; init; }

    /// <summary>First byte of the highest segment, and first byte behind the file's part of all.</summary>
    public ulong DataStart { get; init; }

    public ulong DataEnd { get; init; }

    /// <summary>argv's strings: first byte and first byte behind.</summary>
    public ulong ArgumentStart { get; init; }

    public ulong ArgumentEnd { get; init; }

    /// <summary>envp's strings.</summary>
    public ulong EnvironmentStart { get; init; }

    public ulong EnvironmentEnd { get; init; }

    /// <summary>The first stack pointer.</summary>
    public ulong StackStart { get; init; }

    /// <summary>The auxiliary vector, pairs of type and value.</summary>
    public ulong[] AuxiliaryVector { get; init; } = [];
}
