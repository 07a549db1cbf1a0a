using Iced.Intel;
using Moat.Platform;
using Moat.Platform.Trap;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.UnitTests.Platform;

[Collection(PlatformCollection.Name)]
public class BudgetTests
{
    private static void Compute(Assembler c)
    {
        Label loop = c.CreateLabel();
        c.Label(ref loop);
        c.pause();
        c.jmp(loop);
    }

    private static void Call(Assembler c)
    {
        Label loop = c.CreateLabel();
        c.Label(ref loop);
        c.syscall();
        c.jmp(loop);
    }

    [Fact]
    public void ASentryThreadSleepsWhileItsGuestComputes()
    {
        using var program = new GuestProgram(Compute);
        using GuestThread thread = program.Thread();
        var runner = new Thread(() => thread.Switch());
        runner.Start();
        while (!((TrapThread)thread).SentrySleeps)
            Thread.Yield();
        Assert.Equal(0, CoreBudget.Spinners);
        Assert.Equal(1, CoreBudget.Active);
        program.Space.Kill();
        runner.Join();
        Assert.Equal(0, CoreBudget.Active);
    }

    [Fact]
    public void AStubSleepsWhileTheSentryBlocks()
    {
        using var program = new GuestProgram(Call);
        using GuestThread thread = program.Thread();
        for (var i = 0; i < 100; i++)
            Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(1, CoreBudget.Active);
        thread.BeginBlock();
        Assert.Equal((0, 0), (CoreBudget.Active, CoreBudget.Spinners));
        while (!((TrapThread)thread).StubSleeps)
            Thread.Yield();
        thread.EndBlock();
        Assert.Equal(1, CoreBudget.Active);
        for (var i = 0; i < 100; i++)
            Assert.Equal(StopReason.Syscall, thread.Switch());
        thread.Dispose();
        Assert.Equal((0, 0), (CoreBudget.Active, CoreBudget.Spinners));
    }

    [Fact]
    public void NobodySpinsWhileOthersWaitForACore()
    {
        int cores = Environment.ProcessorCount;
        using var computing = new GuestProgram(Compute);
        using var calling = new GuestProgram(Call);
        var runners = new Thread[cores];
        for (var i = 0; i < cores; i++)
        {
            runners[i] = new Thread(() =>
            {
                using GuestThread thread = computing.Thread();
                thread.Switch();
            });
            runners[i].Start();
        }

        while (CoreBudget.Active < cores)
            Thread.Yield();
        using GuestThread caller = calling.Thread();
        // Those that spun when the last of the others came notice, each when it next has a core.
        do
        {
            Assert.Equal(StopReason.Syscall, caller.Switch());
        } while (CoreBudget.Spinners != 0);
        for (var i = 0; i < 100; i++)
        {
            Assert.Equal(StopReason.Syscall, caller.Switch());
            Assert.Equal(0, CoreBudget.Spinners);
        }

        computing.Space.Kill();
        foreach (Thread runner in runners)
            runner.Join();
    }

    [Fact]
    public void BusyGuestsAllGetAhead()
    {
        const int calls = 5000;
        var runners = new Thread[2 * Environment.ProcessorCount];
        for (var i = 0; i < runners.Length; i++)
        {
            runners[i] = new Thread(() =>
            {
                using var program = new GuestProgram(Call);
                using GuestThread thread = program.Thread();
                for (var n = 0; n < calls; n++)
                    Assert.Equal(StopReason.Syscall, thread.Switch());
            });
            runners[i].Start();
        }

        foreach (Thread runner in runners)
            runner.Join();
        Assert.Equal((0, 0), (CoreBudget.Active, CoreBudget.Spinners));
    }
}
