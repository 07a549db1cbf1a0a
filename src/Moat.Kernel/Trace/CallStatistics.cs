using Moat.Kernel.Syscalls;
using Moat.Kernel.Time;

namespace Moat.Kernel.Trace;

/// <summary>
/// What one system call cost in all, while calls are counted. Managed allocations are those of the calling task's thread: in the
/// first <see cref="CallStatistics.WarmUp"/> calls, and in those that follow.
/// </summary>
internal readonly record struct CallTotals(int Number, long Calls, long Errors, long Nanoseconds, long ColdBytes, long WarmBytes)
{
    /// <summary>Bytes for each call of the first ones.</summary>
    public double ColdBytesPerCall => (double)ColdBytes / Math.Min(Calls, CallStatistics.WarmUp);

    /// <summary>Bytes for each call of the later ones; not a number when there are none.</summary>
    public double WarmBytesPerCall => (double)WarmBytes / Math.Max(Calls - CallStatistics.WarmUp, 0);
}

/// <summary>Counts, times and managed allocations by system call: <c>moat do --stats</c>. Times include waiting.</summary>
internal static class CallStatistics
{
    /// <summary>Calls after which all buffers and pools have grown.</summary>
    public const int WarmUp = 1000;

    private const int Columns = 5, Rows = 512;

    private static long[]? s_totals;

    /// <summary>True while counting.</summary>
    public static bool IsCounting => s_totals is not null;

    /// <summary>Starts counting. Before the first guest runs.</summary>
    public static void Start()
    {
        s_totals = new long[Rows * Columns];
        Tracer.Active = true;
    }

    /// <summary>A call begins on this thread.</summary>
    public static (long Time, long Allocated) Begin()
        => s_totals is null ? default : (HostClock.Now, GC.GetAllocatedBytesForCurrentThread());

    /// <summary>And ends.</summary>
    public static void End(long number, (long Time, long Allocated) begin, SysResult result)
    {
        if (s_totals is not { } totals)
            return;
        long allocated = GC.GetAllocatedBytesForCurrentThread() - begin.Allocated;
        int row = (int)Math.Min((uint)number, Rows - 1) * Columns;
        bool warm = Interlocked.Increment(ref totals[row]) > WarmUp;
        if (result.Error is > 0 and < Errno.ERESTARTSYS)
            Interlocked.Increment(ref totals[row + 1]);
        Interlocked.Add(ref totals[row + 2], HostClock.Now - begin.Time);
        if (allocated != 0)
            Interlocked.Add(ref totals[row + (warm ? 4 : 3)], allocated);
    }

    /// <summary>The calls that were made, the most frequent first. The last row stands for all numbers from 511 on.</summary>
    public static List<CallTotals> Collect()
    {
        List<CallTotals> rows = [];
        for (int i = 0; s_totals is { } t && i < Rows; i++)
        {
            if (t[i * Columns] != 0)
            {
                long[] c = t[(i * Columns)..((i + 1) * Columns)];
                rows.Add(new CallTotals(i, c[0], c[1], c[2], c[3], c[4]));
            }
        }
        rows.Sort((a, b) => b.Calls.CompareTo(a.Calls));
        return rows;
    }
}
