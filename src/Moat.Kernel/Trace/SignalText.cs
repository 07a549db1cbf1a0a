namespace Moat.Kernel.Trace;

/// <summary>Names of signals (man 7 signal), for people.</summary>
internal static class SignalText
{
    private static readonly string[] s_names =
    [
        "0", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
        "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];

    /// <summary>SIGINT, SIGRTMIN+2 and so on; the number itself when it is no signal.</summary>
    public static string Name(int signal)
    {
        if (signal is >= 1 and < 32)
            return "SIG" + s_names[signal];
        if (signal is >= 32 and <= 64)
            return signal == 32 ? "SIGRTMIN" : $"SIGRTMIN+{signal - 32}";
        return signal.ToString(System.Globalization.CultureInfo.InvariantCulture);
    }
}
