using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Syscalls;

/// <summary>struct itimerval.</summary>
internal struct IntervalTimerValue
{
    public TimeVal Interval, Value;
}

/// <summary>struct itimerspec.</summary>
internal struct IntervalTimerSpec
{
    public Timespec Interval, Value;
}

/// <summary>struct sigevent: 64 bytes (sigevent(7)).</summary>
[System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Sequential, Size = 64)]
internal struct SignalEvent
{
    public ulong Value;
    public int Signal, Notify, ThreadId;
}

/// <summary>Timers that send signals.</summary>
internal static class TimerSyscalls
{
    private const int ITIMER_REAL = 0, ITIMER_PROF = 2;

    /// <summary>alarm(2).</summary>
    [Syscall(37, "alarm", Support.Full)]
    public static SysResult Alarm(Task task, uint seconds)
    {
        IntervalTimer timer = task.Group.GetIntervalTimer(task, ITIMER_REAL, create: true)!;
        long left = timer.Set(seconds * HostClock.Second, 0).Remaining;
        // Rounded to the nearest second, but never to none.
        return left == 0 ? 0 : Math.Max(1, (left + (HostClock.Second / 2)) / HostClock.Second);
    }

    /// <summary>getitimer(2).</summary>
    [Syscall(36, "getitimer", Support.Full)]
    public static SysResult GetITimer(Task task, int which, UserPtr<IntervalTimerValue> value)
    {
        if (which is < ITIMER_REAL or > ITIMER_PROF)
            return Errno.EINVAL;
        return task.Mm.Write(value, ToValue(task.Group.GetIntervalTimer(task, which, create: false)?.Get() ?? default));
    }

    /// <summary>setitimer(2). ITIMER_VIRTUAL and ITIMER_PROF look at the CPU clocks at most once a millisecond.</summary>
    [Syscall(38, "setitimer", Support.Full)]
    public static SysResult SetITimer(Task task, int which, UserPtr<IntervalTimerValue> value, UserPtr<IntervalTimerValue> old)
    {
        if (which is < ITIMER_REAL or > ITIMER_PROF)
            return Errno.EINVAL;
        IntervalTimerValue wanted = default;
        if (!value.IsNull)
        {
            Errno error = task.Mm.Read(value, out wanted);
            if (error != Errno.OK)
                return error;
        }
        if (!IsValid(in wanted.Value) || !IsValid(in wanted.Interval))
            return Errno.EINVAL;
        IntervalTimer timer = task.Group.GetIntervalTimer(task, which, create: true)!;
        (long, long) before = timer.Set(ToNanoseconds(in wanted.Value), ToNanoseconds(in wanted.Interval));
        return old.IsNull ? 0 : task.Mm.Write(old, ToValue(before));
    }

    /// <summary>timer_create(2).</summary>
    [Syscall(222, "timer_create", Support.Full)]
    public static SysResult TimerCreate(Task task, int clock, UserPtr<SignalEvent> address, UserPtr<int> id)
    {
        const int SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD = 2, SIGEV_THREAD_ID = 4;
        SignalEvent notice = new() { Signal = Signal.SIGALRM };
        if (!address.IsNull && task.Mm.Read(address, out notice) != Errno.OK)
            return Errno.EFAULT;
        if (TimeSyscalls.IsCpuClock(clock))
        {
            Errno error = CpuClock.Check(task, clock);
            if (error != Errno.OK)
                return error;
        }
        else if (clock is not (HostClock.CLOCK_REALTIME or HostClock.CLOCK_MONOTONIC or HostClock.CLOCK_BOOTTIME or HostClock.CLOCK_TAI))
        {
            return TimeSyscalls.IsPlainClock(clock) ? Errno.EOPNOTSUPP : Errno.EINVAL;
        }
        Task? target = null;
        switch (notice.Notify)
        {
            case SIGEV_NONE:
                break;
            case SIGEV_THREAD_ID:
                target = task.Sentry.Tasks.Find(notice.ThreadId);
                if (target?.Group != task.Group || !Signal.IsValid(notice.Signal))
                    return Errno.EINVAL;
                break;
            case SIGEV_SIGNAL or SIGEV_THREAD:
                if (!Signal.IsValid(notice.Signal))
                    return Errno.EINVAL;
                break;
            default:
                return Errno.EINVAL;
        }
        bool hasValue = !address.IsNull;
        PosixTimer? timer = task.Group.CreateTimer(
            task, clock,
            number => new TimerNotice(notice.Signal, hasValue ? notice.Value : (ulong)number, target, notice.Notify == SIGEV_NONE));
        if (timer is null)
            return Errno.EAGAIN;
        Errno written = task.Mm.Write(id, timer.Id);
        if (written != Errno.OK)
            task.Group.DeleteTimer(timer.Id);
        return written;
    }

    /// <summary>timer_settime(2).</summary>
    [Syscall(223, "timer_settime", Support.Full)]
    public static SysResult TimerSetTime(Task task, int id, int flags, UserPtr<IntervalTimerSpec> value, UserPtr<IntervalTimerSpec> old)
    {
        const int TIMER_ABSTIME = 1;
        if (value.IsNull)
            return Errno.EINVAL;
        Errno error = task.Mm.Read(value, out IntervalTimerSpec wanted);
        if (error != Errno.OK)
            return error;
        if (!HostClock.IsValid(in wanted.Value) || !HostClock.IsValid(in wanted.Interval))
            return Errno.EINVAL;
        if (task.Group.FindTimer(id) is not { } timer)
            return Errno.EINVAL;
        (long, long) before = timer.Set(
            HostClock.ToNanoseconds(in wanted.Value), HostClock.ToNanoseconds(in wanted.Interval), (flags & TIMER_ABSTIME) != 0);
        return old.IsNull ? 0 : task.Mm.Write(old, ToSpec(before));
    }

    /// <summary>timer_gettime(2).</summary>
    [Syscall(224, "timer_gettime", Support.Full)]
    public static SysResult TimerGetTime(Task task, int id, UserPtr<IntervalTimerSpec> value)
        => task.Group.FindTimer(id) is { } timer ? task.Mm.Write(value, ToSpec(timer.Get())) : Errno.EINVAL;

    /// <summary>timer_getoverrun(2).</summary>
    [Syscall(225, "timer_getoverrun", Support.Full)]
    public static SysResult TimerGetOverrun(Task task, int id)
        => task.Group.FindTimer(id) is { } timer ? timer.Overrun : Errno.EINVAL;

    /// <summary>timer_delete(2).</summary>
    [Syscall(226, "timer_delete", Support.Full)]
    public static SysResult TimerDelete(Task task, int id) => task.Group.DeleteTimer(id) ? 0 : Errno.EINVAL;

    private static bool IsValid(in TimeVal time) => time.Seconds >= 0 && (ulong)time.Microseconds < 1_000_000;

    private static long ToNanoseconds(in TimeVal time)
        => HostClock.ToNanoseconds(new Timespec { Seconds = time.Seconds, Nanoseconds = time.Microseconds * 1000 });

    private static IntervalTimerValue ToValue((long Remaining, long Interval) timer)
        => new() { Interval = TimeSyscalls.ToTimeVal(timer.Interval), Value = TimeSyscalls.ToTimeVal(Math.Max(timer.Remaining, timer.Remaining == 0 ? 0 : 1000)) };

    private static IntervalTimerSpec ToSpec((long Remaining, long Interval) timer)
        => new() { Interval = HostClock.ToTimespec(timer.Interval), Value = HostClock.ToTimespec(timer.Remaining) };
}
