using System.Diagnostics;

namespace Moat.Kernel.Time;

/// <summary>The sentry's own clock: host CLOCK_MONOTONIC, nanoseconds. Guests see the same clock through the vDSO.</summary>
internal static class HostClock
{
    /// <summary>Now, nanoseconds. Stopwatch reads CLOCK_MONOTONIC through the vDSO; its unit is one nanosecond on Linux.</summary>
    public static long Now => Stopwatch.GetTimestamp();
}
