using System.Diagnostics;
using System.Globalization;
using Moat.Host;

namespace Moat.Bench;

/// <summary>Copies of 4 KiB that succeed, and copies that fault.</summary>
internal static unsafe class SafeCopyBench
{
    public static int Run()
    {
        const int page = 4096, rounds = 200_000;
        byte* memory = (byte*)HostSyscall.Mmap(null, 3 * page, 3, 0x22, -1, 0);
        new Span<byte>(memory, 2 * page).Fill(1);
        HostException.Check(HostSyscall.Call(10 /* mprotect */, (long)memory + 2 * page, page, 0), "mprotect");
        nuint left = 0;
        long begin = Stopwatch.GetTimestamp();
        for (var i = 0; i < rounds; i++)
            new Span<byte>(memory, page).CopyTo(new Span<byte>(memory + page, page));
        Report("managed copy of 4 KiB", begin, rounds);
        begin = Stopwatch.GetTimestamp();
        for (var i = 0; i < rounds; i++)
            left += SafeCopy.Copy(memory + page, memory, page);
        Report("safe copy of 4 KiB", begin, rounds);
        begin = Stopwatch.GetTimestamp();
        for (var i = 0; i < rounds / 10; i++)
            left += SafeCopy.Copy(memory, memory + 2 * page - 64, page) - (page - 64);
        Report("one that faults", begin, rounds / 10);
        Console.WriteLine(left == 0 ? "counts are right" : "COUNTS ARE WRONG");
        return left == 0 ? 0 : 1;
    }

    private static void Report(string what, long begin, int rounds)
        => Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{what,-22} {Stopwatch.GetElapsedTime(begin).TotalNanoseconds / rounds:F0} ns"));
}
