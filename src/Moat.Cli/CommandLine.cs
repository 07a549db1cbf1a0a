using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Reflection;

namespace Moat.Cli;

/// <summary>The definition of the command line, and its only door.</summary>
internal static class CommandLine
{
    private static readonly Option<bool> s_strace = new("--strace")
    {
        Description = "Write a line for each system call, signal and io_uring entry to standard error, or to the debug log",
        Recursive = true,
    };

    private static readonly Option<string> s_debugLog = new("--debug-log")
    {
        Description = "Write what happens, and the details of failures, to FILE",
        HelpName = "FILE",
        Recursive = true,
    };

    /// <summary>Parses and runs; returns the exit code.</summary>
    public static int Run(string[] args)
    {
        DoCommand run = new();
        RootCommand root = new("Moat runs unmodified Linux programs and serves each of their system calls itself, io_uring's rings included.")
        {
            s_strace,
            s_debugLog,
            run,
            new CheckCommand(),
            TableCommands.Syscalls(),
            TableCommands.Uring(),
        };
        foreach (Option option in root.Options)
        {
            if (option is VersionOption version)
                version.Action = new PrintVersion();
        }

        (int own, int program) = ArgumentSplit.Find(args, TakesValue);
        run.SetProgram(args, program);
        ParserConfiguration configuration = new() { EnablePosixBundling = false, ResponseFileTokenReplacer = null };
        ParseResult parsed = root.Parse(args[..own], configuration);
        if (parsed.Action is not (HelpAction or PrintVersion))
        {
            if (parsed.Errors.Count > 0)
            {
                ParseError told = parsed.Errors.FirstOrDefault(e => e.Message.Contains('\'')) ?? parsed.Errors[0];
                return Message.Usage(told.Message, HelpOf(parsed.CommandResult));
            }
            if (parsed.GetValue(s_debugLog) is { } path && OpenLog(path) is { } problem)
                return Message.Fail(ExitCode.Usage, problem);
            run.Trace = parsed.GetValue(s_strace);
        }
        return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });

        bool TakesValue(string option)
            => root.Options.Concat(run.Options).Any(o => (o.Name == option || o.Aliases.Contains(option)) && o.Arity.MaximumNumberOfValues > 0
                && o.ValueType != typeof(bool));
    }

    private static string HelpOf(CommandResult command)
        => command.Parent is CommandResult parent && parent.Parent is not null ? $"moat {parent.Command.Name} {command.Command.Name} --help"
            : command.Parent is not null ? $"moat {command.Command.Name} --help" : "moat --help";

    private static string? OpenLog(string path)
    {
        try
        {
            DebugLog.Open(path);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"cannot write the debug log {path}: {e.Message}";
        }
    }

    private sealed class PrintVersion : SynchronousCommandLineAction
    {
        public override bool Terminating => true;

        public override int Invoke(ParseResult parseResult)
        {
            string? version = typeof(CommandLine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
            Console.Out.WriteLine("moat " + version);
            return ExitCode.Ok;
        }
    }
}
