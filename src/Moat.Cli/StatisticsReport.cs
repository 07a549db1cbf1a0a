using System.Globalization;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Trace;

namespace Moat.Cli;

/// <summary>The summary of <c>--stats</c>.</summary>
internal static class StatisticsReport
{
    /// <summary>Writes it.</summary>
    public static void Write(TextWriter to)
    {
        List<CallTotals> calls = CallStatistics.Collect();
        to.WriteLine();
        to.WriteLine("system call            calls   errors   mean time  managed bytes/call");
        foreach (CallTotals call in calls)
        {
            string name = SyscallTable.NameOf(call.Number) ?? "other";
            to.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name,-18} {call.Calls,9} {call.Errors,8} {Time(call.Nanoseconds / call.Calls),11} {(double)call.AllocatedBytes / call.Calls,19:0.###}"));
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
