namespace Moat.Kernel.Tasks;

/// <summary>Checked arguments of clone(2) and its like. Addresses are the guest's: any value.</summary>
internal readonly record struct CloneRequest
{
    /// <summary>CLONE_ flags without the exit signal.</summary>
    public CloneFlags Flags { get; init; }

    /// <summary>What the parent gets at the end; 0: nothing.</summary>
    public int ExitSignal { get; init; }

    /// <summary>The new stack pointer; 0: the caller's.</summary>
    public ulong StackPointer { get; init; }

    /// <summary>Thread pointer (CLONE_SETTLS).</summary>
    public ulong Tls { get; init; }

    /// <summary>Where the ids go (CLONE_PARENT_SETTID, CLONE_CHILD_SETTID and CLEARTID).</summary>
    public ulong ParentTid { get; init; }

    public ulong ChildTid { get; init; }

    /// <summary>Where the descriptor goes (CLONE_PIDFD).</summary>
    public ulong PidFd { get; init; }

    /// <summary>True when a flag is set.</summary>
    public bool Has(CloneFlags flag) => (Flags & flag) != 0;
}
