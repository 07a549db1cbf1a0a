using System.CommandLine;
using System.Globalization;
using Moat.Kernel.IoUring;

namespace Moat.Cli;

/// <summary>The options of <c>moat do</c> about io_uring.</summary>
internal sealed class UringOptions
{
    private const long LongestFile = 1 << 20;

    private readonly Option<string> _access = new("--io-uring")
    {
        Description = "Who may make rings: all; group: only CAP_SYS_ADMIN and members of GID; disabled: nobody (kernel.io_uring_disabled 0, 1, 2)",
        HelpName = "all|group[:GID]|disabled",
        DefaultValueFactory = _ => "all",
    };

    private readonly Option<string> _policy = new("--uring-policy")
    {
        Description = "Which io_uring operations, registrations and flags are allowed: rules, one a line (docs/io_uring.md)",
        HelpName = "FILE",
    };

    private readonly Option<string> _inject = new("--uring-inject")
    {
        Description = "Faults in io_uring requests, the same in each run: seed=N,short=P%,eagain=P%,eintr=P%,delay=P%[:TIME],reorder=P%,overflow=P%,op=NAME[+NAME]...",
        HelpName = "SPEC",
    };

    /// <summary>Makes them options of a command.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_access);
        command.Options.Add(_policy);
        command.Options.Add(_inject);
    }

    /// <summary>Reads what was given; null, or what is wrong with it.</summary>
    public string? Read(ParseResult parsed, out UringSettings settings)
    {
        settings = UringSettings.Default;
        if (ReadAccess(parsed.GetValue(_access)!, out UringAccess access, out int group) is { } wrong)
            return wrong;
        UringPolicy? policy = null;
        if (parsed.GetValue(_policy) is { } file && ReadPolicy(file, out policy) is { } problem)
            return problem;
        UringFaults? faults = null;
        if (parsed.GetValue(_inject) is { } spec && UringFaults.Read(spec, out faults) is { } unclear)
            return $"--uring-inject: {unclear}";
        settings = new UringSettings { Access = access, Group = group, Policy = policy, Faults = faults };
        return null;
    }

    /// <summary>all, group, group:GID or disabled; null, or what is wrong with it.</summary>
    internal static string? ReadAccess(string text, out UringAccess access, out int group)
    {
        const string GroupPrefix = "group:";
        group = UringSettings.NoGroup;
        access = text switch { "group" => UringAccess.Group, "disabled" => UringAccess.Disabled, _ => UringAccess.All };
        if (text is "all" or "group" or "disabled")
            return null;
        access = UringAccess.Group;
        return text.StartsWith(GroupPrefix, StringComparison.Ordinal)
            && int.TryParse(text.AsSpan(GroupPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out group)
            ? null : $"--io-uring: {text} is none of all, group, group:GID and disabled";
    }

    private static string? ReadPolicy(string path, out UringPolicy? policy)
    {
        policy = null;
        try
        {
            using FileStream file = File.OpenRead(path);
            // Also what has no length is read no further than a policy can be long.
            using StreamReader reader = new(file);
            char[] text = new char[LongestFile + 1];
            int length = reader.ReadBlock(text, 0, text.Length);
            return length > LongestFile ? $"--uring-policy: {path} is no policy: it is longer than 1 MiB"
                : UringPolicyReader.Read(path, new string(text, 0, length), out policy);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return $"--uring-policy: there is no file {path}";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"--uring-policy: cannot read {path}: {e.Message}";
        }
    }
}
