using Moat.Kernel.Syscalls;
using Xunit;

namespace Moat.UnitTests.Syscalls;

public sealed class SyscallTableTests
{
    [Fact]
    public void NamesAreLinuxs()
    {
        Assert.Equal("read", SyscallTable.NameOf(0));
        Assert.Equal("io_uring_register", SyscallTable.NameOf(427));
        Assert.Equal("file_setattr", SyscallTable.NameOf(469));
        Assert.Equal(469, SyscallTable.LastKnown);
        Assert.Null(SyscallTable.NameOf(400));
        Assert.Null(SyscallTable.NameOf(-1));
        Assert.Null(SyscallTable.NameOf(long.MaxValue));
    }

    [Fact]
    public void EveryDescriptorIsFoundByItsNumber()
    {
        Assert.NotEqual(0, SyscallTable.All.Length);
        foreach (SyscallDescriptor descriptor in SyscallTable.All)
        {
            Assert.Same(descriptor, SyscallTable.Find(descriptor.Number));
            Assert.Equal(descriptor.Name, SyscallTable.NameOf(descriptor.Number));
            Assert.True(descriptor.Support == Support.Full || descriptor.Note.Length > 0, descriptor.Name);
        }
        Assert.Null(SyscallTable.Find(400));
        Assert.Null(SyscallTable.Find(-1));
    }
}
