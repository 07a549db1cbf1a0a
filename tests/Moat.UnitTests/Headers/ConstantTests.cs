using System.Globalization;
using System.Reflection;
using Moat.Abi;
using Moat.Kernel.Syscalls;
using Xunit;

namespace Moat.UnitTests.Headers;

/// <summary>Constants have the values of the system's headers, as far as those know them.</summary>
public sealed class ConstantTests
{
    [Theory]
    [InlineData(typeof(Errno), "", 130)]
    [InlineData(typeof(OpenFlags), "", 15)]
    [InlineData(typeof(RwFlags), "", 5)]
    [InlineData(typeof(PollEvents), "", 10)]
    [InlineData(typeof(AtFlags), "", 4)]
    [InlineData(typeof(ResolveFlags), "", 5)]
    [InlineData(typeof(RenameFlags), "", 3)]
    [InlineData(typeof(FallocFlags), "", 5)]
    [InlineData(typeof(Resource), "", 16)]
    [InlineData(typeof(CloneFlags), "", 20)]
    [InlineData(typeof(Seals), "", 4)]
    [InlineData(typeof(Signal), "", 30)]
    [InlineData(typeof(FcntlCommand), "", 8)]
    [InlineData(typeof(StatxMask), "", 4)]
    [InlineData(typeof(IoUringSetup), "IORING_SETUP_", 14)]
    [InlineData(typeof(IoUringFeature), "IORING_FEAT_", 12)]
    [InlineData(typeof(IoUringEnter), "IORING_ENTER_", 5)]
    [InlineData(typeof(SqeFlags), "IOSQE_", 7)]
    [InlineData(typeof(CqeFlags), "IORING_CQE_F_", 4)]
    [InlineData(typeof(SqRingFlags), "IORING_SQ_", 3)]
    public void Values(Type type, string prefix, int atLeast)
    {
        // O_LARGEFILE is 0 in glibc's headers of 64-bit programs; a signal's internal codes and Linux's own are in no header.
        Dictionary<string, long> mine = Members(type)
            .Where(m => m.Name is not ("O_LARGEFILE" or "None" or "OK" or "SIGRTMIN" or "SIGRTMAX") && (type != typeof(OpenFlags) || m.Name != "O_ACCMODE"))
            .Where(m => type != typeof(Errno) || m.Value < 512)
            .ToDictionary(m => m.Name, m => m.Value);
        Dictionary<string, long> theirs = CProbe.Evaluate(mine.Keys.Select(name => (name, prefix + name, true)));
        Assert.True(theirs.Count >= atLeast, $"the headers know {theirs.Count} of {mine.Count}");
        Assert.Equal(theirs.OrderBy(e => e.Key), mine.Where(m => theirs.ContainsKey(m.Key)).Select(m => KeyValuePair.Create(m.Key, Fit(m.Value, theirs[m.Key]))).OrderBy(e => e.Key));
    }

    [Fact]
    public void OperationNumbers()
    {
        IEnumerable<IoUringOp> known = Enum.GetValues<IoUringOp>().Where(op => op <= IoUringOp.SENDMSG_ZC);
        Dictionary<string, long> theirs = CProbe.Evaluate(known.Select(op => (op.ToString(), "IORING_OP_" + op, false)));
        Assert.Equal(known.ToDictionary(op => op.ToString(), op => (long)op).OrderBy(e => e.Key), theirs.OrderBy(e => e.Key));
    }

    [Fact]
    public void SystemCallNumbers()
    {
        List<(string Name, long Number)> names = [];
        for (int i = 0; i <= SyscallTable.LastKnown; i++)
        {
            if (SyscallTable.NameOf(i) is { } name)
                names.Add((name, i));
        }
        Dictionary<string, long> theirs = CProbe.Evaluate(names.Select(n => (n.Name, "SYS_" + n.Name, true)));
        Assert.True(theirs.Count > 350);
        Assert.All(names.Where(n => theirs.ContainsKey(n.Name)), n => Assert.Equal(theirs[n.Name], n.Number));
    }

    private static IEnumerable<(string Name, long Value)> Members(Type type)
        => type.GetFields(BindingFlags.Public | BindingFlags.Static).Where(f => f.IsLiteral)
            .Select(f => (f.Name, unchecked((long)Int128.Parse(Convert.ToString(f.GetRawConstantValue(), CultureInfo.InvariantCulture)!, CultureInfo.InvariantCulture))));

    /// <summary>The value as C's type has it: a macro may be signed where the enum is not.</summary>
    private static long Fit(long value, long theirs) => theirs < 0 && value > int.MaxValue ? (int)value : value;
}
