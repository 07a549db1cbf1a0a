using System.Runtime.CompilerServices;
using Moat.Abi;
using Xunit;

namespace Moat.UnitTests.IoUring;

public sealed class AbiTests
{
    [Fact]
    public void StructsHaveLinuxSizes()
    {
        Assert.Equal(64, Unsafe.SizeOf<IoUringSqe>());
        Assert.Equal(16, Unsafe.SizeOf<IoUringCqe>());
        Assert.Equal(120, Unsafe.SizeOf<IoUringParams>());
        Assert.Equal(40, Unsafe.SizeOf<IoSqringOffsets>());
        Assert.Equal(40, Unsafe.SizeOf<IoCqringOffsets>());
        Assert.Equal(24, Unsafe.SizeOf<IoUringGeteventsArg>());
        Assert.Equal(8, Unsafe.SizeOf<IoUringProbeOp>());
        Assert.Equal(16, Unsafe.SizeOf<IoUringProbe>());
        Assert.Equal(16, Unsafe.SizeOf<IoUringRsrcUpdate>());
        Assert.Equal(32, Unsafe.SizeOf<IoUringRsrcRegister>());
        Assert.Equal(32, Unsafe.SizeOf<IoUringRsrcUpdate2>());
        Assert.Equal(16, Unsafe.SizeOf<IoUringFileIndexRange>());
        Assert.Equal(64, Unsafe.SizeOf<IoUringSyncCancelReg>());
        Assert.Equal(16, Unsafe.SizeOf<IoUringClockRegister>());
    }

    [Theory]
    [InlineData(62, IoUringOp.PIPE)]
    [InlineData(22, IoUringOp.READ)]
    [InlineData(33, IoUringOp.TEE)]
    [InlineData(49, IoUringOp.READ_MULTISHOT)]
    [InlineData(58, IoUringOp.RECV_ZC)]
    public void OpcodesHaveLinuxNumbers(int number, IoUringOp op) => Assert.Equal(number, (int)op);
}
