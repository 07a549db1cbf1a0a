using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>timerfd_create(2), timerfd_settime(2), timerfd_gettime(2).</summary>
internal static class TimerFdSyscalls
{
    /// <summary>timerfd_create(2). EINVAL; EPERM: alarm clocks need CAP_WAKE_ALARM.</summary>
    [Syscall(283, "timerfd_create", Support.Full)]
    public static SysResult TimerFdCreate(Task task, int clock, int flags)
    {
        const int TFD_CLOEXEC = (int)OpenFlags.O_CLOEXEC, TFD_NONBLOCK = (int)OpenFlags.O_NONBLOCK;
        bool alarm = clock is HostClock.CLOCK_REALTIME_ALARM or HostClock.CLOCK_BOOTTIME_ALARM;
        if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) != 0
            || (!alarm && clock is not (HostClock.CLOCK_REALTIME or HostClock.CLOCK_MONOTONIC or HostClock.CLOCK_BOOTTIME)))
        {
            return Errno.EINVAL;
        }
        if (alarm && !task.Credentials.Has(Capability.CAP_WAKE_ALARM))
            return Errno.EPERM;
        return AnonymousFiles.Install(task, new TimerFd(task.Sentry.Timers, clock, (OpenFlags)flags & OpenFlags.O_NONBLOCK),
            (flags & TFD_CLOEXEC) != 0);
    }

    /// <summary>timerfd_settime(2).</summary>
    [Syscall(286, "timerfd_settime", Support.Full)]
    public static SysResult TimerFdSetTime(Task task, Fd fd, int flags, UserPtr<ITimerSpec> value, UserPtr<ITimerSpec> old)
    {
        if (task.Mm.Read(value, out ITimerSpec wanted) != Errno.OK)
            return Errno.EFAULT;
        if ((flags & ~(TimerFd.TFD_TIMER_ABSTIME | TimerFd.TFD_TIMER_CANCEL_ON_SET)) != 0
            || !HostClock.IsValid(in wanted.Value) || !HostClock.IsValid(in wanted.Interval))
        {
            return Errno.EINVAL;
        }
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = Errno.EINVAL;
        if (file is TimerFd timer)
        {
            timer.Set(flags, in wanted, out ITimerSpec before);
            result = old.IsNull ? 0 : task.Mm.Write(old, in before);
        }
        file.DropReference();
        return result;
    }

    /// <summary>timerfd_gettime(2).</summary>
    [Syscall(287, "timerfd_gettime", Support.Full)]
    public static SysResult TimerFdGetTime(Task task, Fd fd, UserPtr<ITimerSpec> value)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = Errno.EINVAL;
        if (file is TimerFd timer)
        {
            timer.Get(out ITimerSpec now);
            result = task.Mm.Write(value, in now);
        }
        file.DropReference();
        return result;
    }
}
