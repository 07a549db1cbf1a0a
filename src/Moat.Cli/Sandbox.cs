using Moat.Host;
using Moat.Kernel;

namespace Moat.Cli;

/// <summary>One run of a program: makes the sentry, waits for its end, says how it ended.</summary>
internal static class Sandbox
{
    /// <summary>Runs to the end; returns the exit code of <c>moat do</c>.</summary>
    public static int Run(SentryOptions options, bool trace, bool statistics)
        => throw new HostException("this build has no platform to run programs on");

    /// <summary>The exit code for an end; says why when the program never began.</summary>
    internal static int CodeOf(SentryOptions options, SentryExit exit)
    {
        if (exit.StartError != Abi.Errno.OK)
        {
            string program = System.Text.Encoding.UTF8.GetString(options.Program);
            int code = exit.StartError switch
            {
                Abi.Errno.ENOENT => ExitCode.NotFound,
                Abi.Errno.ENOMEM or Abi.Errno.EAGAIN or Abi.Errno.ENOSYS => ExitCode.MoatFailure,
                _ => ExitCode.NotExecutable,
            };
            return Message.Fail(code, $"cannot run {program}: {Kernel.Trace.ErrnoText.Of(exit.StartError)} ({exit.StartError})");
        }
        return exit.Signal != 0 ? ExitCode.SignalBase + exit.Signal : exit.ExitCode;
    }
}
