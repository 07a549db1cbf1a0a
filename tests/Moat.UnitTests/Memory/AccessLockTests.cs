using Moat.Kernel.Memory;
using Xunit;

namespace Moat.UnitTests.Memory;

public sealed class AccessLockTests
{
    /// <summary>More readers than slots, nesting, and writers that must be alone.</summary>
    [Fact]
    public void WritersAreAloneAndReadersNest()
    {
        AccessLock access = new();
        long value = 0;
        int writersIn = 0, failures = 0;
        using CountdownEvent done = new(28);
        void Run(Action<int> step, int steps)
        {
            Thread thread = new(() =>
            {
                for (int i = 0; i < steps; i++)
                    step(i);
                done.Signal();
            });
            thread.Start();
        }
        for (int i = 0; i < 24; i++)
        {
            Run(n =>
            {
                access.EnterRead();
                long before = Volatile.Read(ref value);
                access.EnterRead();
                if (n % 16 == 0)
                    Thread.Yield();
                if (Volatile.Read(ref writersIn) != 0 || Volatile.Read(ref value) != before)
                    Interlocked.Increment(ref failures);
                access.ExitRead();
                if (!access.IsReading)
                    Interlocked.Increment(ref failures);
                access.ExitRead();
            }, 5000);
        }
        for (int i = 0; i < 4; i++)
        {
            Run(_ =>
            {
                access.EnterWrite();
                if (Interlocked.Increment(ref writersIn) != 1)
                    Interlocked.Increment(ref failures);
                value++;
                Interlocked.Decrement(ref writersIn);
                access.ExitWrite();
            }, 2000);
        }
        done.Wait();
        Assert.Equal(0, failures);
        Assert.Equal(8000, value);
        Assert.False(access.IsReading);
    }

    /// <summary>A thread that reads goes deeper although a writer waits; a thread that does not read waits for it.</summary>
    [Fact]
    public void NestingPassesAWaitingWriter()
    {
        AccessLock access = new();
        using ManualResetEventSlim written = new();
        access.EnterRead();
        Thread writer = new(() =>
        {
            access.EnterWrite();
            written.Set();
            access.ExitWrite();
        });
        writer.Start();
        Thread.Sleep(20);
        access.EnterRead();
        Assert.False(written.IsSet);
        access.ExitRead();
        access.ExitRead();
        written.Wait();
        writer.Join();
    }
}
