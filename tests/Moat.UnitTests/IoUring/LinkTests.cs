using Moat.Abi;
using Moat.Kernel.IoUring;
using Xunit;

namespace Moat.UnitTests.IoUring;

[Collection("io_uring")]
public sealed class LinkTests
{
    private const SqeFlags Link = SqeFlags.IO_LINK, Hard = SqeFlags.IO_HARDLINK, Skip = SqeFlags.CQE_SKIP_SUCCESS;

    private static void Fail(ref IoUringSqe sqe)
    {
        sqe.nop_flags = (uint)NopFlags.INJECT_RESULT;
        sqe.len = unchecked((uint)-5);
    }

    [Fact]
    public void ChainRunsInOrder()
    {
        using RingHarness ring = new(8);
        ring.Next(IoUringOp.NOP, 1, Link);
        ring.Next(IoUringOp.NOP, 2, Link);
        ring.Next(IoUringOp.NOP, 3);
        ring.Next(IoUringOp.NOP, 4, Link);
        Assert.Equal(4, ring.Submit(4));
        Assert.Equal("1:0 4:0 2:0 3:0", ring.Take());
    }

    [Fact]
    public void FailureCancelsTheRest()
    {
        using RingHarness ring = new(8);
        ring.Next(IoUringOp.NOP, 1, Link);
        Fail(ref ring.Next(IoUringOp.NOP, 2, Link));
        ring.Next(IoUringOp.NOP, 3, Hard);
        ring.Next(IoUringOp.NOP, 4);
        ring.Submit(4);
        Assert.Equal("1:0 2:-5 3:-125 4:-125", ring.Take());
    }

    [Fact]
    public void HardLinkSurvivesFailure()
    {
        using RingHarness ring = new(8);
        Fail(ref ring.Next(IoUringOp.NOP, 1, Hard));
        ring.Next(IoUringOp.NOP, 2, Link);
        ring.Next(IoUringOp.NOP, 3);
        ring.Submit(3);
        Assert.Equal("1:-5 2:0 3:0", ring.Take());
    }

    [Fact]
    public void UnpreparableMemberFailsTheWholeChain()
    {
        using RingHarness ring = new(8);
        ring.Next(IoUringOp.NOP, 1, Link);
        ring.Next((IoUringOp)200, 2, Link);
        ring.Next(IoUringOp.NOP, 3);
        ring.Next(IoUringOp.NOP, 4);
        Assert.Equal(4, ring.Submit(4));
        Assert.Equal("1:-125 4:0 2:-22 3:-125", ring.Take());

        ring.Next(IoUringOp.NOP, 5, Hard);
        ring.Next((IoUringOp)200, 6);
        ring.Next(IoUringOp.NOP, 7);
        Assert.Equal(2, ring.Submit(3));
        Assert.Equal("5:-125 6:-22", ring.Take());
    }

    [Fact]
    public void SkippedSuccessIsSilentAndFailureIsNot()
    {
        using RingHarness ring = new(8);
        ring.Next(IoUringOp.NOP, 1, Link | Skip);
        ring.Next(IoUringOp.NOP, 2);
        ring.Submit(2);
        Assert.Equal("2:0", ring.Take());
        Fail(ref ring.Next(IoUringOp.NOP, 3, Link | Skip));
        ring.Next(IoUringOp.NOP, 4, Link);
        ring.Next(IoUringOp.NOP, 5, Skip);
        ring.Submit(3);
        Assert.Equal("3:-5", ring.Take());
        // What fails with its own CQE wanted cancels loudly, even those that asked to be skipped.
        Fail(ref ring.Next(IoUringOp.NOP, 6, Link));
        ring.Next(IoUringOp.NOP, 7, Skip);
        ring.Submit(2);
        Assert.Equal("6:-5 7:-125", ring.Take());
    }

    [Fact]
    public void DrainWaitsForAllBeforeAndHoldsAllAfter()
    {
        using RingHarness ring = new(8);
        ulong soon = ring.MapValue(new Timespec { Nanoseconds = 20_000_000 });
        ref IoUringSqe timeout = ref ring.Next(IoUringOp.TIMEOUT, 1);
        timeout.addr = soon;
        timeout.len = 1;
        ring.Next(IoUringOp.NOP, 2, SqeFlags.IO_DRAIN);
        ring.Next(IoUringOp.NOP, 3);
        Assert.Equal(3, ring.Submit(3));
        Assert.Equal("", ring.Take());
        ring.Wait(1);
        Assert.Equal("1:-62 2:0 3:0", ring.Take(3));
        // The first one after them finds that nothing waits any more, and goes the way of a drain itself: to a worker.
        ring.Next(IoUringOp.NOP, 4);
        ring.Submit(1);
        Assert.Equal("4:0", ring.Take(1));
    }

    [Fact]
    public void DrainAfterSkipIsRefused()
    {
        using RingHarness ring = new(8);
        ring.Next(IoUringOp.NOP, 1, Skip);
        ring.Submit(1);
        ring.Next(IoUringOp.NOP, 2, SqeFlags.IO_DRAIN);
        ring.Submit(1);
        Assert.Equal("2:-95", ring.Take());
    }
}
