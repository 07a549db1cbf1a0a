using Moat.Abi;
using Moat.Kernel;
using Moat.Kernel.Events;
using Moat.Kernel.Time;
using Xunit;

namespace Moat.UnitTests.Events;

public sealed class EventFdTests : IDisposable
{
    private readonly Buffer _buffer = new(64);

    public void Dispose() => _buffer.Dispose();

    private SysResult Write(EventFd file, ulong value, int length = 8)
    {
        BitConverter.TryWriteBytes(_buffer.Bytes, value);
        return _buffer.Write(file, length);
    }

    [Fact]
    public void CountsAndOverflows()
    {
        EventFd file = new(3, semaphore: false, OpenFlags.O_RDONLY);
        Assert.Equal(8, _buffer.Read(file, 20).Value);
        Assert.Equal(3UL, BitConverter.ToUInt64(_buffer.Bytes));
        Assert.Equal(Errno.EAGAIN, _buffer.Read(file, 8).Error);
        Assert.Equal(Errno.EINVAL, _buffer.Read(file, 7).Error);
        Assert.Equal(Errno.EINVAL, Write(file, ulong.MaxValue).Error);
        Assert.Equal(Errno.EINVAL, Write(file, 1, 16).Error);
        Assert.Equal(8, Write(file, ulong.MaxValue - 1).Value);
        Assert.Equal(Errno.EAGAIN, Write(file, 1).Error);
        Assert.Equal(8, Write(file, 0).Value);
        Assert.Equal(PollEvents.POLLIN, file.Poll());
        file.Signal();
        Assert.Equal(PollEvents.POLLIN | PollEvents.POLLERR, file.Poll());
        Assert.Equal(Errno.EAGAIN, Write(file, 0).Error);
        Assert.Equal(8, _buffer.Read(file, 8).Value);
        Assert.Equal(ulong.MaxValue, BitConverter.ToUInt64(_buffer.Bytes));
        Assert.Equal(PollEvents.POLLOUT, file.Poll());
    }

    [Fact]
    public void SemaphoreGivesOneByOne()
    {
        EventFd file = new(2, semaphore: true, OpenFlags.O_RDONLY);
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(8, _buffer.Read(file, 8).Value);
            Assert.Equal(1UL, BitConverter.ToUInt64(_buffer.Bytes));
        }
        Assert.Equal(Errno.EAGAIN, _buffer.Read(file, 8).Error);
    }

    [Fact]
    public void TimerCountsWhatPassed()
    {
        using TimerService service = new();
        TimerFd timer = new(service, HostClock.CLOCK_MONOTONIC, OpenFlags.O_RDONLY);
        Assert.Equal(Errno.EAGAIN, _buffer.Read(timer, 8).Error);
        long start = HostClock.Now - (10 * 50_000_000L) + 25_000_000;
        ITimerSpec past = new() { Value = HostClock.ToTimespec(start), Interval = HostClock.ToTimespec(50_000_000_000) };
        timer.Set(TimerFd.TFD_TIMER_ABSTIME, in past, out ITimerSpec old);
        Assert.Equal(0, old.Value.Seconds);
        Assert.Equal(PollEvents.POLLIN, timer.Poll());
        Assert.Equal(8, _buffer.Read(timer, 8).Value);
        Assert.Equal(1UL, BitConverter.ToUInt64(_buffer.Bytes));
        Assert.Equal(Errno.EAGAIN, _buffer.Read(timer, 8).Error);
        timer.Get(out ITimerSpec now);
        Assert.Equal(50, now.Interval.Seconds);
        Assert.InRange(now.Value.Seconds, 40, 50);
        ITimerSpec many = new() { Value = HostClock.ToTimespec(start), Interval = HostClock.ToTimespec(1_000_000) };
        timer.Set(TimerFd.TFD_TIMER_ABSTIME, in many, out _);
        Assert.Equal(8, _buffer.Read(timer, 8).Value);
        Assert.InRange(BitConverter.ToUInt64(_buffer.Bytes), 475UL, 60_000UL);
        timer.Set(0, default, out _);
        Assert.Equal(Errno.EAGAIN, _buffer.Read(timer, 8).Error);
        timer.DropReference();
    }

    [Fact]
    public void TimerWakes()
    {
        using TimerService service = new();
        TimerFd timer = new(service, HostClock.CLOCK_REALTIME, OpenFlags.O_RDONLY);
        using ManualResetEventSlim woken = new();
        Waiter waiter = new(woken);
        timer.Waiters.Add(waiter, PollEvents.POLLIN);
        ITimerSpec soon = new() { Value = HostClock.ToTimespec(2_000_000) };
        timer.Set(0, in soon, out _);
        Assert.True(woken.Wait(TimeSpan.FromSeconds(20)));
        Assert.Equal(PollEvents.POLLIN, timer.Poll());
        waiter.Remove();
        timer.DropReference();
    }

    private sealed class Waiter(ManualResetEventSlim woken) : WaitEntry
    {
        public override bool OnWake(PollEvents events)
        {
            woken.Set();
            return true;
        }
    }
}
