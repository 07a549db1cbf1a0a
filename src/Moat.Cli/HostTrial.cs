using Moat.Host;

namespace Moat.Cli;

/// <summary>The last of the checks: everything that a program's start needs, for real.</summary>
internal static class HostTrial
{
    /// <summary>Null when a guest can run, else why not.</summary>
    public static string? Run()
    {
        try
        {
            _ = MemoryFile.Create();
            return null;
        }
        catch (HostException e)
        {
            return e.Message;
        }
    }
}
