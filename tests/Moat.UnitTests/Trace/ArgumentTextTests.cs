using System.Text;
using Moat.Abi;
using Moat.Kernel.Trace;
using Xunit;

namespace Moat.UnitTests.Trace;

public sealed class ArgumentTextTests
{
    [Theory]
    [InlineData("plain", "\"plain\"")]
    [InlineData("a\"b\\c", "\"a\\\"b\\\\c\"")]
    [InlineData("\n\r\t", "\"\\n\\r\\t\"")]
    [InlineData("\0", "\"\\0\"")]
    [InlineData("\u00011", "\"\\0011\"")]
    public void BytesAreQuotedAsInC(string bytes, string expected)
    {
        StringBuilder text = new();
        ArgumentText.AppendQuoted(text, Encoding.Latin1.GetBytes(bytes));
        Assert.Equal(expected, text.ToString());
    }

    [Theory]
    [InlineData(0, "O_RDONLY")]
    [InlineData(0x80000, "O_RDONLY|O_CLOEXEC")]
    [InlineData(0x241, "O_WRONLY|O_CREAT|O_TRUNC")]
    [InlineData(0x101002, "O_RDWR|O_SYNC")]
    [InlineData(0x40000000, "O_RDONLY|0x40000000")]
    public void OpenFlagsAreNamed(ulong flags, string expected) => Assert.Equal(expected, OfEnum(typeof(OpenFlags), flags));

    [Theory]
    [InlineData(0, "0")]
    [InlineData(8, "RWF_NOWAIT")]
    [InlineData(0x12, "RWF_DSYNC|RWF_APPEND")]
    [InlineData(0x10000, "0x10000")]
    public void FlagsAreNamed(ulong flags, string expected) => Assert.Equal(expected, OfEnum(typeof(RwFlags), flags));

    [Theory]
    [InlineData(2, "SIGINT")]
    [InlineData(31, "SIGSYS")]
    [InlineData(34, "SIGRTMIN+2")]
    [InlineData(65, "65")]
    public void SignalsAreNamed(int signal, string expected) => Assert.Equal(expected, SignalText.Name(signal));

    private static string OfEnum(Type type, ulong value)
    {
        StringBuilder text = new();
        ArgumentText.AppendEnum(text, type, value);
        return text.ToString();
    }
}
