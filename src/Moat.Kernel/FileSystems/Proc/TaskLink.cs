using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>A link that leads to an object and not through its text: exe, cwd, root.</summary>
internal sealed class TaskLink(ProcFileSystem fileSystem, Task task, Func<Task, VfsPath> find) : PseudoLink(fileSystem)
{
    public override (uint Uid, uint Gid) Owner => (task.Credentials.EffectiveUid, task.Credentials.EffectiveGid);

    public override bool IsMagicLink => true;

    public override Errno ReadLink(in Caller caller, out string target)
    {
        target = "";
        Errno error = FollowMagic(in caller, out VfsPath place);
        if (error == Errno.OK)
            target = DescriptorLink.TextOf(place, in caller);
        return error;
    }

    public override Errno FollowMagic(in Caller caller, out VfsPath target)
    {
        target = default;
        if (fileSystem.Sentry.Tasks.Find(task.Tid) != task)
            return Errno.ENOENT;
        if (!ProcAccess.IsAllowed(in caller, task))
            return Errno.EACCES;
        target = find(task);
        return target.IsNull ? Errno.ENOENT : Errno.OK;
    }
}

/// <summary>Who may look behind a process's links and into its memory (ptrace(2), PTRACE_MODE_READ).</summary>
internal static class ProcAccess
{
    /// <summary>The process itself, its user, or user 0.</summary>
    public static bool IsAllowed(in Caller caller, Task task)
    {
        if (caller.Task?.Group == task.Group)
            return true;
        Credentials target = task.Credentials;
        uint uid = caller.Credentials.FsUid;
        return caller.Credentials.Has(Capability.CAP_SYS_PTRACE) || (uid == target.Uid && uid == target.EffectiveUid && uid == target.SavedUid);
    }
}
