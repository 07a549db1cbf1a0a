using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Syscalls;

/// <summary>Waiting for children.</summary>
internal static class WaitSyscalls
{
    private const WaitOptions Which = WaitOptions.__WNOTHREAD | WaitOptions.__WALL | WaitOptions.__WCLONE;

    /// <summary>wait4(2).</summary>
    [Syscall(61, "wait4", Support.Full)]
    public static SysResult Wait4(Task task, int pid, UserPtr<int> status, WaitOptions options, UserPtr usage)
    {
        if ((options & ~(Which | WaitOptions.WNOHANG | WaitOptions.WUNTRACED | WaitOptions.WCONTINUED)) != 0)
            return Errno.EINVAL;
        if (pid == int.MinValue)
            return Errno.ESRCH;
        (WaitTarget target, int id) = pid switch
        {
            -1 => (WaitTarget.Any, 0),
            0 => (WaitTarget.ProcessGroup, task.Group.ProcessGroupId),
            < 0 => (WaitTarget.ProcessGroup, -pid),
            _ => (WaitTarget.Process, pid),
        };
        Errno error = task.WaitForChild(new ChildWait(target, id, null, options | WaitOptions.WEXITED), out ChildReport report);
        if (error != Errno.OK || report.Pid == 0)
            return error;
        if (!usage.IsNull)
            error = WriteUsage(task, usage, in report);
        if (error == Errno.OK && !status.IsNull)
            error = task.Mm.Write(status, report.Status);
        return error != Errno.OK ? error : report.Pid;
    }

    /// <summary>waitid(2).</summary>
    [Syscall(247, "waitid", Support.Full)]
    public static SysResult WaitId(Task task, int type, int id, UserPtr<SigInfo> info, WaitOptions options, UserPtr usage)
    {
        Errno error = Prepare(task, type, id, options, out ChildWait wait, out bool nonBlocking);
        ChildReport report = default;
        if (error == Errno.OK)
            error = task.WaitForChild(in wait, out report);
        if (error == Errno.OK && nonBlocking && report.Pid == 0)
            error = Errno.EAGAIN;
        if (error == Errno.OK && report.Pid != 0 && !usage.IsNull && WriteUsage(task, usage, in report) != Errno.OK)
            return Errno.EFAULT;
        // Zeroes are written also when there is nothing to tell.
        return !info.IsNull && WriteInfo(task, info, in report) != Errno.OK ? Errno.EFAULT : error;
    }

    /// <summary>
    /// Checks waitid(2)'s arguments: EINVAL, EBADF. <paramref name="nonBlocking"/>: the descriptor says not to wait, and nothing is EAGAIN.
    /// </summary>
    internal static Errno Prepare(Task task, int type, int id, WaitOptions options, out ChildWait wait, out bool nonBlocking)
    {
        const int P_ALL = 0, P_PID = 1, P_PGID = 2, P_PIDFD = 3;
        const WaitOptions Kinds = WaitOptions.WEXITED | WaitOptions.WSTOPPED | WaitOptions.WCONTINUED;
        wait = default;
        nonBlocking = false;
        if ((options & ~(Which | Kinds | WaitOptions.WNOHANG | WaitOptions.WNOWAIT)) != 0 || (options & Kinds) == 0)
            return Errno.EINVAL;
        switch (type)
        {
            case P_ALL:
                wait = new ChildWait(WaitTarget.Any, 0, null, options);
                return Errno.OK;
            case P_PID:
                wait = new ChildWait(WaitTarget.Process, id, null, options);
                return id <= 0 ? Errno.EINVAL : Errno.OK;
            case P_PGID:
                wait = new ChildWait(WaitTarget.ProcessGroup, id == 0 ? task.Group.ProcessGroupId : id, null, options);
                return id < 0 ? Errno.EINVAL : Errno.OK;
            case P_PIDFD:
                if (id < 0)
                    return Errno.EINVAL;
                Errno error = PidFdSyscalls.Get(task, id, out PidFd? file);
                if (error != Errno.OK)
                    return error;
                nonBlocking = file!.IsNonBlocking && (options & WaitOptions.WNOHANG) == 0;
                wait = new ChildWait(WaitTarget.PidFd, 0, file.Group, nonBlocking ? options | WaitOptions.WNOHANG : options);
                file.DropReference();
                return Errno.OK;
            default:
                return Errno.EINVAL;
        }
    }

    /// <summary>The siginfo_t of waitid(2): its own fields, the others stay as they are.</summary>
    internal static Errno WriteInfo(Task task, UserPtr<SigInfo> address, in ChildReport report)
    {
        bool any = report.Pid != 0;
        // si_signo, si_errno, si_code, padding, si_pid, si_uid, si_status.
        ReadOnlySpan<int> words = [any ? Signal.SIGCHLD : 0, 0, report.Code];
        Errno error = task.Mm.CopyOut(address, MemoryMarshal.AsBytes(words));
        if (error != Errno.OK)
            return error;
        words = [report.Pid, (int)report.Uid, report.Value];
        return task.Mm.CopyOut((UserPtr)address + 16, MemoryMarshal.AsBytes(words));
    }

    private static Errno WriteUsage(Task task, UserPtr usage, in ChildReport report)
        => WriteUsage(task, usage, (report.User, report.System), report.Peak, report.Counts);

    /// <summary>struct rusage: times in nanoseconds, the peak of memory in bytes, counts, and zeroes.</summary>
    internal static Errno WriteUsage(Task task, UserPtr usage, (long User, long System) times, ulong peak, UsageCounts counts)
    {
        // ru_utime, ru_stime, ru_maxrss, ru_minflt, ru_nvcsw
        const int User = 0, System = 2, MaxResident = 4, MinorFaults = 8, VoluntarySwitches = 16;
        Span<long> words = stackalloc long[18];
        words.Clear();
        words[User] = times.User / HostClock.Second;
        words[User + 1] = times.User % HostClock.Second / 1000;
        words[System] = times.System / HostClock.Second;
        words[System + 1] = times.System % HostClock.Second / 1000;
        words[MaxResident] = (long)(peak / 1024);
        words[MinorFaults] = counts.Faults;
        words[VoluntarySwitches] = counts.Sleeps;
        return task.Mm.CopyOut(usage, MemoryMarshal.AsBytes(words));
    }
}
