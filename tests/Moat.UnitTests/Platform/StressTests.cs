using Iced.Intel;
using Moat.Platform;
using Moat.Platform.Trap;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.UnitTests.Platform;

[Collection(PlatformCollection.Name)]
public class StressTests
{
    // Address spaces come and go on many threads; some guests run to an end, some are killed, some disposed of while they run.
    [Fact]
    public void SpacesComeAndGo()
    {
        int rounds = int.Parse(Environment.GetEnvironmentVariable("MOAT_STRESS") ?? "8", System.Globalization.CultureInfo.InvariantCulture);
        int failures = 0;
        var workers = new Thread[6];
        for (var w = 0; w < workers.Length; w++)
        {
            int seed = w;
            workers[w] = new Thread(() =>
            {
                var random = new Random(seed);
                for (var round = 0; round < rounds; round++)
                {
                    if (!One(random))
                        Interlocked.Increment(ref failures);
                }
            });
            workers[w].Start();
        }

        foreach (Thread worker in workers)
            worker.Join();
        Assert.Equal(0, failures);
        Assert.Equal((0, 0), (CoreBudget.Active, CoreBudget.Spinners));
    }

    private static bool One(Random random)
    {
        using var program = new GuestProgram(c =>
        {
            Label loop = c.CreateLabel();
            c.Label(ref loop);
            c.syscall();
            c.jmp(loop);
        });
        int end = random.Next(3), calls = random.Next(1, 2000);
        var results = new StopReason[random.Next(1, 4)];
        var threads = new Thread[results.Length];
        for (var i = 0; i < threads.Length; i++)
        {
            int me = i;
            GuestThread thread = program.Thread();
            threads[i] = new Thread(() =>
            {
                using (thread)
                {
                    for (var n = 0; end != 0 || n < calls; n++)
                    {
                        results[me] = thread.Switch();
                        if (results[me] == StopReason.Died)
                            return;
                        thread.SetResult(39);
                    }
                }
            });
            threads[i].Start();
        }

        Thread.SpinWait(random.Next(200_000));
        if (end == 1)
            program.Space.Kill();
        else if (end == 2)
            program.Space.Dispose();
        foreach (Thread thread in threads)
            thread.Join();
        return Array.TrueForAll(results, r => r == (end == 0 ? StopReason.Syscall : StopReason.Died));
    }
}
