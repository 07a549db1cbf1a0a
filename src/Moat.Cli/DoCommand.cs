using System.CommandLine;
using System.Globalization;
using System.Text;
using Moat.Host;
using Moat.Kernel;
using Moat.Kernel.IoUring;
using Moat.Kernel.Tasks;

namespace Moat.Cli;

/// <summary><c>moat do</c>: runs a program in a sandbox of its own.</summary>
internal sealed class DoCommand : Command
{
    private readonly Option<string> _root = new("--root")
    {
        Description = "Host directory that becomes /, read-only beneath an in-memory overlay",
        HelpName = "DIR",
        DefaultValueFactory = _ => "/",
    };

    private readonly Option<string> _cwd = new("--cwd") { Description = "The program's current directory, in the sandbox [default: the caller's]", HelpName = "DIR" };

    private readonly Option<string[]> _volumes = new("--volume")
    {
        Description = "A real host directory, at the same path or at DST, optionally read-only; may be repeated",
        HelpName = "SRC[:DST[:ro]]",
        AllowMultipleArgumentsPerToken = false,
    };

    private readonly Option<string[]> _environment = new("--env")
    {
        Description = "An environment variable besides the caller's; may be repeated",
        HelpName = "K=V",
        AllowMultipleArgumentsPerToken = false,
    };

    private readonly Option<string> _memory = new("--memory") { Description = "Most memory that the sandbox gets, in bytes, half of it for files in memory; K, M and G may follow (7/8 of what is available)", HelpName = "BYTES" };

    private readonly Option<int> _pids = new("--pids")
    {
        Description = "Most threads and processes that the sandbox has at a time",
        HelpName = "N",
        DefaultValueFactory = _ => SentryOptions.DefaultTaskLimit,
    };

    private readonly Option<string> _network = new("--network")
    {
        Description = "host: the host's network; none: a loopback inside the sandbox and nothing else",
        HelpName = "host|none",
        DefaultValueFactory = _ => "host",
    };

    private readonly Option<string> _watchdog = new("--watchdog")
    {
        Description = "log: report a thread of the program that is stuck in Moat for 10 s, with what it waits for; kill: end the sandbox too",
        HelpName = "log|kill",
    };

    private readonly Option<bool> _stats = new("--stats") { Description = "At the end, say what was asked of Moat and how it was served" };

    private readonly UringOptions _uring = new();

    private readonly Option<bool> _denyIoUring = new("--deny-host-io-uring") { Hidden = true };

    private readonly Argument<string[]> _program = new("PROGRAM")
    {
        Description = "The program and its arguments; all that follows PROGRAM is its own",
        HelpName = "PROGRAM [ARGS...]",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private int _programArguments;

    public DoCommand()
        : base("do", "Run a program: moat do [options] [--] PROGRAM [ARGS...]")
    {
        Options.Add(_root);
        Options.Add(_cwd);
        Options.Add(_volumes);
        Options.Add(_environment);
        Options.Add(_memory);
        Options.Add(_pids);
        Options.Add(_network);
        Options.Add(_watchdog);
        Options.Add(_stats);
        _uring.AddTo(this);
        Options.Add(_denyIoUring);
        Arguments.Add(_program);
        SetAction(Run);
    }

    /// <summary>Whether --strace was given.</summary>
    public bool Trace { get; set; }

    /// <summary>The program's part of the command line: from <paramref name="first"/> on.</summary>
    public void SetProgram(string[] args, int first) => _programArguments = args.Length - first;

    private int Run(ParseResult parsed)
    {
        // The program is cut off before parsing; what is left here are options that do not exist.
        if (parsed.GetValue(_program) is [string unknown, ..])
            return Message.Usage($"do has no option {unknown}", "moat do --help");
        if (_programArguments <= 0)
            return Message.Usage("which program is to run?", "moat do --help");
        if (ReadOptions(parsed, out SentryOptions? options) is { } problem)
            return Message.Usage(problem, "moat do --help");
        if (parsed.GetValue(_denyIoUring))
            HostException.Check(HostSeccomp.DenyIoUring(), "a filter that denies io_uring");
        return Sandbox.Run(options!, Trace, parsed.GetValue(_stats));
    }

    private string? ReadOptions(ParseResult parsed, out SentryOptions? options)
    {
        options = null;
        string root = Path.GetFullPath(parsed.GetValue(_root)!);
        if (!Directory.Exists(root))
            return $"--root: there is no directory {root}";
        string? cwd = parsed.GetValue(_cwd);
        if (cwd is not null && !cwd.StartsWith('/'))
            return $"--cwd: {cwd} is not an absolute path";
        List<Volume> volumes = [];
        foreach (string text in parsed.GetValue(_volumes) ?? [])
        {
            if (ReadVolume(text, out Volume? volume) is { } wrong)
                return wrong;
            volumes.Add(volume!);
        }
        List<byte[]> environment = ProcessBytes.Environment();
        foreach (string text in parsed.GetValue(_environment) ?? [])
        {
            int equals = text.IndexOf('=');
            if (equals <= 0)
                return $"--env: {text} is not of the form K=V";
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            int name = Encoding.UTF8.GetByteCount(text.AsSpan(0, equals + 1));
            environment.RemoveAll(e => e.AsSpan().StartsWith(bytes.AsSpan(0, name)));
            environment.Add(bytes);
        }
        ulong memory = 0;
        if (parsed.GetValue(_memory) is { } limit && !TryReadBytes(limit, out memory))
            return $"--memory: {limit} is not a number of bytes";
        int pids = parsed.GetValue(_pids);
        if (pids <= 0)
            return $"--pids: {pids} leaves no room for a process";
        if (parsed.GetValue(_network) is not ("host" or "none") and var network)
            return $"--network: {network} is neither host nor none";
        if (parsed.GetValue(_watchdog) is not (null or "log" or "kill") and var watchdog)
            return $"--watchdog: {watchdog} is neither log nor kill";
        if (_uring.Read(parsed, out UringSettings uring) is { } notUring)
            return notUring;
        byte[][] arguments = ProcessBytes.LastArguments(_programArguments);
        options = new SentryOptions
        {
            Program = arguments[0],
            Arguments = arguments,
            Environment = [.. environment],
            Root = root,
            WorkingDirectory = cwd ?? Environment.CurrentDirectory,
            WorkingDirectoryIsDefault = cwd is null,
            Volumes = [.. volumes],
            MemoryLimit = memory,
            TaskLimit = pids,
            Watchdog = parsed.GetValue(_watchdog) switch { "log" => WatchdogMode.Log, "kill" => WatchdogMode.Kill, _ => WatchdogMode.None },
            Uring = uring,
            Network = parsed.GetValue(_network) == "none" ? NetworkMode.None : NetworkMode.Host,
        };
        return null;
    }

    /// <summary>SRC[:DST[:ro]]; null, or what is wrong with it.</summary>
    internal static string? ReadVolume(string text, out Volume? volume)
    {
        volume = null;
        string[] parts = text.Split(':');
        if (parts.Length > 3 || parts[0].Length == 0 || (parts.Length == 3 && parts[2] is not ("ro" or "rw")))
            return $"--volume: {text} is not of the form SRC[:DST[:ro]]";
        string source = Path.GetFullPath(parts[0]);
        if (!Directory.Exists(source))
            return $"--volume: there is no directory {source}";
        string destination = parts.Length > 1 ? parts[1] : source;
        if (!destination.StartsWith('/'))
            return $"--volume: {destination} is not an absolute path";
        volume = new Volume(source, destination, parts.Length == 3 && parts[2] == "ro");
        return null;
    }

    /// <summary>A positive number of bytes, with K, M or G for powers of 1024.</summary>
    internal static bool TryReadBytes(string text, out ulong bytes)
    {
        int shift = text.Length == 0 ? 0 : char.ToUpperInvariant(text[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, _ => 0 };
        ReadOnlySpan<char> digits = shift == 0 ? text : text.AsSpan(0, text.Length - 1);
        if (!ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out bytes) || bytes == 0 || bytes > ulong.MaxValue >> shift)
            return false;
        bytes <<= shift;
        return true;
    }
}
