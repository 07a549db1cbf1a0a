using Moat.Host;

namespace Moat.Cli;

/// <summary>The <c>moat</c> command.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        try
        {
            return CommandLine.Run(args);
        }
        catch (HostException e)
        {
            DebugLog.Write(e.ToString());
            return Message.Fail(ExitCode.MoatFailure, e.Message);
        }
#pragma warning disable CA1031 // The last resort: one sentence for the user, the rest for the debug log.
        catch (Exception e)
#pragma warning restore CA1031
        {
            DebugLog.Write(e.ToString());
            return Message.Fail(ExitCode.MoatFailure, $"internal failure: {e.Message} ({e.GetType().Name}; --debug-log FILE keeps the details)");
        }
    }
}
