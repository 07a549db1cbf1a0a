using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>Threads and processes: identity, creation, end.</summary>
internal static class TaskSyscalls
{
    /// <summary>getpid(2).</summary>
    [Syscall(39, "getpid", Support.Full)]
    public static SysResult GetPid(Task task) => task.Group.Id;

    /// <summary>gettid(2).</summary>
    [Syscall(186, "gettid", Support.Full)]
    public static SysResult GetTid(Task task) => task.Tid;

    /// <summary>getppid(2): 0 for the first process, whose parent is outside.</summary>
    [Syscall(110, "getppid", Support.Full)]
    public static SysResult GetPPid(Task task) => task.Group.ParentId;

    /// <summary>set_tid_address(2).</summary>
    [Syscall(218, "set_tid_address", Support.Full)]
    public static SysResult SetTidAddress(Task task, UserPtr<int> address)
    {
        task.ClearChildTid = address.Address;
        return task.Tid;
    }

    /// <summary>set_robust_list(2).</summary>
    [Syscall(273, "set_robust_list", Support.Full)]
    public static SysResult SetRobustList(Task task, UserPtr head, nuint length)
    {
        if (length != 24)
            return Errno.EINVAL;
        task.RobustList = head.Address;
        return 0;
    }

    /// <summary>get_robust_list(2).</summary>
    [Syscall(274, "get_robust_list", Support.Full)]
    public static SysResult GetRobustList(Task task, int tid, UserPtr<ulong> head, UserPtr<ulong> length)
    {
        Task? target = tid == 0 ? task : task.Sentry.Tasks.Find(tid);
        if (target is null)
            return Errno.ESRCH;
        if (target.Group != task.Group && !task.Credentials.Has(Capability.CAP_SYS_PTRACE))
            return Errno.EPERM;
        Errno error = task.Mm.Write(length, 24UL);
        return error != Errno.OK ? error : task.Mm.Write(head, target.RobustList);
    }

    /// <summary>exit(2): ends the calling thread.</summary>
    [Syscall(60, "exit", Support.Full)]
    public static SysResult Exit(Task task, int status)
    {
        task.RequestExit((status & 0xff) << 8);
        return Task.RegistersAreSet;
    }

    /// <summary>exit_group(2): ends all threads of the process.</summary>
    [Syscall(231, "exit_group", Support.Full)]
    public static SysResult ExitGroup(Task task, int status)
    {
        task.Group.BeginExit((status & 0xff) << 8);
        return Task.RegistersAreSet;
    }
}
