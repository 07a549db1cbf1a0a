using System.Globalization;
using Moat.Abi;
using Moat.Kernel.IoUring;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Trace;

namespace Moat.Cli;

/// <summary>The summary of <c>--stats</c>.</summary>
internal static class StatisticsReport
{
    private const int LongestTable = 12;

    /// <summary>Writes it: system calls, io_uring's requests if there were any, and the faults that were asked for.</summary>
    public static void Write(TextWriter to, RingStatistics uring, UringFaults? faults)
    {
        to.WriteLine();
        WriteCalls(to);
        WriteUring(to, uring);
        if (faults is not null)
            to.WriteLine($"injected with seed {faults.Seed}: {(faults.Describe() is { Length: > 0 } done ? done : "nothing")}");
    }

    private static void WriteUring(TextWriter to, RingStatistics uring)
    {
        if (uring.Total == 0)
            return;
        to.WriteLine();
        to.WriteLine("Moat's io_uring      requests     inline     polled     worker  50 % within  99 % within");
        for (IoUringOp op = 0; op < IoUringOp.LAST; op++)
        {
            long inline = uring.Count(op, ServedBy.Inline), polled = uring.Count(op, ServedBy.Poll), worker = uring.Count(op, ServedBy.Worker);
            if (inline + polled + worker > 0)
                to.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{op,-18} {inline + polled + worker,10} {inline,10} {polled,10} {worker,10} {Within(0.5),12} {Within(0.99),12}"));

            string Within(double part) => LatencyHistogram.Percentile(uring.Latencies(op), part) is > 0 and var time ? Time(time) : "-";
        }
        to.WriteLine("latency from submission to completion: " + string.Join(", ",
            new[] { 0.5, 0.9, 0.99, 0.999 }.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p * 100:0.#} % in {Time(uring.Percentile(p))}"))));
    }

    private static void WriteCalls(TextWriter to)
    {
        List<CallTotals> calls = CallStatistics.Collect();
        to.WriteLine("system call             calls     errors   mean time  managed bytes/call: first 1000, then");
        foreach (CallTotals call in calls.Take(LongestTable))
        {
            string name = SyscallTable.NameOf(call.Number) ?? "other";
            string warm = call.Calls > CallStatistics.WarmUp ? call.WarmBytesPerCall.ToString("0.###", CultureInfo.InvariantCulture) : "-";
            to.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name,-18} {call.Calls,10} {call.Errors,10} {Time(call.Nanoseconds / call.Calls),11} {call.ColdBytesPerCall,31:0.#} {warm,6}"));
        }
        if (calls.Count > LongestTable)
            to.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"and {calls.Count - LongestTable} others, {calls.Skip(LongestTable).Sum(c => c.Calls)} calls"));
        to.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"managed memory allocated since the start: {GC.GetTotalAllocatedBytes() / 1024} KiB, {GC.CollectionCount(0)} collections"));
    }

    /// <summary>Nanoseconds as people read them.</summary>
    internal static string Time(double nanoseconds) => nanoseconds switch
    {
        < 10_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds:0} ns"),
        < 10_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1000:0.0} µs"),
        < 10_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1_000_000:0.0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1_000_000_000:0.0} s"),
    };
}
