namespace Moat.Kernel.Vfs;

/// <summary>The clock of file times: CLOCK_REALTIME.</summary>
internal static class RealTime
{
    /// <summary>Now, in steps of 100 nanoseconds.</summary>
    public static Timespec Now
    {
        get
        {
            long ticks = DateTime.UtcNow.Ticks - DateTime.UnixEpoch.Ticks;
            return new Timespec { Seconds = ticks / 10_000_000, Nanoseconds = ticks % 10_000_000 * 100 };
        }
    }
}
