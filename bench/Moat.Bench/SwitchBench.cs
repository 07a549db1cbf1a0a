using System.Diagnostics;
using System.Globalization;
using Iced.Intel;
using Moat.Host;
using Moat.Platform;
using Moat.Platform.Trap;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Bench;

/// <summary>Round trip of a trapped system call that does nothing, beside a trap handled in the same process.</summary>
internal static class SwitchBench
{
    private const ulong CodeAddress = 0x40_0000;

    public static int Run(string[] args)
    {
        int rounds = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 300_000;
        int threads = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 1;
        using var platform = new TrapPlatform(MemoryFile.Create());
        WriteGuest(platform);
        var trap = new List<double>();
        var moat = new List<double>();
        long allocated = 0;
        for (var i = 0; i < 5; i++)
        {
            trap.Add(InProcessTrap.Measure(rounds));
            moat.Add(Measure(platform, rounds, threads, ref allocated));
        }

        trap.Sort();
        moat.Sort();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"in-process SIGSYS   {trap[2]:F0} ns"));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"switch, {threads} thread(s) {moat[2]:F0} ns each ({moat[0]:F0} to {moat[^1]:F0}), ratio {moat[2] / trap[2]:F2}, {allocated} bytes allocated"));
        return 0;
    }

    // Every thread in an address space of its own, as two guests have it.
    private static double Measure(TrapPlatform platform, int rounds, int threads, ref long allocated)
    {
        var results = new double[threads];
        long total = 0;
        using var start = new Barrier(threads);
        var workers = new Thread[threads];
        for (var t = 0; t < threads; t++)
        {
            int me = t;
            workers[t] = new Thread(() =>
            {
                using AddressSpace space = platform.CreateAddressSpace();
                HostException.Check(space.MapMemory(CodeAddress, 0x1000, 0, MapAccess.Read | MapAccess.Execute), "mapping");
                using GuestThread thread = space.CreateThread();
                thread.Registers.Rip = CodeAddress;
                thread.Switch();
                start.SignalAndWait();
                for (var i = 0; i < 10_000; i++)
                    thread.Switch();
                long bytes = GC.GetAllocatedBytesForCurrentThread();
                long begin = Stopwatch.GetTimestamp();
                for (var i = 0; i < rounds; i++)
                {
                    if (thread.Switch() != StopReason.Syscall)
                        throw new InvalidOperationException("the guest stopped for another reason");
                    if (thread.Call.Number != 110)
                        throw new InvalidOperationException("the guest made another call");
                    thread.SetResult(1);
                }

                results[me] = Stopwatch.GetElapsedTime(begin).TotalNanoseconds / rounds;
                Interlocked.Add(ref total, GC.GetAllocatedBytesForCurrentThread() - bytes);
            });
            workers[t].Start();
        }

        foreach (Thread worker in workers)
            worker.Join();
        allocated += total;
        return results.Average();
    }

    private static unsafe void WriteGuest(TrapPlatform platform)
    {
        var c = new Assembler(64);
        Label loop = c.CreateLabel();
        c.Label(ref loop);
        c.mov(eax, 110);
        c.syscall();
        c.jmp(loop);
        using var stream = new MemoryStream();
        c.Assemble(new StreamCodeWriter(stream), CodeAddress);
        stream.ToArray().CopyTo(new Span<byte>(platform.Memory.Base, 0x1000));
    }
}
