using Moat.Kernel.Time;
using Xunit;

namespace Moat.UnitTests.Tasks;

public sealed class TimerServiceTests
{
    [Fact]
    public void ExpiresInOrderAndNeverEarly()
    {
        using TimerService service = new();
        List<int> order = [];
        using CountdownEvent left = new(20);
        long start = HostClock.Now;
        for (int i = 0; i < 20; i++)
        {
            int n = (i * 7) % 20;
            long when = start + (n * 500_000L);
            TestTimer timer = new(() =>
            {
                Assert.True(HostClock.Now >= when);
                lock (order)
                    order.Add(n);
                left.Signal();
            });
            timer.Arm(service, when);
        }
        Assert.True(left.Wait(TimeSpan.FromSeconds(20)));
        lock (order)
            Assert.Equal(20, order.Distinct().Count());
    }

    [Fact]
    public void AnEarlierTimerWakesTheSleepingThread()
    {
        using TimerService service = new();
        using ManualResetEventSlim late = new(), early = new();
        TestTimer first = new(late.Set), second = new(early.Set);
        first.Arm(service, HostClock.Now + (1000 * HostClock.Second));
        Thread.Sleep(20);
        second.Arm(service, HostClock.Now + 1_000_000);
        Assert.True(early.Wait(TimeSpan.FromSeconds(20)));
        Assert.False(late.IsSet);
        Assert.True(first.IsArmed);
        Assert.InRange(first.Remaining, 900 * HostClock.Second, 1000 * HostClock.Second);
        Assert.True(first.Cancel());
        Assert.False(first.Cancel());
        Assert.Equal(0, first.Remaining);
    }

    [Fact]
    public void EachArmingExpiresOrIsCancelled()
    {
        using TimerService service = new();
        int expired = 0, undone = 0;
        TestTimer[] timers = [.. Enumerable.Range(0, 50).Select(_ => new TestTimer(() => Interlocked.Increment(ref expired)))];
        const int PerThread = 20_000;
        Thread[] threads = [.. Enumerable.Range(0, 3).Select(seed => new Thread(() =>
        {
            Random random = new(seed);
            for (int i = 0; i < PerThread; i++)
            {
                TestTimer timer = timers[random.Next(timers.Length)];
                if (timer.Arm(service, HostClock.Now + random.Next(-1000, 100_000)))
                    Interlocked.Increment(ref undone);
                if (random.Next(3) == 0 && timer.Cancel())
                    Interlocked.Increment(ref undone);
            }
        }))];
        foreach (Thread t in threads)
            t.Start();
        foreach (Thread t in threads)
            t.Join();
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref expired) + undone == 3 * PerThread, TimeSpan.FromSeconds(20)));
        Assert.DoesNotContain(timers, t => t.IsArmed);
    }

    [Fact]
    public void RealtimeTimersFollowTheirClock()
    {
        using TimerService service = new();
        using ManualResetEventSlim expired = new();
        TestTimer timer = new(expired.Set);
        long when = HostClock.RealtimeNow + 2_000_000;
        timer.Arm(service, when, HostClock.CLOCK_REALTIME);
        Assert.True(expired.Wait(TimeSpan.FromSeconds(20)));
        Assert.True(HostClock.RealtimeNow >= when);
    }

    [Fact]
    public void TimeArithmeticSaturates()
    {
        Assert.Equal(long.MaxValue, HostClock.Add(5, long.MaxValue));
        Assert.Equal(long.MaxValue, HostClock.ToNanoseconds(new Abi.Timespec { Seconds = long.MaxValue, Nanoseconds = 5 }));
        Assert.True(HostClock.IsValid(new Abi.Timespec { Seconds = 0, Nanoseconds = 999_999_999 }));
        Assert.False(HostClock.IsValid(new Abi.Timespec { Seconds = 0, Nanoseconds = 1_000_000_000 }));
        Assert.False(HostClock.IsValid(new Abi.Timespec { Seconds = -1, Nanoseconds = 0 }));
        Assert.False(HostClock.IsValid(new Abi.Timespec { Seconds = 0, Nanoseconds = -1 }));
    }

    private sealed class TestTimer(Action action) : KernelTimer
    {
        protected internal override void OnExpired() => action();
    }
}
