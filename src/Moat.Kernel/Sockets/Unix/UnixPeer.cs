using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>Who connected, listened or made a pair (SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD): as it was then.</summary>
internal sealed class UnixPeer(ThreadGroup? process, Credentials credentials)
{
    public UnixPeer(Task task)
        : this(task.Group, task.Credentials)
    {
    }

    /// <summary>The process; null: a worker that has none.</summary>
    public ThreadGroup? Process { get; } = process;

    /// <summary>Process and effective ids.</summary>
    public UCred Credentials { get; } = new() { pid = process?.Id ?? 0, uid = credentials.EffectiveUid, gid = credentials.EffectiveGid };

    /// <summary>Supplementary groups.</summary>
    public uint[] Groups { get; } = credentials.Groups;
}
