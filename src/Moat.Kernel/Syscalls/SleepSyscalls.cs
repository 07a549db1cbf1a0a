using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Syscalls;

/// <summary>Sleeping until a time.</summary>
internal static class SleepSyscalls
{
    /// <summary>nanosleep(2).</summary>
    [Syscall(35, "nanosleep", Support.Full)]
    public static SysResult NanoSleep(Task task, UserPtr<Timespec> duration, UserPtr<Timespec> remaining)
    {
        Errno error = ReadTime(task, duration, out long nanoseconds);
        if (error != Errno.OK)
            return error;
        return task.Sleep(HostClock.After(nanoseconds), HostClock.CLOCK_MONOTONIC, remaining);
    }

    /// <summary>clock_nanosleep(2).</summary>
    [Syscall(230, "clock_nanosleep", Support.Full)]
    public static SysResult ClockNanoSleep(Task task, int clock, int flags, UserPtr<Timespec> time, UserPtr<Timespec> remaining)
    {
        const int TIMER_ABSTIME = 1;
        if (clock == HostClock.CLOCK_THREAD_CPUTIME_ID)
            return Errno.EINVAL;
        bool isCpu = TimeSyscalls.IsCpuClock(clock), isAbsolute = (flags & TIMER_ABSTIME) != 0;
        Errno known = isCpu ? CpuClock.Check(task, clock) : TimeSyscalls.IsPlainClock(clock) ? Errno.OK : Errno.EINVAL;
        if (known != Errno.OK)
            return known;
        if (!isCpu && clock is not (HostClock.CLOCK_REALTIME or HostClock.CLOCK_MONOTONIC or HostClock.CLOCK_BOOTTIME or HostClock.CLOCK_TAI))
            return Errno.EOPNOTSUPP;
        Errno error = ReadTime(task, time, out long nanoseconds);
        if (error != Errno.OK)
            return error;
        if (isCpu)
        {
            long until = isAbsolute ? nanoseconds : HostClock.Add(CpuClock.Get(task, clock).Value, nanoseconds);
            return task.SleepOnCpu(until, clock, remaining, isAbsolute);
        }
        // A duration is one on every clock; only absolute times follow a clock that is set.
        return isAbsolute
            ? task.Sleep(nanoseconds, clock, default, isAbsolute)
            : task.Sleep(HostClock.After(nanoseconds), HostClock.CLOCK_MONOTONIC, remaining);
    }

    private static Errno ReadTime(Task task, UserPtr<Timespec> address, out long nanoseconds)
    {
        nanoseconds = 0;
        Errno error = task.Mm.Read(address, out Timespec time);
        if (error != Errno.OK)
            return error;
        if (!HostClock.IsValid(in time))
            return Errno.EINVAL;
        nanoseconds = HostClock.ToNanoseconds(in time);
        return Errno.OK;
    }
}
