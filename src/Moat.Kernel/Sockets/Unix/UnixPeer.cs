using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>Who connected, listened or made a pair (SO_PEERCRED, SO_PEERGROUPS): as it was then.</summary>
internal sealed class UnixPeer(int pid, Credentials credentials)
{
    public UnixPeer(Task task)
        : this(task.Group.Id, task.Credentials)
    {
    }

    /// <summary>Process and effective ids.</summary>
    public UCred Credentials { get; } = new() { pid = pid, uid = credentials.EffectiveUid, gid = credentials.EffectiveGid };

    /// <summary>Supplementary groups.</summary>
    public uint[] Groups { get; } = credentials.Groups;
}
