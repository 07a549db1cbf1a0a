using Moat.Abi;
using Moat.Kernel.IoUring;
using Xunit;

namespace Moat.UnitTests.IoUring;

[Collection("io_uring")]
public sealed unsafe class SubmitTests
{
    [Theory]
    [InlineData(1, 0u, 0, 1, 2)]
    [InlineData(3, 0u, 0, 4, 8)]
    [InlineData(32768, 0u, 0, 32768, 65536)]
    [InlineData(40000, 0x10u, 0, 32768, 65536)]
    [InlineData(8, 0x8u, 9, 8, 16)]
    [InlineData(8, 0x18u, 70000, 8, 65536)]
    public void SizesAreRounded(uint entries, uint flags, uint cqEntries, uint sq, uint cq)
    {
        IoUringParams p = new() { flags = flags, cq_entries = cqEntries };
        Assert.Equal(Errno.OK, Ring.Create(RingHarness.NewTask(RingHarness.Sentry), entries, ref p, out Ring? ring));
        Assert.Equal(sq, p.sq_entries);
        Assert.Equal(cq, p.cq_entries);
        ring!.DropReference();
    }

    [Theory]
    [InlineData(0, 0u, 0)]
    [InlineData(32769, 0u, 0)]
    [InlineData(0, 0x10u, 0)]
    [InlineData(8, 0x8u, 0)]
    [InlineData(8, 0x8u, 4)]
    [InlineData(8, 0x8u, 65537)]
    [InlineData(8, 0x200u, 0)]
    [InlineData(8, 0x2000u, 0)]
    [InlineData(8, 0x1200u, 0)]
    [InlineData(8, 0x80000000u, 0)]
    public void BadSetupIsEinval(uint entries, uint flags, uint cqEntries)
    {
        IoUringParams p = new() { flags = flags, cq_entries = cqEntries };
        Assert.Equal(Errno.EINVAL, Ring.Create(RingHarness.NewTask(RingHarness.Sentry), entries, ref p, out _));
    }

    [Fact]
    public void NopsCompleteInOrder()
    {
        using RingHarness ring = new(8);
        for (uint i = 0; i < 8; i++)
            ring.Next(IoUringOp.NOP, i);
        Assert.Equal(3, ring.Submit(3));
        Assert.Equal("0:0 1:0 2:0", ring.Take());
        Assert.Equal(5, ring.Submit(20, wait: 20));
        Assert.Equal("3:0 4:0 5:0 6:0 7:0", ring.Take());
        Assert.Equal(0, ring.Submit(5));
    }

    [Fact]
    public void NopInjectsResultsAndRefusesUnknownFlags()
    {
        using RingHarness ring = new(8);
        ref IoUringSqe sqe = ref ring.Next(IoUringOp.NOP, 1);
        sqe.nop_flags = 1;
        sqe.len = 42;
        ring.Submit(1);
        ring.Next(IoUringOp.NOP, 2).nop_flags = 0x40;
        ring.Submit(1);
        ring.Next(IoUringOp.NOP, 3).nop_flags = 2;
        ring.Submit(1);
        ring.Next(IoUringOp.NOP, 4).nop_flags = 8;
        ring.Submit(1);
        Assert.Equal("1:42 2:-22 3:-9 4:-14", ring.Take());
    }

    [Fact]
    public void ErrorsEndTheBatchUnlessSubmitAll()
    {
        using RingHarness ring = new(8);
        ring.Next(IoUringOp.NOP, 1);
        ring.Next((IoUringOp)200, 2);
        ring.Next(IoUringOp.NOP, 3);
        Assert.Equal(2, ring.Submit(3, wait: 3));
        Assert.Equal("1:0 2:-22", ring.Take());
        Assert.Equal(1, ring.Submit(1));
        Assert.Equal("3:0", ring.Take());

        using RingHarness all = new(8, IoUringSetup.SUBMIT_ALL);
        all.Next(IoUringOp.NOP, 1);
        all.Next((IoUringOp)200, 2);
        all.Next(IoUringOp.NOP, 3);
        Assert.Equal(3, all.Submit(3));
        Assert.Equal("1:0 2:-22 3:0", all.Take());
    }

    [Fact]
    public void BadIndexIsDroppedAndEndsTheBatch()
    {
        using RingHarness ring = new(8);
        ring.Next(IoUringOp.NOP, 1);
        ring.Next(IoUringOp.NOP, 2);
        ring.SetIndex(8);
        ring.Next(IoUringOp.NOP, 3);
        Assert.Equal(1, ring.Submit(3));
        Assert.Equal(1u, *ring.Dropped);
        Assert.Equal(2u, ring.SqHead);
        Assert.Equal(1, ring.Submit(3));
        Assert.Equal("1:0 3:0", ring.Take());
    }

    [Fact]
    public void GarbageTailRunsAtMostTheRing()
    {
        using RingHarness ring = new(4, IoUringSetup.NO_SQARRAY);
        for (uint i = 0; i < 4; i++)
            ring.Next(IoUringOp.NOP, i);
        ring.Publish(1000);
        Assert.Equal(4, ring.Ring.Enter(ring.Task, 1000, 0, 0, 0, 0).Value);
        Assert.Equal("0:0 1:0 2:0 3:0", ring.Take());
    }

    [Fact]
    public void OverflowIsKeptAndFlushed()
    {
        using RingHarness ring = new(4);
        for (uint k = 0; k < 5; k++)
        {
            for (uint i = 0; i < 4; i++)
                ring.Next(IoUringOp.NOP, (k * 10) + i);
            Assert.Equal(4, ring.Submit(4));
        }
        Assert.Equal((uint)SqRingFlags.CQ_OVERFLOW, *ring.SqFlags);
        Assert.Equal("0:0 1:0 2:0 3:0 10:0 11:0 12:0 13:0", ring.Take());
        Assert.Equal(0, ring.Wait(0));
        Assert.Equal("20:0 21:0 22:0 23:0 30:0 31:0 32:0 33:0", ring.Take());
        Assert.Equal(0, ring.Wait(1));
        Assert.Equal("40:0 41:0 42:0 43:0", ring.Take());
        Assert.Equal(0u, *ring.SqFlags);
        Assert.Equal(0u, *ring.Overflow);
    }

    [Fact]
    public void GarbageCompletionHeadOnlyFillsTheRing()
    {
        using RingHarness ring = new(4);
        ring.SetCqHead(1000);
        ring.Next(IoUringOp.NOP, 1);
        Assert.Equal(1, ring.Submit(1));
        ring.SetCqHead(0);
        Assert.Equal(0, ring.Wait(1));
        Assert.Equal("1:0", ring.Take());
    }
}
