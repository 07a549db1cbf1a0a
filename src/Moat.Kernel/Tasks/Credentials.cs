namespace Moat.Kernel.Tasks;

/// <summary>Who a task is (man 7 credentials). Immutable: changes replace the whole, and files keep the opener's.</summary>
internal sealed record Credentials
{
    public uint Uid { get; init; }

    public uint EffectiveUid { get; init; }

    public uint SavedUid { get; init; }

    public uint FsUid { get; init; }

    public uint Gid { get; init; }

    public uint EffectiveGid { get; init; }

    public uint SavedGid { get; init; }

    public uint FsGid { get; init; }

    /// <summary>Supplementary groups.</summary>
    public uint[] Groups { get; init; } = [];

    /// <summary>True for user 0, which has all capabilities inside the sandbox and none outside.</summary>
    public bool IsRoot => EffectiveUid == 0;

    /// <summary>True when <paramref name="gid"/> is the file-system group or a supplementary one.</summary>
    public bool IsInGroup(uint gid) => gid == FsGid || Array.IndexOf(Groups, gid) >= 0;
}
