using Moat.Kernel.IoUring;
using Moat.Kernel.Tasks;

namespace Moat.Kernel;

/// <summary>A real host directory that guests see (<c>--volume</c>).</summary>
/// <param name="Source">Absolute path on the host.</param>
/// <param name="Destination">Absolute path in the sandbox.</param>
/// <param name="ReadOnly">Writing answers EROFS.</param>
internal sealed record Volume(string Source, string Destination, bool ReadOnly);

/// <summary>Which network a sandbox has (<c>--network</c>).</summary>
internal enum NetworkMode
{
    /// <summary>The host's.</summary>
    Host,

    /// <summary>A loopback of its own and nothing else.</summary>
    None,
}

/// <summary>What a sandbox is started with: the command line of <c>moat do</c>, checked for form only.</summary>
internal sealed record SentryOptions
{
    /// <summary>
    /// The program: a path, or a name that PATH of <see cref="Environment"/> is searched for, inside the sandbox. Bytes without
    /// NUL, as all of these: Linux's arguments and paths are no text.
    /// </summary>
    public required byte[] Program { get; init; }

    /// <summary>argv, the program's name first.</summary>
    public required byte[][] Arguments { get; init; }

    /// <summary>KEY=VALUE, as the program gets them.</summary>
    public required byte[][] Environment { get; init; }

    /// <summary>Host directory that is the sandbox's root, read-only beneath an in-memory overlay.</summary>
    public string Root { get; init; } = "/";

    /// <summary>The first process's current directory, in the sandbox.</summary>
    public string WorkingDirectory { get; init; } = "/";

    /// <summary>Nobody asked for that directory: when the sandbox does not have it, "/" will do.</summary>
    public bool WorkingDirectoryIsDefault { get; init; }

    /// <summary>Mounted over the root in order.</summary>
    public Volume[] Volumes { get; init; } = [];

    /// <summary>Threads and processes when nothing else is said: more than programs need, less than harms a host.</summary>
    public const int DefaultTaskLimit = 4096;

    /// <summary>Most threads and processes at a time; one more is EAGAIN.</summary>
    public int TaskLimit { get; init; } = DefaultTaskLimit;

    /// <summary>Most guest memory, bytes, half of it for files in memory; running out is ENOMEM or SIGKILL. 0: seven eighths of what the host can give.</summary>
    public ulong MemoryLimit { get; init; }

    /// <summary>What is done about guest threads that are stuck in the sentry.</summary>
    public WatchdogMode Watchdog { get; init; }

    /// <summary>Who may use io_uring, and for what.</summary>
    public UringSettings Uring { get; init; } = UringSettings.Default;

    /// <summary>What AF_INET, AF_INET6 and AF_NETLINK reach.</summary>
    public NetworkMode Network { get; init; }
}

/// <summary>How the first process ended, or why it never began.</summary>
/// <param name="ExitCode">Its exit code when <paramref name="Signal"/> and <paramref name="StartError"/> are zero.</param>
/// <param name="Signal">The signal that killed it, or 0.</param>
/// <param name="StartError">Why the program could not be started: ENOENT, EACCES, ENOEXEC and so on.</param>
internal readonly record struct SentryExit(int ExitCode, int Signal, Errno StartError);
