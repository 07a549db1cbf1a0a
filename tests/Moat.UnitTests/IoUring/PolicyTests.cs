using Moat.Abi;
using Moat.Cli;
using Moat.Kernel.IoUring;
using Moat.Kernel.Tasks;
using Xunit;

namespace Moat.UnitTests.IoUring;

public sealed class PolicyTests
{
    private static UringPolicy Read(string text)
    {
        Assert.Null(UringPolicyReader.Read("p", text, out UringPolicy? policy));
        return policy!;
    }

    [Fact]
    public void NothingSaidIsAllAllowed()
    {
        UringPolicy policy = Read("# nothing\n\n \t\r\n");
        Assert.Equal((1UL << (int)IoUringOp.LAST) - 1, policy.Operations);
        Assert.Equal((1UL << (int)IoUringRegisterOp.LAST) - 1, policy.Registrations);
        Assert.Equal((IoUringSetup)0x7ffff, policy.Setup);
        Assert.Equal((SqeFlags)0x7f, policy.SqeFlags);
    }

    [Fact]
    public void NamesAreLinuxsWithAndWithoutPrefix()
    {
        UringPolicy policy = Read("default deny\nallow op READ IORING_OP_NOP # comment\nallow register probe IORING_REGISTER_BUFFERS UNREGISTER_BUFFERS\n"
            + "allow setup SQPOLL IORING_SETUP_CLAMP\nallow sqe IO_LINK IOSQE_ASYNC");
        Assert.Equal((1UL << (int)IoUringOp.READ) | 1, policy.Operations);
        Assert.Equal((1UL << (int)IoUringRegisterOp.REGISTER_PROBE) | 3, policy.Registrations);
        Assert.Equal(IoUringSetup.SQPOLL | IoUringSetup.CLAMP, policy.Setup);
        Assert.Equal(SqeFlags.IO_LINK | SqeFlags.ASYNC, policy.SqeFlags);
    }

    [Fact]
    public void LaterRulesOutweighEarlierOnes()
    {
        UringPolicy policy = Read("deny op *\nallow op READ WRITE\ndeny op WRITE\ndefault deny sqe\ndefault allow sqe");
        Assert.True(policy.Allows(IoUringOp.READ));
        Assert.False(policy.Allows(IoUringOp.WRITE));
        Assert.False(policy.Allows(IoUringOp.NOP));
        Assert.Equal((SqeFlags)0x7f, policy.SqeFlags);
    }

    [Theory]
    [InlineData("deny op NO_SUCH", "there is no operation NO_SUCH")]
    [InlineData("deny op LAST", "there is no operation LAST")]
    [InlineData("deny register OP", "there is no registration OP")]
    [InlineData("allow setup READ", "there is no setup flag READ")]
    [InlineData("allow setup NONE", "there is no setup flag NONE")]
    [InlineData("deny sqe IO", "there is no request flag IO")]
    [InlineData("deny ops READ", "there is no kind ops; it is one of op, register, setup, sqe")]
    [InlineData("deny", "deny what? It takes a kind (op, register, setup, sqe) and names")]
    [InlineData("allow op", "which operations? Names have to follow, or *")]
    [InlineData("default", "default needs allow or deny")]
    [InlineData("default deny all", "there is no kind all; it is one of op, register, setup, sqe")]
    [InlineData("reject op READ", "no rule begins with reject; it is allow, deny or default")]
    public void WhatIsWrongIsSaidWithItsPlace(string line, string problem)
    {
        Assert.Equal("p:2: " + problem, UringPolicyReader.Read("p", "# first\n" + line + "\ndeny op ALSO_WRONG", out UringPolicy? policy));
        Assert.Null(policy);
    }

    [Fact]
    public void DeniedOperationsKeepTheirPlace()
    {
        Operation?[] table = Read("deny op READ").Restrict(OperationTable.Operations);
        Operation denied = table[(int)IoUringOp.READ]!;
        Assert.NotSame(OperationTable.Operations[(int)IoUringOp.READ], denied);
        Assert.Equal(IoUringOp.READ, denied.Number);
        Assert.Equal(OperationTable.Operations[(int)IoUringOp.READ]!.Flags, denied.Flags);
        Assert.Same(OperationTable.Operations[(int)IoUringOp.WRITE], table[(int)IoUringOp.WRITE]);
    }

    [Theory]
    [InlineData("all", UringAccess.All, -1)]
    [InlineData("group", UringAccess.Group, -1)]
    [InlineData("group:0", UringAccess.Group, 0)]
    [InlineData("group:1000", UringAccess.Group, 1000)]
    [InlineData("disabled", UringAccess.Disabled, -1)]
    internal void Access(string text, UringAccess access, int group)
    {
        Assert.Null(UringOptions.ReadAccess(text, out UringAccess read, out int readGroup));
        Assert.Equal((access, group), (read, readGroup));
    }

    [Theory]
    [InlineData("")]
    [InlineData("none")]
    [InlineData("group:")]
    [InlineData("group:-1")]
    [InlineData("group:wheel")]
    [InlineData("All")]
    public void WrongAccess(string text) => Assert.NotNull(UringOptions.ReadAccess(text, out _, out _));

    [Fact]
    public void GroupsAreAskedAsLinuxDoes()
    {
        Credentials root = new(), member = new(1000, 5, [7]), other = new(1000, 6, []);
        UringSettings group = new() { Access = UringAccess.Group, Group = 7 }, nobody = new() { Access = UringAccess.Group };
        Assert.True(group.Admits(root) && group.Admits(member) && !group.Admits(other));
        Assert.True(nobody.Admits(root) && !nobody.Admits(member));
        Assert.False(new UringSettings { Access = UringAccess.Disabled }.Admits(root));
        Assert.True(UringSettings.Default.Admits(other));
    }
}
