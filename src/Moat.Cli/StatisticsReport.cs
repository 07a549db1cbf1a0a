using System.Globalization;
using Moat.Abi;
using Moat.Kernel.IoUring;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Trace;

namespace Moat.Cli;

/// <summary>The summary of <c>--stats</c>.</summary>
internal static class StatisticsReport
{
    /// <summary>Writes it: io_uring's requests if there were any, then system calls.</summary>
    public static void Write(TextWriter to, RingStatistics uring)
    {
        to.WriteLine();
        WriteUring(to, uring);
        WriteCalls(to);
        to.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"managed memory allocated since the start: {GC.GetTotalAllocatedBytes() / 1024} KiB, {GC.CollectionCount(0)} collections"));
    }

    private static void WriteUring(TextWriter to, RingStatistics uring)
    {
        if (uring.Total == 0)
            return;
        to.WriteLine("Moat's io_uring      requests     inline     polled     worker");
        for (IoUringOp op = 0; op < IoUringOp.LAST; op++)
        {
            long inline = uring.Count(op, ServedBy.Inline), polled = uring.Count(op, ServedBy.Poll), worker = uring.Count(op, ServedBy.Worker);
            if (inline + polled + worker > 0)
                to.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{op,-18} {inline + polled + worker,10} {inline,10} {polled,10} {worker,10}"));
        }
        to.WriteLine("latency from submission to completion: " + string.Join(", ",
            new[] { 0.5, 0.9, 0.99, 0.999 }.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p * 100:0.#} % in {Time(uring.Percentile(p))}"))));
        to.WriteLine();
    }

    private static void WriteCalls(TextWriter to)
    {
        to.WriteLine("system call             calls     errors   mean time  managed bytes/call");
        foreach (CallTotals call in CallStatistics.Collect())
        {
            string name = SyscallTable.NameOf(call.Number) ?? "other";
            to.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name,-18} {call.Calls,10} {call.Errors,10} {Time(call.Nanoseconds / call.Calls),11} {(double)call.AllocatedBytes / call.Calls,19:0.###}"));
        }
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
