using Iced.Intel;
using Moat.Platform;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.UnitTests.Platform;

[Collection(PlatformCollection.Name)]
public class InterruptTests
{
    private static void Loop(Assembler c)
    {
        Label loop = c.CreateLabel();
        c.mov(rbx, (long)GuestProgram.DataAddress);
        c.Label(ref loop);
        c.add(__qword_ptr[rbx], 1);
        c.jmp(loop);
    }

    private static void SystemCalls(Assembler c)
    {
        Label loop = c.CreateLabel();
        c.Label(ref loop);
        c.inc(rbx);
        c.syscall();
        c.jmp(loop);
    }

    [Fact]
    public void BeforeTheSwitch()
    {
        using var program = new GuestProgram(SystemCalls);
        using GuestThread thread = program.Thread();
        thread.Interrupt();
        thread.Interrupt();
        Assert.Equal(StopReason.Interrupted, thread.Switch());
        Assert.Equal(0UL, thread.Registers.Rbx);
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(StopReason.Syscall, thread.Switch());
    }

    [Fact]
    public void InATightLoop()
    {
        using var program = new GuestProgram(Loop);
        using GuestThread thread = program.Thread();
        using var go = new SemaphoreSlim(0);
        var interrupter = new Thread(() =>
        {
            for (var i = 0; i < 2000; i++)
            {
                go.Wait();
                if ((i & 1) == 0)
                    Thread.SpinWait(i);
                thread.Interrupt();
            }
        });
        interrupter.Start();
        for (var i = 0; i < 2000; i++)
        {
            go.Release();
            Assert.Equal(StopReason.Interrupted, thread.Switch());
            Assert.InRange(thread.Registers.Rip, GuestProgram.CodeAddress, GuestProgram.CodeAddress + 0x20);
        }

        interrupter.Join();
    }

    // Every request is answered by some stop, and no stop says "interrupted" without a request of its own.
    [Fact]
    public void AmongSystemCalls()
    {
        const int calls = 100_000;
        using var program = new GuestProgram(SystemCalls);
        using GuestThread thread = program.Thread();
        int requests = 0;
        bool stop = false;
        var interrupter = new Thread(() =>
        {
            var random = new Random(1);
            while (!Volatile.Read(ref stop))
            {
                Interlocked.Increment(ref requests);
                thread.Interrupt();
                Thread.SpinWait(random.Next(2000));
            }
        });
        interrupter.Start();
        int interrupted = 0;
        ulong expected = 0;
        for (var done = 0; done < calls;)
        {
            StopReason reason = thread.Switch();
            if (reason == StopReason.Interrupted)
            {
                interrupted++;
                Assert.True(interrupted <= Volatile.Read(ref requests));
                continue;
            }

            Assert.Equal(StopReason.Syscall, reason);
            Assert.Equal(++expected, thread.Registers.Rbx);
            done++;
        }

        Volatile.Write(ref stop, true);
        interrupter.Join();
        StopReason last = thread.Switch();
        Assert.True(last is StopReason.Interrupted or StopReason.Syscall);
        for (var i = 0; i < 100; i++)
            Assert.Equal(StopReason.Syscall, thread.Switch());
    }

    [Fact]
    public void DoesNotAllocate()
    {
        using var program = new GuestProgram(SystemCalls);
        using GuestThread thread = program.Thread();
        for (var warm = 0; warm < 2; warm++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++)
            {
                thread.Interrupt();
                thread.Switch();
                thread.Switch();
            }

            if (warm == 1)
                Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        }
    }
}
