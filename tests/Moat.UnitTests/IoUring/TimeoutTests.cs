using Moat.Abi;
using Moat.Kernel.IoUring;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Time;
using Xunit;

namespace Moat.UnitTests.IoUring;

[Collection("io_uring")]
public sealed class TimeoutTests
{
    private static void Set(ref IoUringSqe sqe, ulong time, ulong count = 0, TimeoutFlags flags = 0)
    {
        sqe.addr = time;
        sqe.len = 1;
        sqe.off = count;
        sqe.timeout_flags = (uint)flags;
    }

    private static ulong Time(RingHarness ring, long milliseconds)
        => ring.MapValue(HostClock.ToTimespec(milliseconds * 1_000_000));

    [Fact]
    public void ExpiresWithEtimeAndEndsWaits()
    {
        using RingHarness ring = new(8);
        long start = HostClock.Now;
        Set(ref ring.Next(IoUringOp.TIMEOUT, 1), Time(ring, 10));
        // The expiry ends the wait although three events were asked for.
        Assert.Equal(1, ring.Submit(1, wait: 3));
        Assert.True(HostClock.Now - start >= 10_000_000);
        Assert.Equal("1:-62", ring.Take());
    }

    [Fact]
    public void NobodyWaitingIsServedToo()
    {
        using RingHarness ring = new(8);
        Set(ref ring.Next(IoUringOp.TIMEOUT, 1), Time(ring, 1));
        ring.Submit(1);
        Assert.Equal("1:-62", ring.Take(1));
    }

    [Fact]
    public void DeferredWorkWaitsForTheSubmitter()
    {
        using RingHarness ring = new(8, IoUringSetup.SINGLE_ISSUER | IoUringSetup.DEFER_TASKRUN | IoUringSetup.TASKRUN_FLAG);
        Set(ref ring.Next(IoUringOp.TIMEOUT, 1), Time(ring, 1));
        ring.Submit(1);
        unsafe
        {
            uint* flags = ring.SqFlags;
            Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref *flags) == (uint)SqRingFlags.TASKRUN, 10_000));
        }
        Assert.Equal("", ring.Take());
        Assert.Equal((int)PollEvents.POLLIN, (int)(ring.Ring.Poll() & PollEvents.POLLIN));
        Assert.Equal(-(int)Errno.EEXIST, ring.Wait(1, RingHarness.NewTask(RingHarness.Sentry, ring.Task)));
        Assert.Equal(0, ring.Wait(1));
        Assert.Equal("1:-62", ring.Take());
    }

    [Fact]
    public void CountsCompletions()
    {
        using RingHarness ring = new(8);
        Set(ref ring.Next(IoUringOp.TIMEOUT, 1), Time(ring, 100_000), count: 2);
        Set(ref ring.Next(IoUringOp.TIMEOUT, 2), Time(ring, 100_000), count: 1);
        ring.Submit(2);
        ring.Next(IoUringOp.NOP, 3);
        ring.Submit(1);
        Assert.Equal("3:0 2:0", ring.Take());
        ring.Next(IoUringOp.NOP, 4);
        ring.Submit(1);
        Assert.Equal("4:0 1:0", ring.Take());
    }

    [Fact]
    public void RemoveAndUpdate()
    {
        using RingHarness ring = new(8);
        Set(ref ring.Next(IoUringOp.TIMEOUT, 1), Time(ring, 100_000));
        Set(ref ring.Next(IoUringOp.TIMEOUT, 2), Time(ring, 100_000));
        ring.Submit(2);
        ring.Next(IoUringOp.TIMEOUT_REMOVE, 3).addr = 1;
        ring.Next(IoUringOp.TIMEOUT_REMOVE, 4).addr = 99;
        ring.Submit(2);
        Assert.Equal("3:0 4:-2 1:-125", ring.Take());
        ref IoUringSqe update = ref ring.Next(IoUringOp.TIMEOUT_REMOVE, 5);
        update.addr = 2;
        update.addr2 = Time(ring, 1);
        update.timeout_flags = (uint)TimeoutFlags.UPDATE;
        Assert.Equal(1, ring.Submit(1, wait: 2));
        Assert.Equal("5:0 2:-62", ring.Take());
    }

    [Fact]
    public void MultishotRepeats()
    {
        using RingHarness ring = new(8);
        Set(ref ring.Next(IoUringOp.TIMEOUT, 1), Time(ring, 1), count: 3, TimeoutFlags.MULTISHOT);
        ring.Submit(1);
        Assert.Equal("1:-62:2 1:-62:2 1:-62", ring.Take(3));
    }

    [Fact]
    public void LinkTimeoutCancelsItsRequest()
    {
        using RingHarness ring = new(8);
        Set(ref ring.Next(IoUringOp.TIMEOUT, 1, SqeFlags.IO_LINK), Time(ring, 100_000));
        Set(ref ring.Next(IoUringOp.LINK_TIMEOUT, 2), Time(ring, 1));
        ring.Submit(2);
        Assert.Equal("2:-62 1:-125", ring.Take(2));
        // It loses against a request that ends first.
        ring.Next(IoUringOp.NOP, 3, SqeFlags.IO_LINK);
        Set(ref ring.Next(IoUringOp.LINK_TIMEOUT, 4), Time(ring, 100_000));
        Set(ref ring.Next(IoUringOp.TIMEOUT, 5, SqeFlags.IO_LINK), Time(ring, 1), 0, TimeoutFlags.ETIME_SUCCESS);
        Set(ref ring.Next(IoUringOp.LINK_TIMEOUT, 6, SqeFlags.IO_LINK), Time(ring, 100_000));
        ring.Next(IoUringOp.NOP, 7);
        ring.Submit(5);
        Assert.Equal("3:0 4:-125 5:-62 6:-125 7:0", ring.Take(5));
    }

    [Fact]
    public void LinkTimeoutNeedsSomethingBeforeIt()
    {
        using RingHarness ring = new(8);
        Set(ref ring.Next(IoUringOp.LINK_TIMEOUT, 1), Time(ring, 1));
        Assert.Equal(1, ring.Submit(1));
        Assert.Equal("1:-22", ring.Take());
    }

    [Fact]
    public void ClosingCancelsEverything()
    {
        long live = Ring.LiveRequests;
        using (RingHarness ring = new(64))
        {
            ulong late = Time(ring, 100_000);
            for (uint i = 0; i < 60; i++)
                Set(ref ring.Next(IoUringOp.TIMEOUT, i, i % 3 == 0 ? SqeFlags.IO_LINK : 0), late);
            ring.Next(IoUringOp.NOP, 60, SqeFlags.IO_DRAIN);
            ring.Next(IoUringOp.NOP, 61);
            ring.Submit(62);
        }
        Assert.Equal(live, Ring.LiveRequests);
    }

    [Fact]
    public void WaitHasATimeOfItsOwn()
    {
        using RingHarness ring = new(8);
        ulong arg = ring.MapValue(new IoUringGeteventsArg { ts = Time(ring, 5) });
        Assert.Equal(-(int)Errno.ETIME, ring.Ring.Enter(ring.Task, 0, 1, IoUringEnter.GETEVENTS | IoUringEnter.EXT_ARG, arg, 24).Value);
        ring.Task.Mm.Write(new UserPtr<IoUringGeteventsArg>(arg), new IoUringGeteventsArg { ts = Time(ring, 100_000), min_wait_usec = 1000 });
        Set(ref ring.Next(IoUringOp.TIMEOUT, 1), Time(ring, 5), 0, TimeoutFlags.ETIME_SUCCESS);
        ring.Submit(1);
        Assert.Equal(0, ring.Ring.Enter(ring.Task, 0, 3, IoUringEnter.GETEVENTS | IoUringEnter.EXT_ARG, arg, 24).Value);
        Assert.Equal("1:-62", ring.Take());
    }
}
