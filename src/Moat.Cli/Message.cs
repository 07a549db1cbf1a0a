namespace Moat.Cli;

/// <summary>Exit codes of the command itself; a program's own pass through.</summary>
internal static class ExitCode
{
    public const int Ok = 0, Lacking = 1, Usage = 2, NotExecutable = 126, NotFound = 127, MoatFailure = 128, SignalBase = 128;
}

/// <summary>One sentence on standard error.</summary>
internal static class Message
{
    /// <summary>Says <paramref name="text"/> and returns <paramref name="code"/>.</summary>
    public static int Fail(int code, string text)
    {
        Console.Error.WriteLine("moat: " + string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)));
        return code;
    }

    /// <summary>A mistake in the command line.</summary>
    public static int Usage(string text, string help = "moat --help") => Fail(ExitCode.Usage, $"{text.TrimEnd('.')} (see {help})");
}
