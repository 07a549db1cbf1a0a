using Moat.Abi;
using Moat.Cli;
using Moat.Kernel;
using Xunit;

namespace Moat.UnitTests.Cli;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("do ls -l --root x", 1, 1)]
    [InlineData("do -- ls --help", 1, 2)]
    [InlineData("do --root /x ls", 3, 3)]
    [InlineData("do --root=/x ls", 2, 2)]
    [InlineData("do --stats ls", 2, 2)]
    [InlineData("--strace --debug-log f do --cwd / -- --strange", 6, 7)]
    [InlineData("do --root do do", 3, 3)]
    [InlineData("do", 1, 1)]
    [InlineData("do --", 1, 2)]
    [InlineData("syscalls --format json", 3, 3)]
    public void TheProgramsPartIsCutOff(string line, int own, int program)
    {
        string[] args = line.Split(' ');
        Assert.Equal((own, program), ArgumentSplit.Find(args, o => o is "--root" or "--cwd" or "--debug-log"));
    }

    [Theory]
    [InlineData("/tmp", "/tmp", "/tmp", false)]
    [InlineData("/tmp:/data", "/tmp", "/data", false)]
    [InlineData("/tmp/:/data:ro", "/tmp/", "/data", true)]
    public void Volumes(string text, string source, string destination, bool readOnly)
    {
        Assert.Null(DoCommand.ReadVolume(text, out Volume? volume));
        Assert.Equal(new Volume(source, destination, readOnly), volume);
    }

    [Theory]
    [InlineData("")]
    [InlineData(":/x")]
    [InlineData("/tmp:x")]
    [InlineData("/tmp:/x:no")]
    [InlineData("/tmp:/x:ro:y")]
    [InlineData("/there/is/no/such/directory")]
    public void WrongVolumes(string text) => Assert.NotNull(DoCommand.ReadVolume(text, out _));

    [Theory]
    [InlineData("4096", 4096)]
    [InlineData("64K", 65536)]
    [InlineData("2m", 2 << 20)]
    [InlineData("1G", 1 << 30)]
    public void Bytes(string text, ulong bytes)
    {
        Assert.True(DoCommand.TryReadBytes(text, out ulong read));
        Assert.Equal(bytes, read);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("K")]
    [InlineData("1.5G")]
    [InlineData("18446744073709551615G")]
    public void WrongBytes(string text) => Assert.False(DoCommand.TryReadBytes(text, out _));

    [Theory]
    [InlineData(7, 0, Errno.OK, 7)]
    [InlineData(0, 9, Errno.OK, 137)]
    [InlineData(0, 0, Errno.ENOENT, 127)]
    [InlineData(0, 0, Errno.EACCES, 126)]
    [InlineData(0, 0, Errno.ENOEXEC, 126)]
    [InlineData(0, 0, Errno.ENOMEM, 128)]
    public void ExitCodes(int code, int signal, Errno error, int expected)
    {
        SentryOptions options = new() { Program = "p"u8.ToArray(), Arguments = ["p"u8.ToArray()], Environment = [] };
        Assert.Equal(expected, Sandbox.CodeOf(options, new SentryExit(code, signal, error)));
    }

    [Fact]
    public void NulTerminatedStrings()
    {
        Assert.Empty(ProcessBytes.Split([]));
        Assert.Equal(["a"u8.ToArray(), [], [0xff]], ProcessBytes.Split([(byte)'a', 0, 0, 0xff, 0]));
        Assert.Equal(["a"u8.ToArray()], ProcessBytes.Split("a"u8));
    }

    [Theory]
    [InlineData("do")]
    [InlineData("do --no-such-option x")]
    [InlineData("no-such-command")]
    [InlineData("do --root")]
    [InlineData("do --env X -- ls")]
    [InlineData("do --memory much -- ls")]
    [InlineData("syscalls --format yaml")]
    [InlineData("")]
    public void WrongUseIsTwo(string line) => Assert.Equal(2, CommandLine.Run(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)));
}
