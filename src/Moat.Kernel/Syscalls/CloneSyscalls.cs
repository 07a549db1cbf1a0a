using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>New threads and processes.</summary>
internal static class CloneSyscalls
{
    /// <summary>clone(2) in x86-64's order of arguments.</summary>
    [Syscall(56, "clone", Support.Partial, Note = "of namespaces only CLONE_NEWUTS, others EPERM")]
    public static SysResult Clone(Task task, CloneFlags flags, ulong stack, ulong parentTid, ulong childTid, ulong tls)
    {
        // The old call has 32 bits of flags, and its low byte is the signal at exit.
        flags &= (CloneFlags)uint.MaxValue;
        int exitSignal = (int)(flags & CloneFlags.CSIGNAL);
        flags &= ~CloneFlags.CSIGNAL;
        // The descriptor goes where the id would.
        if ((flags & CloneFlags.CLONE_PIDFD) != 0 && (flags & (CloneFlags.CLONE_PARENT_SETTID | CloneFlags.CLONE_DETACHED)) != 0)
            return Errno.EINVAL;
        return Check(task, new CloneRequest
        {
            Flags = flags,
            ExitSignal = exitSignal,
            StackPointer = stack,
            Tls = tls,
            ParentTid = parentTid,
            ChildTid = childTid,
            PidFd = parentTid,
        });
    }

    /// <summary>clone3(2).</summary>
    [Syscall(435, "clone3", Support.Partial, Note = "of namespaces only CLONE_NEWUTS; no set_tid, no cgroup (EPERM)")]
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
        return Check(task, new CloneRequest
        {
            Flags = args.Flags,
            ExitSignal = (int)args.ExitSignal,
            StackPointer = args.Stack + args.StackSize,
            Tls = args.Tls,
            ParentTid = args.ParentTid,
            ChildTid = args.ChildTid,
            PidFd = args.Pidfd,
        });
    }

    /// <summary>fork(2).</summary>
    [Syscall(57, "fork", Support.Full)]
    public static SysResult Fork(Task task) => task.Clone(new CloneRequest { ExitSignal = Signal.SIGCHLD });

    /// <summary>vfork(2).</summary>
    [Syscall(58, "vfork", Support.Full)]
    public static SysResult VFork(Task task)
        => task.Clone(new CloneRequest { Flags = CloneFlags.CLONE_VM | CloneFlags.CLONE_VFORK, ExitSignal = Signal.SIGCHLD });

    private static SysResult Check(Task task, in CloneRequest request)
    {
        if (request.Has(CloneFlags.CLONE_FS) && request.Has(CloneFlags.CLONE_NEWNS | CloneFlags.CLONE_NEWUSER))
            return Errno.EINVAL;
        if (request.Has(CloneFlags.CLONE_THREAD) && !request.Has(CloneFlags.CLONE_SIGHAND))
            return Errno.EINVAL;
        if (request.Has(CloneFlags.CLONE_SIGHAND) && !request.Has(CloneFlags.CLONE_VM))
            return Errno.EINVAL;
        if (request.Has(CloneFlags.CLONE_THREAD) && request.Has(CloneFlags.CLONE_NEWUSER | CloneFlags.CLONE_NEWPID))
            return Errno.EINVAL;
        // The first process has nobody beside it.
        if (request.Has(CloneFlags.CLONE_PARENT) && task.Group == task.Sentry.First)
            return Errno.EINVAL;
        Errno error = NamespaceSyscalls.Check(task, request.Flags);
        return error != Errno.OK ? error : task.Clone(in request);
    }
}
