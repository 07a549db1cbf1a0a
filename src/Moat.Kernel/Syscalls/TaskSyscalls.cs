using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>Threads and processes: identity, creation, end.</summary>
internal static class TaskSyscalls
{
    private const CloneFlags Namespaces = CloneFlags.CLONE_NEWNS | CloneFlags.CLONE_NEWCGROUP | CloneFlags.CLONE_NEWUTS
        | CloneFlags.CLONE_NEWIPC | CloneFlags.CLONE_NEWUSER | CloneFlags.CLONE_NEWPID | CloneFlags.CLONE_NEWNET;

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

    /// <summary>clone(2) in x86-64's order of arguments.</summary>
    [Syscall(56, "clone", Support.Partial, Note = "threads (CLONE_THREAD); new processes: ENOSYS")]
    public static SysResult Clone(Task task, CloneFlags flags, ulong stack, ulong parentTid, ulong childTid, ulong tls)
    {
        // The old call has 32 bits of flags, and its low byte is the signal at exit.
        flags &= (CloneFlags)uint.MaxValue;
        ulong exitSignal = (ulong)(flags & CloneFlags.CSIGNAL);
        flags &= ~CloneFlags.CSIGNAL;
        if ((flags & CloneFlags.CLONE_PIDFD) != 0 && (flags & (CloneFlags.CLONE_PARENT_SETTID | CloneFlags.CLONE_DETACHED)) != 0)
            return Errno.EINVAL;
        return CloneChecked(task, flags, exitSignal, stack, tls, parentTid, childTid);
    }

    /// <summary>clone3(2).</summary>
    [Syscall(435, "clone3", Support.Partial, Note = "threads (CLONE_THREAD) without set_tid, cgroup or pidfd; new processes: ENOSYS")]
    public static SysResult Clone3(Task task, UserPtr<CloneArgs> address, nuint size)
    {
        const ulong PageSize = 4096, MaxPidNamespaces = 32;
        if (size > PageSize)
            return Errno.E2BIG;
        if (size < CloneArgs.CLONE_ARGS_SIZE_VER0)
            return Errno.EINVAL;
        Errno error = StructArgument.Read(task.Mm, address, size, out CloneArgs args);
        if (error != Errno.OK)
            return error;
        if (args.SetTidSize > MaxPidNamespaces || (args.SetTid == 0) != (args.SetTidSize == 0))
            return Errno.EINVAL;
        if (args.ExitSignal > 64)
            return Errno.EINVAL;
        if ((args.Flags & CloneFlags.CLONE_INTO_CGROUP) != 0 && args.Cgroup > int.MaxValue)
            return Errno.EINVAL;
        const CloneFlags Known = (CloneFlags)uint.MaxValue | CloneFlags.CLONE_CLEAR_SIGHAND | CloneFlags.CLONE_INTO_CGROUP;
        if ((args.Flags & ~Known) != 0
            || (args.Flags & (CloneFlags.CLONE_DETACHED | (CloneFlags.CSIGNAL & ~CloneFlags.CLONE_NEWTIME))) != 0)
            return Errno.EINVAL;
        const CloneFlags Handlers = CloneFlags.CLONE_SIGHAND | CloneFlags.CLONE_CLEAR_SIGHAND;
        if ((args.Flags & Handlers) == Handlers)
            return Errno.EINVAL;
        if ((args.Flags & (CloneFlags.CLONE_THREAD | CloneFlags.CLONE_PARENT)) != 0 && args.ExitSignal != 0)
            return Errno.EINVAL;
        if ((args.Stack == 0) != (args.StackSize == 0))
            return Errno.EINVAL;
        if (args.Stack + args.StackSize > task.Sentry.Platform.MaxAddress || args.Stack + args.StackSize < args.Stack)
            return Errno.EINVAL;
        if (args.SetTidSize != 0 || (args.Flags & CloneFlags.CLONE_INTO_CGROUP) != 0)
            return Errno.EPERM;
        return CloneChecked(task, args.Flags, args.ExitSignal, args.Stack + args.StackSize, args.Tls, args.ParentTid, args.ChildTid);
    }

    private static SysResult CloneChecked(
        Task task, CloneFlags flags, ulong exitSignal, ulong stackPointer, ulong tls, ulong parentTid, ulong childTid)
    {
        _ = exitSignal;
        if ((flags & CloneFlags.CLONE_FS) != 0 && (flags & (CloneFlags.CLONE_NEWNS | CloneFlags.CLONE_NEWUSER)) != 0)
            return Errno.EINVAL;
        if ((flags & CloneFlags.CLONE_THREAD) != 0 && (flags & CloneFlags.CLONE_SIGHAND) == 0)
            return Errno.EINVAL;
        if ((flags & CloneFlags.CLONE_SIGHAND) != 0 && (flags & CloneFlags.CLONE_VM) == 0)
            return Errno.EINVAL;
        if ((flags & CloneFlags.CLONE_THREAD) != 0 && (flags & (CloneFlags.CLONE_NEWUSER | CloneFlags.CLONE_NEWPID)) != 0)
            return Errno.EINVAL;
        if ((flags & (Namespaces | CloneFlags.CLONE_NEWTIME)) != 0)
            return Errno.EPERM;
        if ((flags & CloneFlags.CLONE_THREAD) == 0 || (flags & (CloneFlags.CLONE_VFORK | CloneFlags.CLONE_PIDFD)) != 0)
        {
            task.Sentry.ReportUnknownCall(task, task.Args.Number, "clone of a process");
            return Errno.ENOSYS;
        }
        return task.CloneThread(flags, stackPointer, tls, parentTid, childTid);
    }

    /// <summary>fork(2).</summary>
    [Syscall(57, "fork", Support.ErrnoOnly, Note = "ENOSYS: a sandbox has one process as yet")]
    public static SysResult Fork(Task task) => CloneChecked(task, CloneFlags.None, Signal.SIGCHLD, 0, 0, 0, 0);

    /// <summary>vfork(2).</summary>
    [Syscall(58, "vfork", Support.ErrnoOnly, Note = "ENOSYS: a sandbox has one process as yet")]
    public static SysResult VFork(Task task)
        => CloneChecked(task, CloneFlags.CLONE_VM | CloneFlags.CLONE_VFORK, Signal.SIGCHLD, 0, 0, 0, 0);

    /// <summary>wait4(2).</summary>
    [Syscall(61, "wait4", Support.Partial, Note = "ECHILD: a sandbox has one process as yet")]
    public static SysResult Wait4(Task task, int pid, UserPtr<int> status, int options, UserPtr usage)
    {
        const int WNOHANG = 1, WUNTRACED = 2, WCONTINUED = 8, NOTHREAD = 0x20000000, WALL = 0x40000000, WCLONE = unchecked((int)0x80000000);
        if ((options & ~(WNOHANG | WUNTRACED | WCONTINUED | NOTHREAD | WALL | WCLONE)) != 0)
            return Errno.EINVAL;
        return pid == int.MinValue ? Errno.ESRCH : Errno.ECHILD;
    }

    /// <summary>waitid(2).</summary>
    [Syscall(247, "waitid", Support.Partial, Note = "ECHILD: a sandbox has one process as yet")]
    public static SysResult WaitId(Task task, int type, int id, UserPtr<SigInfo> info, int options, UserPtr usage)
    {
        const int WNOHANG = 1, WEXITED = 4, Kinds = 2 | WEXITED | 8, WNOWAIT = 0x1000000, NOTHREAD = 0x20000000, WALL = 0x40000000,
            WCLONE = unchecked((int)0x80000000), P_ALL = 0, P_PID = 1, P_PGID = 2, P_PIDFD = 3;
        if ((options & ~(WNOHANG | Kinds | WNOWAIT | NOTHREAD | WALL | WCLONE)) != 0 || (options & Kinds) == 0)
            return Errno.EINVAL;
        return type switch
        {
            P_ALL => Errno.ECHILD,
            P_PID => id <= 0 ? Errno.EINVAL : Errno.ECHILD,
            P_PGID => id < 0 ? Errno.EINVAL : Errno.ECHILD,
            P_PIDFD => id < 0 ? Errno.EINVAL : Errno.EBADF,
            _ => Errno.EINVAL,
        };
    }

    /// <summary>unshare(2).</summary>
    [Syscall(272, "unshare", Support.Partial, Note = "no new namespaces (EPERM); CLONE_FS and CLONE_FILES")]
    public static SysResult Unshare(Task task, CloneFlags flags)
    {
        const CloneFlags Shared = CloneFlags.CLONE_FS | CloneFlags.CLONE_FILES | CloneFlags.CLONE_SYSVSEM;
        const CloneFlags Single = CloneFlags.CLONE_THREAD | CloneFlags.CLONE_SIGHAND | CloneFlags.CLONE_VM;
        if ((flags & ~(Shared | Single | Namespaces | CloneFlags.CLONE_NEWTIME)) != 0)
            return Errno.EINVAL;
        if ((flags & Single) != 0 && task.Group.ThreadCount > 1)
            return Errno.EINVAL;
        if ((flags & (Namespaces | CloneFlags.CLONE_NEWTIME)) != 0)
            return Errno.EPERM;
        task.Unshare((flags & CloneFlags.CLONE_FS) != 0, (flags & CloneFlags.CLONE_FILES) != 0);
        return 0;
    }

    /// <summary>setns(2).</summary>
    [Syscall(308, "setns", Support.ErrnoOnly, Note = "EPERM, or EBADF: no namespaces to join")]
    public static SysResult SetNs(Task task, Fd fd, int type)
    {
        if (task.Files.Get(fd.Value) is not { } file)
            return Errno.EBADF;
        file.DropReference();
        return Errno.EPERM;
    }
}
