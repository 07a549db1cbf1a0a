using System.Diagnostics;
using Moat.Host;

namespace Moat.Kernel.Time;

/// <summary>The sentry's own clock: host CLOCK_MONOTONIC, nanoseconds. Guests see the same clock through the vDSO.</summary>
internal static class HostClock
{
    /// <summary>CLOCK_ numbers of clock_gettime(2).</summary>
    public const int CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_PROCESS_CPUTIME_ID = 2, CLOCK_THREAD_CPUTIME_ID = 3,
        CLOCK_MONOTONIC_RAW = 4, CLOCK_REALTIME_COARSE = 5, CLOCK_MONOTONIC_COARSE = 6, CLOCK_BOOTTIME = 7,
        CLOCK_REALTIME_ALARM = 8, CLOCK_BOOTTIME_ALARM = 9, CLOCK_TAI = 11;

    /// <summary>Nanoseconds per second.</summary>
    public const long Second = 1_000_000_000;

    /// <summary>Now, nanoseconds. Stopwatch reads CLOCK_MONOTONIC through the vDSO; its unit is one nanosecond on Linux.</summary>
    public static long Now => Stopwatch.GetTimestamp();

    /// <summary>Now on CLOCK_REALTIME, nanoseconds since the epoch.</summary>
    public static long RealtimeNow => Get(CLOCK_REALTIME);

    /// <summary>
    /// Now on a host clock, nanoseconds. CPU-time clocks answer for the calling sentry thread or the sentry as a whole.
    /// </summary>
    public static long Get(int clock) => HostTime.Get(clock);

    /// <summary>
    /// Turns an absolute time of <paramref name="clock"/> into this clock's, as the two stand now. Later steps of a settable
    /// clock are seen by timers only (<see cref="TimerService"/>). Saturates.
    /// </summary>
    public static long FromAbsolute(int clock, long time)
        => clock == CLOCK_MONOTONIC ? time : Add(time, Now - Get(clock));

    /// <summary>The deadline <paramref name="nanoseconds"/> from now; saturates at <see cref="long.MaxValue"/>, which means none.</summary>
    public static long After(long nanoseconds) => Add(Now, nanoseconds);

    /// <summary>Adds without overflow.</summary>
    public static long Add(long time, long nanoseconds)
    {
        long sum = unchecked(time + nanoseconds);
        if (nanoseconds >= 0)
            return sum < time ? long.MaxValue : sum;
        return sum > time ? long.MinValue : sum;
    }

    /// <summary>Nanoseconds of a timespec; saturates. The caller has checked it with <see cref="IsValid"/>.</summary>
    public static long ToNanoseconds(in Timespec time)
        => time.Seconds >= long.MaxValue / Second ? long.MaxValue : (time.Seconds * Second) + time.Nanoseconds;

    /// <summary>A timespec of nanoseconds that are not negative.</summary>
    public static Timespec ToTimespec(long nanoseconds)
        => new() { Seconds = nanoseconds / Second, Nanoseconds = nanoseconds % Second };

    /// <summary>True for a timespec that Linux accepts as a time: not negative, nanoseconds below a second.</summary>
    public static bool IsValid(in Timespec time) => time.Seconds >= 0 && (ulong)time.Nanoseconds < Second;
}
