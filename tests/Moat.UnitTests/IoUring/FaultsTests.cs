using Moat.Abi;
using Moat.Kernel.IoUring;
using Xunit;

namespace Moat.UnitTests.IoUring;

public sealed class FaultsTests
{
    private static UringFaults Read(string text)
    {
        Assert.Null(UringFaults.Read(text, out UringFaults? faults));
        return faults!;
    }

    [Fact]
    public void AllPartsAreRead()
    {
        UringFaults faults = Read("seed=7,short=5%,eagain=1%,eintr=0.5%,delay=2%:1.5s,reorder=5%,overflow=1%,op=READ+IORING_OP_WRITE");
        Assert.Equal(7UL, faults.Seed);
        Assert.Equal(1_500_000_000, faults.Delay);
        Operation?[] table = faults.Wrap(OperationTable.Operations);
        Assert.IsType<FaultyOperation>(table[(int)IoUringOp.READ]);
        Assert.IsType<FaultyOperation>(table[(int)IoUringOp.WRITE]);
        Assert.Same(OperationTable.Operations[(int)IoUringOp.NOP], table[(int)IoUringOp.NOP]);
    }

    [Theory]
    [InlineData("delay=1%:10us", 10_000)]
    [InlineData("delay=1%:2ms", 2_000_000)]
    [InlineData("delay=1%:60s", 60_000_000_000)]
    [InlineData("delay=1%", 1_000_000)]
    public void Delays(string text, long nanoseconds) => Assert.Equal(nanoseconds, Read(text).Delay);

    [Theory]
    [InlineData("")]
    [InlineData("short")]
    [InlineData("short=5")]
    [InlineData("short=101%")]
    [InlineData("short=-1%")]
    [InlineData("short=NaN%")]
    [InlineData("seed=-1")]
    [InlineData("seed=x")]
    [InlineData("delay=1%:10")]
    [InlineData("delay=1%:ms")]
    [InlineData("delay=1%:10mus")]
    [InlineData("delay=1%:61s")]
    [InlineData("op=REED")]
    [InlineData("op=")]
    [InlineData("shorts=1%")]
    [InlineData("short=1%,short=2%")]
    [InlineData("short=60%,eagain=30%,eintr=20%")]
    [InlineData("delay=60%,reorder=50%")]
    public void WhatIsNotUnderstoodIsRefused(string text) => Assert.NotNull(UringFaults.Read(text, out _));

    [Fact]
    public void PlansDependOnSeedRingAndPlaceAlone()
    {
        const string Spec = "short=20%,eagain=20%,delay=20%,reorder=20%,overflow=10%";
        UringFaults one = Read("seed=3," + Spec), same = Read(Spec + ",seed=3"), other = Read("seed=4," + Spec);
        static List<(FaultKinds, uint)> Plan(UringFaults faults, long ring)
            => [.. Enumerable.Range(0, 100).Select(i => faults.Plan(IoUringOp.READ, ring, (uint)i)).Select(f => (f.Kinds, f.Amount))];
        Assert.Equal(Plan(one, 1), Plan(same, 1));
        Assert.NotEqual(Plan(one, 1), Plan(one, 2));
        Assert.NotEqual(Plan(one, 1), Plan(other, 1));
    }

    [Fact]
    public void PartsAreKept()
    {
        const int Count = 100_000;
        UringFaults faults = Read("short=10%,eagain=5%,eintr=1%,delay=2%,reorder=20%,overflow=50%");
        Dictionary<FaultKinds, int> counts = [];
        for (uint i = 0; i < Count; i++)
        {
            FaultKinds kinds = faults.Plan(IoUringOp.WRITE, 1, i).Kinds;
            foreach (FaultKinds kind in Enum.GetValues<FaultKinds>())
                counts[kind] = counts.GetValueOrDefault(kind) + ((kinds & kind) == kind ? 1 : 0);
        }
        foreach ((FaultKinds kind, double part) in new[]
        {
            (FaultKinds.Short, 0.1), (FaultKinds.Again, 0.05), (FaultKinds.Interrupted, 0.01), (FaultKinds.Delay, 0.02),
            (FaultKinds.Reorder, 0.2), (FaultKinds.Overflow, 0.5),
        })
        {
            Assert.InRange(counts[kind], Count * part * 0.9, Count * part * 1.1);
        }
    }

    [Fact]
    public void OperationsGetOnlyWhatFitsThem()
    {
        UringFaults results = Read("short=30%,eagain=30%,eintr=40%"), times = Read("delay=50%,reorder=50%");
        for (uint i = 0; i < 1000; i++)
        {
            Assert.Equal(FaultKinds.None, results.Plan(IoUringOp.CLOSE, 1, i).Kinds);
            Assert.Equal(FaultKinds.None, results.Plan(IoUringOp.FSYNC, 1, i).Kinds & ~FaultKinds.Interrupted);
            Assert.Equal(FaultKinds.None, times.Plan(IoUringOp.LINK_TIMEOUT, 1, i).Kinds);
            Assert.NotEqual(FaultKinds.None, times.Plan(IoUringOp.CLOSE, 1, i).Kinds);
        }
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(4096, 4096)]
    public void WhatCannotBeCutIsLeft(ulong length, ulong unit) => Assert.Equal(0UL, UringFaults.Cut(length, unit, 12345));

    [Theory]
    [InlineData(2, 1)]
    [InlineData(100, 1)]
    [InlineData(8192, 4096)]
    [InlineData(10000, 4096)]
    public void CutsAreShorterAndWholeUnits(ulong length, ulong unit)
    {
        for (uint random = 0; random < 200; random++)
        {
            ulong cut = UringFaults.Cut(length, unit, random);
            Assert.InRange(cut, 1UL, length - 1);
            Assert.Equal(0UL, cut % unit);
        }
    }
}
