namespace Moat.Host;

/// <summary>Host clocks (man 2 clock_gettime).</summary>
public static unsafe class HostTime
{
    /// <summary>A clock's time, nanoseconds; 0 for a clock that the host does not know.</summary>
    public static long Get(int clock)
    {
        long* ts = stackalloc long[2];
        return HostSyscall.CallQuick(228 /* clock_gettime */, clock, (long)ts) == 0 ? (ts[0] * 1_000_000_000) + ts[1] : 0;
    }

    /// <summary>Processor time of one of the sentry's own threads by its host id, nanoseconds (MAKE_THREAD_CPUCLOCK).</summary>
    public static long GetOfThread(int tid)
    {
        const int CPUCLOCK_PERTHREAD = 4, CPUCLOCK_SCHED = 2;
        return Get((~tid << 3) | CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED);
    }

    /// <summary>Processor time of all threads of a process, nanoseconds (MAKE_PROCESS_CPUCLOCK); 0 when it is gone.</summary>
    public static long GetOfProcess(int pid)
    {
        const int CPUCLOCK_SCHED = 2;
        return Get((~pid << 3) | CPUCLOCK_SCHED);
    }

    /// <summary>A clock's resolution, nanoseconds, or -errno.</summary>
    public static long GetResolution(int clock)
    {
        long* ts = stackalloc long[2];
        long r = HostSyscall.CallQuick(229 /* clock_getres */, clock, (long)ts);
        return r == 0 ? (ts[0] * 1_000_000_000) + ts[1] : r;
    }

    /// <summary>
    /// Waits until somebody sets CLOCK_REALTIME (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET) or <paramref name="stop"/>, an
    /// eventfd, is readable. True: the clock was set. False: stopped, or the host refuses.
    /// </summary>
    public static bool WaitForClockSet(int timerFd, int stop)
    {
        const short POLLIN = 1;
        long* pollfds = stackalloc long[2];
        // struct pollfd: int fd; short events, revents.
        pollfds[0] = (uint)timerFd | ((long)POLLIN << 32);
        pollfds[1] = (uint)stop | ((long)POLLIN << 32);
        long r;
        do
        {
            r = HostSyscall.Call(7 /* poll */, (long)pollfds, 2, -1);
        }
        while (r == -4 /* EINTR */);
        if (r < 0 || (pollfds[1] >> 48) != 0)
            return false;
        long expirations;
        HostSyscall.CallQuick(0 /* read */, timerFd, (long)&expirations, 8);
        return true;
    }

    /// <summary>A timer descriptor for <see cref="WaitForClockSet"/>, or -errno.</summary>
    public static int CreateClockSetTimer()
    {
        const int TFD_NONBLOCK = 0x800, TFD_CLOEXEC = 0x80000;
        return (int)HostSyscall.Call(283 /* timerfd_create */, 0 /* CLOCK_REALTIME */, TFD_NONBLOCK | TFD_CLOEXEC);
    }

    /// <summary>Arms it for a time that never comes; the next step of the clock makes it readable.</summary>
    public static void ArmClockSetTimer(int timerFd)
    {
        const int TFD_TIMER_ABSTIME = 1, TFD_TIMER_CANCEL_ON_SET = 2;
        long* spec = stackalloc long[4];
        spec[0] = spec[1] = spec[3] = 0;
        spec[2] = int.MaxValue * 4L;
        HostSyscall.Call(286 /* timerfd_settime */, timerFd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, (long)spec);
    }
}
