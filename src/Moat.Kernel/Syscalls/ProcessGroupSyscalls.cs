using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>Process groups and sessions (credentials(7)).</summary>
internal static class ProcessGroupSyscalls
{
    /// <summary>getpgrp(2).</summary>
    [Syscall(111, "getpgrp", Support.Full)]
    public static SysResult GetPGrp(Task task) => task.Group.ProcessGroupId;

    /// <summary>getpgid(2).</summary>
    [Syscall(121, "getpgid", Support.Full)]
    public static SysResult GetPgid(Task task, int pid)
        => Find(task, pid) is { } found ? found.Group.ProcessGroupId : Errno.ESRCH;

    /// <summary>getsid(2).</summary>
    [Syscall(124, "getsid", Support.Full)]
    public static SysResult GetSid(Task task, int pid)
        => Find(task, pid) is { } found ? found.Group.SessionId : Errno.ESRCH;

    /// <summary>setpgid(2).</summary>
    [Syscall(109, "setpgid", Support.Full)]
    public static SysResult SetPgid(Task task, int pid, int pgid)
    {
        if (pgid < 0)
            return Errno.EINVAL;
        lock (task.Sentry.Processes.Lock)
        {
            if (Find(task, pid) is not { } target)
                return Errno.ESRCH;
            ThreadGroup group = target.Group;
            if (pid != 0 && group.Id != pid)
                return Errno.EINVAL;
            if (group.Parent == task.Group)
            {
                if (group.SessionId != task.Group.SessionId)
                    return Errno.EPERM;
                if (group.HasExecuted)
                    return Errno.EACCES;
            }
            else if (group != task.Group)
            {
                return Errno.ESRCH;
            }
            if (group.SessionId == group.Id)
                return Errno.EPERM;
            if (pgid == 0)
                pgid = group.Id;
            if (pgid != group.Id && !ExistsInSession(task, pgid, task.Group.SessionId))
                return Errno.EPERM;
            group.ProcessGroupId = pgid;
            return 0;
        }
    }

    /// <summary>setsid(2).</summary>
    [Syscall(112, "setsid", Support.Full)]
    public static SysResult SetSid(Task task)
    {
        ThreadGroup group = task.Group;
        lock (task.Sentry.Processes.Lock)
        {
            foreach (ThreadGroup other in task.Sentry.Tasks.GetGroups())
            {
                if (other.ProcessGroupId == group.Id)
                    return Errno.EPERM;
            }
            group.SessionId = group.ProcessGroupId = group.Id;
            group.Terminal = null;
            return group.Id;
        }
    }

    private static Task? Find(Task task, int pid) => pid == 0 ? task : task.Sentry.Tasks.Find(pid);

    private static bool ExistsInSession(Task task, int pgid, int session)
    {
        foreach (ThreadGroup group in task.Sentry.Tasks.GetGroups())
        {
            if (group.ProcessGroupId == pgid && group.SessionId == session)
                return true;
        }
        return false;
    }
}
