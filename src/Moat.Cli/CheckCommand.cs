using System.CommandLine;

namespace Moat.Cli;

/// <summary><c>moat check</c>: what the host lacks and how to mend it.</summary>
internal sealed class CheckCommand : Command
{
    public CheckCommand()
        : base("check", "Say what the host lacks, and how to mend it")
        => SetAction(_ => Run());

    private static int Run()
    {
        bool works = true;
        foreach (Finding finding in HostChecks.All())
        {
            works &= finding.Weight != Weight.Fatal;
            Console.Out.WriteLine($"{(finding.Weight == Weight.Fatal ? "missing" : "advice")}: {finding.What}; {finding.Mend}.");
        }
        if (works && HostTrial.Run() is { } failure)
        {
            works = false;
            Console.Out.WriteLine($"missing: {failure.TrimEnd('.')}.");
        }
        Console.Out.WriteLine(works ? "Moat works on this host." : "Moat cannot work on this host.");
        return works ? ExitCode.Ok : ExitCode.Lacking;
    }
}
