using System.Runtime.CompilerServices;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>Calls about what other processes have: kcmp(2), process_mrelease(2), move_pages(2).</summary>
internal static class ProcessCompareSyscalls
{
    private const int KCMP_FILE = 0, KCMP_VM = 1, KCMP_FILES = 2, KCMP_FS = 3, KCMP_SIGHAND = 4, KCMP_IO = 5, KCMP_SYSVSEM = 6, KCMP_EPOLL_TFD = 7;

    /// <summary>kcmp(2): 0 when both have the same, else 1 or 2, an order that lasts as long as both do, or 3.</summary>
    [Syscall(312, "kcmp", Support.Partial, Note = "KCMP_EPOLL_TFD is EOPNOTSUPP")]
    public static SysResult KCmp(Task task, int pid, int other, int type, ulong index, ulong otherIndex)
    {
        if (task.Sentry.Tasks.Find(pid) is not { } a || task.Sentry.Tasks.Find(other) is not { } b)
            return Errno.ESRCH;
        if (!ProcessMemorySyscalls.MayAccess(task, a) || !ProcessMemorySyscalls.MayAccess(task, b))
            return Errno.EPERM;
        switch (type)
        {
            case KCMP_FILE:
                FileDescription? file = index > int.MaxValue ? null : a.Files.Get((int)index);
                FileDescription? second = otherIndex > int.MaxValue ? null : b.Files.Get((int)otherIndex);
                SysResult result = file is null || second is null ? Errno.EBADF : Compare(file, second);
                file?.DropReference();
                second?.DropReference();
                return result;
            case KCMP_VM:
                return Compare(a.Mm, b.Mm);
            case KCMP_FILES:
                return Compare(a.Files, b.Files);
            case KCMP_FS:
                return Compare(a.Fs, b.Fs);
            case KCMP_SIGHAND:
                return Compare(a.Group.Actions, b.Group.Actions);
            case KCMP_IO:
                // Nobody shares an I/O context; until one is made all have none.
                return a.IoPriority == 0 && b.IoPriority == 0 ? 0 : Compare(a, b);
            case KCMP_SYSVSEM:
                return Compare(a.Group, b.Group);
            case KCMP_EPOLL_TFD:
                return Errno.EOPNOTSUPP;
            default:
                return Errno.EINVAL;
        }
    }

    private static SysResult Compare(object a, object b)
    {
        if (a == b)
            return 0;
        int first = RuntimeHelpers.GetHashCode(a), second = RuntimeHelpers.GetHashCode(b);
        return first < second ? 1 : first > second ? 2 : 3;
    }

    /// <summary>process_mrelease(2). The memory of a process that is killed goes at once here, so there is nothing left to do.</summary>
    [Syscall(448, "process_mrelease", Support.Full)]
    public static SysResult ProcessMRelease(Task task, Fd pidFd, uint flags)
    {
        if (flags != 0)
            return Errno.EINVAL;
        Errno error = PidFdSyscalls.Get(task, pidFd.Value, out PidFd? file);
        if (error != Errno.OK)
            return error;
        ThreadGroup group = file!.Group;
        file.DropReference();
        return group.HasEnded || group.IsReaped ? Errno.ESRCH : group.IsExiting ? 0 : Errno.EINVAL;
    }

    /// <summary>move_pages(2) of a machine with one node: tells where pages are, and moves none.</summary>
    [Syscall(279, "move_pages", Support.Partial, Note = "one node: nothing to move")]
    public static SysResult MovePages(Task task, int pid, ulong count, UserPtr pages, UserPtr nodes, UserPtr status, int flags)
    {
        const int MPOL_MF_MOVE = 2, MPOL_MF_MOVE_ALL = 4;
        if ((flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) != 0)
            return Errno.EINVAL;
        if ((flags & MPOL_MF_MOVE_ALL) != 0 && !task.Credentials.Has(Capability.CAP_SYS_NICE))
            return Errno.EPERM;
        Task? target = pid == 0 ? task : task.Sentry.Tasks.Find(pid);
        if (target is null)
            return Errno.ESRCH;
        if (!ProcessMemorySyscalls.MayAccess(task, target))
            return Errno.EPERM;
        MemoryManager mm = task.Mm;
        for (ulong i = 0; i < count; i++)
        {
            Errno error = mm.Read(new UserPtr<ulong>(pages.Address + (i * 8)), out ulong page);
            int node = 0;
            if (error == Errno.OK && !nodes.IsNull)
                error = mm.Read(new UserPtr<int>(nodes.Address + (i * 4)), out node);
            if (error != Errno.OK)
                return error;
            if (node != 0)
                return Errno.ENODEV;
            error = mm.Write(new UserPtr<int>(status.Address + (i * 4)), NodeOf(target.Mm, page));
            if (error != Errno.OK)
                return error;
            if (task.HasDeliverableSignal)
                return Errno.ERESTARTNOINTR;
        }
        return 0;
    }

    /// <summary>0, or as a negative errno: not mapped, not there.</summary>
    private static int NodeOf(MemoryManager mm, ulong address)
    {
        Span<byte> there = stackalloc byte[1];
        if (mm.GetResidency(address & ~(MemoryManager.PageSize - 1), there) != Errno.OK)
            return -(int)Errno.EFAULT;
        return (there[0] & 1) != 0 ? 0 : -(int)Errno.ENOENT;
    }
}
