using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>Who may make rings: kernel.io_uring_disabled.</summary>
internal enum UringAccess
{
    /// <summary>Everybody.</summary>
    All = 0,

    /// <summary>Who has CAP_SYS_ADMIN or is in <see cref="UringSettings.Group"/>.</summary>
    Group = 1,

    /// <summary>Nobody.</summary>
    Disabled = 2,
}

/// <summary>How io_uring is in a sandbox; nothing of it changes once it runs.</summary>
internal sealed class UringSettings
{
    /// <summary>No group is meant (kernel.io_uring_group).</summary>
    public const int NoGroup = -1;

    private Operation?[]? _operations;

    /// <summary>As on a host that says nothing else.</summary>
    public static UringSettings Default { get; } = new();

    /// <summary>Who may make rings.</summary>
    public UringAccess Access { get; init; }

    /// <summary>The group whose members may in any case, or <see cref="NoGroup"/>.</summary>
    public int Group { get; init; } = NoGroup;

    /// <summary>What is allowed; null: everything.</summary>
    public UringPolicy? Policy { get; init; }

    /// <summary>What goes wrong on purpose; null: nothing.</summary>
    public UringFaults? Faults { get; init; }

    /// <summary>The operations by opcode, as rings find them: those that the policy denies are there, and refuse.</summary>
    public Operation?[] Operations => _operations ??= Build();

    /// <summary>True when somebody with these credentials may make a ring.</summary>
    public bool Admits(Credentials who) => Access switch
    {
        UringAccess.All => true,
        UringAccess.Group => who.Has(Capability.CAP_SYS_ADMIN) || (Group != NoGroup && who.IsInGroup((uint)Group)),
        _ => false,
    };

    private Operation?[] Build()
    {
        Operation?[] table = Faults?.Wrap(OperationTable.Operations) ?? OperationTable.Operations;
        return Policy?.Restrict(table) ?? table;
    }
}
