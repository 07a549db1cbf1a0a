using System.Diagnostics;
using System.Globalization;
using Moat.Host;
using Moat.Platform;
using Moat.Platform.Trap;

namespace Moat.Bench;

/// <summary>What address spaces, threads and mappings cost.</summary>
internal static class SpaceBench
{
    public static int Run()
    {
        long begin = Stopwatch.GetTimestamp();
        using var platform = new TrapPlatform(MemoryFile.Create());
        Report("platform", begin, 1);
        begin = Stopwatch.GetTimestamp();
        AddressSpace space = platform.CreateAddressSpace();
        Report("first address space", begin, 1);
        begin = Stopwatch.GetTimestamp();
        space.CreateThread();
        Report("first thread", begin, 1);

        var threads = new GuestThread[200];
        begin = Stopwatch.GetTimestamp();
        for (var i = 0; i < threads.Length; i++)
            threads[i] = space.CreateThread();
        Report("thread", begin, threads.Length);
        begin = Stopwatch.GetTimestamp();
        foreach (GuestThread thread in threads)
            thread.Dispose();
        Report("thread's end", begin, threads.Length);

        const int rounds = 2000;
        begin = Stopwatch.GetTimestamp();
        for (var i = 0; i < rounds; i++)
            space.MapMemory(0x40_0000, 0x1_0000, 0, MapAccess.Read | MapAccess.Write);
        Report("map 64 KiB over", begin, rounds);
        begin = Stopwatch.GetTimestamp();
        for (var i = 0; i < rounds; i++)
            space.Protect(0x40_0000, 0x1_0000, (i & 1) == 0 ? MapAccess.Read : MapAccess.Read | MapAccess.Write);
        Report("protect", begin, rounds);
        int file = HostSyscall.OpenReadOnly("/proc/self/exe\0"u8);
        begin = Stopwatch.GetTimestamp();
        for (var i = 0; i < rounds; i++)
            space.MapHostFile(0x40_0000, 0x1000, file, 0, MapAccess.Read, shared: false);
        Report("map a host file", begin, rounds);
        HostSyscall.Close(file);
        space.Dispose();

        const int spaces = 100;
        TimeSpan made = default, ended = default;
        for (var i = 0; i < spaces; i++)
        {
            begin = Stopwatch.GetTimestamp();
            AddressSpace one = platform.CreateAddressSpace();
            made += Stopwatch.GetElapsedTime(begin);
            begin = Stopwatch.GetTimestamp();
            one.Dispose();
            ended += Stopwatch.GetElapsedTime(begin);
        }

        Report("address space", made, spaces);
        Report("address space's end", ended, spaces);
        return 0;
    }

    private static void Report(string what, long begin, int count) => Report(what, Stopwatch.GetElapsedTime(begin), count);

    private static void Report(string what, TimeSpan time, int count)
        => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-22} {time.TotalMicroseconds / count:F1} µs"));
}
