using System.Runtime.InteropServices;
using Moat.Kernel.Events;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>epoll_create(2), epoll_ctl(2), epoll_wait(2) and their variants.</summary>
internal static class EpollSyscalls
{
    public const int EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3;

    private const int EventSize = 12;

    /// <summary>Events that one call brings out at most; more wait for the next call, as maxevents allows.</summary>
    private const int MostEvents = 4096;

    /// <summary>epoll_create(2). EINVAL for a size that is not positive.</summary>
    [Syscall(213, "epoll_create", Support.Full)]
    public static SysResult EpollCreate(Task task, int size) => size <= 0 ? Errno.EINVAL : EpollCreate1(task, 0);

    /// <summary>epoll_create1(2).</summary>
    [Syscall(291, "epoll_create1", Support.Full)]
    public static SysResult EpollCreate1(Task task, int flags)
    {
        const int EPOLL_CLOEXEC = (int)OpenFlags.O_CLOEXEC;
        if ((flags & ~EPOLL_CLOEXEC) != 0)
            return Errno.EINVAL;
        return AnonymousFiles.Install(task, new Epoll(task.Sentry.Notifier), (flags & EPOLL_CLOEXEC) != 0);
    }

    /// <summary>epoll_ctl(2).</summary>
    [Syscall(233, "epoll_ctl", Support.Full)]
    public static SysResult EpollCtl(Task task, Fd epoll, int op, Fd fd, UserPtr<EpollEvent> address)
    {
        EpollEvent wanted = default;
        if (op != EPOLL_CTL_DEL && task.Mm.Read(address, out wanted) != Errno.OK)
            return Errno.EFAULT;
        return Control(task.Files, epoll.Value, op, fd.Value, wanted);
    }

    /// <summary>
    /// The core of epoll_ctl(2) and IORING_OP_EPOLL_CTL. EBADF, EPERM (no readiness), EINVAL, EEXIST, ENOENT, ELOOP, ENOSPC.
    /// </summary>
    public static Errno Control(FdTable files, int epollFd, int op, int fd, EpollEvent wanted)
    {
        FileDescription? file = GetOpen(files, epollFd);
        if (file is null)
            return Errno.EBADF;
        FileDescription? target = GetOpen(files, fd);
        Errno error = target is null ? Errno.EBADF : Control(file, target, op, fd, wanted);
        target?.DropReference();
        file.DropReference();
        return error;
    }

    private static Errno Control(FileDescription file, FileDescription target, int op, int fd, EpollEvent wanted)
    {
        const uint Exclusive = (uint)PollEvents.EPOLLEXCLUSIVE;
        const uint WithExclusive = Exclusive | (uint)(PollEvents.POLLIN | PollEvents.POLLOUT | PollEvents.POLLERR | PollEvents.POLLHUP
            | PollEvents.EPOLLWAKEUP | PollEvents.EPOLLET);
        if (target.Waiters is null)
            return Errno.EPERM;
        if (file is not Epoll epoll || file == target)
            return Errno.EINVAL;
        if (op != EPOLL_CTL_DEL && (wanted.Events & Exclusive) != 0
            && (op == EPOLL_CTL_MOD || (op == EPOLL_CTL_ADD && (target is Epoll || (wanted.Events & ~WithExclusive) != 0))))
        {
            return Errno.EINVAL;
        }
        return op switch
        {
            EPOLL_CTL_ADD => epoll.Add(target, fd, in wanted),
            EPOLL_CTL_MOD => epoll.Modify(target, fd, in wanted),
            EPOLL_CTL_DEL => epoll.Remove(target, fd),
            _ => Errno.EINVAL,
        };
    }

    /// <summary>epoll_wait(2); <paramref name="timeout"/> in milliseconds.</summary>
    [Syscall(232, "epoll_wait", Support.Full)]
    public static SysResult EpollWait(Task task, Fd epoll, UserPtr<EpollEvent> events, int most, int timeout)
        => Wait(task, epoll, events, most, PollSyscalls.Deadline(timeout));

    /// <summary>epoll_pwait(2).</summary>
    [Syscall(281, "epoll_pwait", Support.Full)]
    public static SysResult EpollPwait(Task task, Fd epoll, UserPtr<EpollEvent> events, int most, int timeout, UserPtr<ulong> mask, nuint maskSize)
    {
        Errno error = PollSyscalls.SetMask(task, mask, maskSize);
        return error != Errno.OK ? error : Wait(task, epoll, events, most, PollSyscalls.Deadline(timeout));
    }

    /// <summary>epoll_pwait2(2).</summary>
    [Syscall(441, "epoll_pwait2", Support.Full)]
    public static SysResult EpollPwait2(Task task, Fd epoll, UserPtr<EpollEvent> events, int most, UserPtr<Timespec> timeout, UserPtr<ulong> mask, nuint maskSize)
    {
        Errno error = PollSyscalls.ReadDeadline(task, timeout, out long deadline);
        if (error == Errno.OK)
            error = PollSyscalls.SetMask(task, mask, maskSize);
        return error != Errno.OK ? error : Wait(task, epoll, events, most, deadline);
    }

    /// <summary>
    /// Brings out ready events without waiting: the core of epoll_wait(2). 0: none; EFAULT.
    /// </summary>
    public static SysResult TryWait(Task task, Epoll epoll, UserPtr<EpollEvent> address, int most)
    {
        int room = Math.Min(Math.Min(most, MostEvents), epoll.ReadyCount + epoll.HostCount);
        if (room == 0)
            return 0;
        return TryWait(task.Mm, epoll, address, task.PollBytes(room * EventSize));
    }

    /// <summary>The same with room for so many events.</summary>
    public static SysResult TryWait(MemoryManager mm, Epoll epoll, UserPtr<EpollEvent> address, Span<byte> bytes)
    {
        int count = epoll.Harvest(MemoryMarshal.Cast<byte, EpollEvent>(bytes));
        if (count == 0 || mm.CopyOut(address, bytes[..(count * EventSize)]) == Errno.OK)
            return count;
        epoll.Requeue();
        return Errno.EFAULT;
    }

    /// <summary>Checks the arguments of the waiting calls. EINVAL, EFAULT.</summary>
    public static Errno CheckWait(FileDescription file, UserPtr<EpollEvent> address, int most)
    {
        const ulong UserEnd = 0x7fff_ffff_f000;
        if (most is <= 0 or > int.MaxValue / EventSize)
            return Errno.EINVAL;
        if (address.Address > UserEnd || UserEnd - address.Address < (ulong)most * EventSize)
            return Errno.EFAULT;
        return file is Epoll ? Errno.OK : Errno.EINVAL;
    }

    private static SysResult Wait(Task task, Fd fd, UserPtr<EpollEvent> address, int most, long deadline)
    {
        FileDescription? file = GetOpen(task.Files, fd.Value);
        if (file is null)
            return Errno.EBADF;
        Errno error = CheckWait(file, address, most);
        SysResult result = error != Errno.OK ? error : Wait(task, (Epoll)file, address, most, deadline);
        file.DropReference();
        return result;
    }

    private static SysResult Wait(Task task, Epoll epoll, UserPtr<EpollEvent> address, int most, long deadline)
    {
        EpollCaller caller = task.EpollCaller;
        WaitOutcome outcome = WaitOutcome.Woken;
        while (true)
        {
            SysResult count = TryWait(task, epoll, address, most);
            if (count.Value != 0 || deadline == 0 || outcome == WaitOutcome.TimedOut)
                return count;
            if (outcome == WaitOutcome.Interrupted)
                return Errno.EINTR;
            epoll.Callers.Add(caller, PollEvents.POLLIN);
            outcome = epoll.HasReady ? WaitOutcome.Woken : epoll.Block(task, deadline);
            caller.Remove();
            if (task.HasDeliverableSignal)
                outcome = WaitOutcome.Interrupted;
        }
    }

    /// <summary>A descriptor for other uses than as a place: O_PATH ones are not open.</summary>
    private static FileDescription? GetOpen(FdTable files, int fd)
    {
        FileDescription? file = files.Get(fd);
        if (file is null || (file.Flags & OpenFlags.O_PATH) == 0)
            return file;
        file.DropReference();
        return null;
    }
}
