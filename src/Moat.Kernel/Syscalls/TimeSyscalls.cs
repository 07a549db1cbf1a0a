using Moat.Host;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Syscalls;

/// <summary>struct timeval.</summary>
internal struct TimeVal
{
    public long Seconds, Microseconds;
}

/// <summary>struct timezone.</summary>
internal struct TimeZone
{
    public int MinutesWest, DstTime;
}

/// <summary>Clocks. Guests read most of them through the host's vDSO and never come here.</summary>
internal static class TimeSyscalls
{
    private const int TimexSize = 208;

    /// <summary>clock_gettime(2).</summary>
    [Syscall(228, "clock_gettime", Support.Partial, Note = "CPU clocks: the stub's time and the sentry's work for it")]
    public static SysResult ClockGetTime(Task task, int clock, UserPtr<Timespec> time)
    {
        SysResult now = Read(task, clock);
        return now.IsError ? now : task.Mm.Write(time, HostClock.ToTimespec(now.Value));
    }

    /// <summary>clock_getres(2).</summary>
    [Syscall(229, "clock_getres", Support.Full)]
    public static SysResult ClockGetRes(Task task, int clock, UserPtr<Timespec> resolution)
    {
        long nanoseconds = 1;
        if (IsCpuClock(clock))
        {
            Errno error = CpuClock.Check(task, clock);
            if (error != Errno.OK)
                return error;
        }
        else
        {
            nanoseconds = IsPlainClock(clock) ? HostTime.GetResolution(clock) : -(long)Errno.EINVAL;
            if (nanoseconds < 0)
                return nanoseconds;
        }
        return resolution.IsNull ? 0 : task.Mm.Write(resolution, HostClock.ToTimespec(nanoseconds));
    }

    /// <summary>clock_settime(2).</summary>
    [Syscall(227, "clock_settime", Support.ErrnoOnly, Note = "EPERM: the clock is the host's; EINVAL for clocks that nobody sets")]
    public static SysResult ClockSetTime(Task task, int clock, UserPtr<Timespec> time)
    {
        if (clock != HostClock.CLOCK_REALTIME)
            return IsCpuClock(clock) && CpuClock.Check(task, clock) == Errno.OK ? Errno.EPERM : Errno.EINVAL;
        Errno error = task.Mm.Read(time, out Timespec value);
        return error != Errno.OK ? error : HostClock.IsValid(in value) ? Errno.EPERM : Errno.EINVAL;
    }

    /// <summary>gettimeofday(2).</summary>
    [Syscall(96, "gettimeofday", Support.Full)]
    public static SysResult GetTimeOfDay(Task task, UserPtr<TimeVal> time, UserPtr<TimeZone> zone)
    {
        if (!time.IsNull)
        {
            Errno error = task.Mm.Write(time, ToTimeVal(HostClock.RealtimeNow));
            if (error != Errno.OK)
                return error;
        }
        return zone.IsNull ? 0 : task.Mm.Write(zone, default(TimeZone));
    }

    /// <summary>settimeofday(2).</summary>
    [Syscall(164, "settimeofday", Support.ErrnoOnly, Note = "EPERM: the clock is the host's")]
    public static SysResult SetTimeOfDay(Task task, UserPtr<TimeVal> time, UserPtr<TimeZone> zone) => Errno.EPERM;

    /// <summary>time(2).</summary>
    [Syscall(201, "time", Support.Full)]
    public static SysResult TimeOf(Task task, UserPtr<long> time)
    {
        long now = HostClock.RealtimeNow / HostClock.Second;
        if (!time.IsNull && task.Mm.Write(time, now) != Errno.OK)
            return Errno.EFAULT;
        return now;
    }

    /// <summary>adjtimex(2).</summary>
    [Syscall(159, "adjtimex", Support.Partial, Note = "reads; changing is EPERM")]
    public static SysResult AdjTimeX(Task task, UserPtr timex) => ReadTimex(task, HostClock.CLOCK_REALTIME, timex);

    /// <summary>clock_adjtime(2).</summary>
    [Syscall(305, "clock_adjtime", Support.Partial, Note = "reads CLOCK_REALTIME; changing is EPERM")]
    public static SysResult ClockAdjTime(Task task, int clock, UserPtr timex)
    {
        if (clock == HostClock.CLOCK_REALTIME)
            return ReadTimex(task, clock, timex);
        return IsPlainClock(clock) || (IsCpuClock(clock) && CpuClock.Check(task, clock) == Errno.OK) ? Errno.EOPNOTSUPP : Errno.EINVAL;
    }

    /// <summary>times(2): clock ticks of 10 ms.</summary>
    [Syscall(100, "times", Support.Full)]
    public static SysResult Times(Task task, UserPtr buffer)
    {
        const long Tick = 10_000_000;
        if (!buffer.IsNull)
        {
            (long user, long system) = task.Group.GetTimes();
            (long childUser, long childSystem) = task.Group.ChildTimes;
            ReadOnlySpan<long> ticks = [user / Tick, system / Tick, childUser / Tick, childSystem / Tick];
            Errno error = task.Mm.CopyOut(buffer, System.Runtime.InteropServices.MemoryMarshal.AsBytes(ticks));
            if (error != Errno.OK)
                return error;
        }
        return HostClock.Get(HostClock.CLOCK_BOOTTIME) / Tick;
    }

    /// <summary>getrusage(2).</summary>
    [Syscall(98, "getrusage", Support.Partial, Note = "the peak is of mapped memory; counts faults that the sentry serves and sleeps, no I/O and no preemption")]
    public static SysResult GetRUsage(Task task, int who, UserPtr usage)
    {
        const int RUSAGE_SELF = 0, RUSAGE_CHILDREN = -1, RUSAGE_THREAD = 1;
        if (who is not (RUSAGE_SELF or RUSAGE_CHILDREN or RUSAGE_THREAD))
            return Errno.EINVAL;
        ThreadGroup group = task.Group;
        return who switch
        {
            RUSAGE_CHILDREN => WaitSyscalls.WriteUsage(task, usage, group.ChildTimes, group.ChildPeak, group.ChildCounts),
            RUSAGE_THREAD => WaitSyscalls.WriteUsage(task, usage, task.GetTimes(), task.Mm.PeakBytes, task.Counts),
            _ => WaitSyscalls.WriteUsage(task, usage, group.GetTimes(), task.Mm.PeakBytes, group.GetCounts()),
        };
    }

    /// <summary>The time of any clock, nanoseconds, or EINVAL.</summary>
    internal static SysResult Read(Task task, int clock)
    {
        if (IsCpuClock(clock))
            return CpuClock.Get(task, clock);
        return IsPlainClock(clock) ? HostClock.Get(clock) : Errno.EINVAL;
    }

    /// <summary>True for the CPU clocks, valid or not.</summary>
    internal static bool IsCpuClock(int clock)
        => clock is HostClock.CLOCK_PROCESS_CPUTIME_ID or HostClock.CLOCK_THREAD_CPUTIME_ID or < 0;

    /// <summary>True for clocks that are the host's own.</summary>
    internal static bool IsPlainClock(int clock)
        => clock is HostClock.CLOCK_REALTIME or HostClock.CLOCK_MONOTONIC or HostClock.CLOCK_MONOTONIC_RAW
            or HostClock.CLOCK_REALTIME_COARSE or HostClock.CLOCK_MONOTONIC_COARSE or HostClock.CLOCK_BOOTTIME
            or HostClock.CLOCK_REALTIME_ALARM or HostClock.CLOCK_BOOTTIME_ALARM or HostClock.CLOCK_TAI;

    /// <summary>A struct timeval of nanoseconds, rounded down.</summary>
    internal static TimeVal ToTimeVal(long nanoseconds)
        => new() { Seconds = nanoseconds / HostClock.Second, Microseconds = nanoseconds % HostClock.Second / 1000 };

    private static SysResult ReadTimex(Task task, int clock, UserPtr timex)
    {
        Errno error = task.Mm.Read(new UserPtr<uint>(timex.Address), out uint modes);
        if (error != Errno.OK)
            return error;
        const uint ADJ_OFFSET_SS_READ = 0xa001;
        if (modes is not (0 or ADJ_OFFSET_SS_READ))
            return Errno.EPERM;
        Span<byte> bytes = stackalloc byte[TimexSize];
        long state = HostSystem.ReadTimex(clock, bytes);
        if (state < 0)
            return state;
        BitConverter.TryWriteBytes(bytes, modes);
        error = task.Mm.CopyOut(timex, bytes);
        return error != Errno.OK ? error : state;
    }
}
