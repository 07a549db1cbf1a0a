using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>Signals: sending.</summary>
internal static class SignalSendSyscalls
{
    /// <summary>kill(2).</summary>
    [Syscall(62, "kill", Support.Full)]
    public static SysResult Kill(Task task, int pid, int signal)
    {
        if (signal != 0 && !Signal.IsValid(signal))
            return Errno.EINVAL;
        SigInfo info = new() { Signo = signal, Code = Signal.SI_USER, Pid = task.Group.Id, Uid = task.Credentials.Uid };
        if (pid > 0)
            return task.Sentry.Tasks.FindGroup(pid) is { } group ? SendTo(task, group, null, in info) : Errno.ESRCH;
        if (pid == int.MinValue)
            return Errno.ESRCH;
        // 0: the own process group; -1: everything but the sender and the first process; else the group -pid.
        return SendToGroup(task, pid == 0 ? task.Group.ProcessGroupId : pid == -1 ? 0 : -pid, in info);
    }

    /// <summary>Sends to every member of a process group; 0: to everything but the sender and the first process. ESRCH, EPERM.</summary>
    internal static Errno SendToGroup(Task task, int processGroup, in SigInfo info)
    {
        bool found = false, sent = false;
        Errno last = Errno.OK;
        // No process forks itself out of it.
        lock (task.Sentry.Processes.Lock)
        {
            foreach (ThreadGroup group in task.Sentry.Tasks.GetGroups())
            {
                bool meant = processGroup == 0 ? group != task.Group && group != task.Sentry.First : group.ProcessGroupId == processGroup;
                if (!meant)
                    continue;
                found = true;
                Errno error = SendTo(task, group, null, in info);
                sent |= error == Errno.OK;
                last = error;
            }
        }
        return !found ? Errno.ESRCH : sent ? Errno.OK : last;
    }

    /// <summary>tkill(2).</summary>
    [Syscall(200, "tkill", Support.Full)]
    public static SysResult TKill(Task task, int tid, int signal)
        => tid <= 0 ? Errno.EINVAL : SendToThread(task, 0, tid, signal);

    /// <summary>tgkill(2).</summary>
    [Syscall(234, "tgkill", Support.Full)]
    public static SysResult TgKill(Task task, int pid, int tid, int signal)
        => pid <= 0 || tid <= 0 ? Errno.EINVAL : SendToThread(task, pid, tid, signal);

    /// <summary>rt_sigqueueinfo(2).</summary>
    [Syscall(129, "rt_sigqueueinfo", Support.Full)]
    public static SysResult RtSigQueueInfo(Task task, int pid, int signal, UserPtr<SigInfo> info)
    {
        if (task.Mm.Read(info, out SigInfo value) != Errno.OK)
            return Errno.EFAULT;
        value.Signo = signal;
        // Only to oneself may one claim to be kill, tgkill or the kernel.
        if ((value.Code >= 0 || value.Code == Signal.SI_TKILL) && pid != task.Group.Id)
            return Errno.EPERM;
        if (signal != 0 && !Signal.IsValid(signal))
            return Errno.EINVAL;
        return task.Sentry.Tasks.FindGroup(pid) is { } group ? SendTo(task, group, null, in value) : Errno.ESRCH;
    }

    /// <summary>rt_tgsigqueueinfo(2).</summary>
    [Syscall(297, "rt_tgsigqueueinfo", Support.Full)]
    public static SysResult RtTgSigQueueInfo(Task task, int pid, int tid, int signal, UserPtr<SigInfo> info)
    {
        if (task.Mm.Read(info, out SigInfo value) != Errno.OK)
            return Errno.EFAULT;
        if (pid <= 0 || tid <= 0)
            return Errno.EINVAL;
        value.Signo = signal;
        if ((value.Code >= 0 || value.Code == Signal.SI_TKILL) && tid != task.Tid)
            return Errno.EPERM;
        if (signal != 0 && !Signal.IsValid(signal))
            return Errno.EINVAL;
        Task? target = task.Sentry.Tasks.Find(tid);
        return target is null || target.Group.Id != pid ? Errno.ESRCH : SendTo(task, target.Group, target, in value);
    }

    private static SysResult SendToThread(Task task, int pid, int tid, int signal)
    {
        Task? target = task.Sentry.Tasks.Find(tid);
        if (target is null || (pid != 0 && target.Group.Id != pid))
            return Errno.ESRCH;
        if (signal != 0 && !Signal.IsValid(signal))
            return Errno.EINVAL;
        SigInfo info = new() { Signo = signal, Code = Signal.SI_TKILL, Pid = task.Group.Id, Uid = task.Credentials.Uid };
        return SendTo(task, target.Group, target, in info);
    }

    /// <summary>Checks permission (kill(2)) and sends; signal 0 only checks.</summary>
    internal static Errno SendTo(Task task, ThreadGroup group, Task? target, in SigInfo info)
    {
        if (group != task.Group && !MaySignal(task, target ?? group.Leader, group, info.Signo))
            return Errno.EPERM;
        return info.Signo == 0 ? Errno.OK : group.Send(target, in info);
    }

    private static bool MaySignal(Task task, Task target, ThreadGroup group, int signal)
    {
        Credentials mine = task.Credentials, theirs = target.Credentials;
        return mine.Has(Capability.CAP_KILL)
            || mine.EffectiveUid == theirs.SavedUid || mine.EffectiveUid == theirs.Uid
            || mine.Uid == theirs.SavedUid || mine.Uid == theirs.Uid
            || (signal == Signal.SIGCONT && group.SessionId == task.Group.SessionId);
    }
}
