namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>Bytes that are locked (mlock(2)).</summary>
    public ulong LockedBytes { get; private set; }

    /// <summary>Most bytes ever mapped at a time (VmPeak).</summary>
    public ulong PeakBytes { get; private set; }

    /// <summary>The loaded program's strings and vectors.</summary>
    public ProgramArea Program { get; set; } = new();
}

/// <summary>Where the loader put what /proc/self/cmdline, environ and auxv show. Set as a whole.</summary>
internal sealed class ProgramArea
{
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
