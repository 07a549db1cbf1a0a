using Moat.Host;
using Moat.Kernel.Futex;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Platform;

namespace Moat.Kernel;

/// <summary>One sandbox: everything that its guests share.</summary>
internal sealed partial class Sentry(GuestPlatform platform)
{
    /// <summary>How many signals are queued in all processes (RLIMIT_SIGPENDING).</summary>
    internal int QueuedSignals;

    /// <summary>How guests execute.</summary>
    public GuestPlatform Platform { get; } = platform;

    /// <summary>All tasks by id.</summary>
    public TaskTable Tasks { get; } = new();

    /// <summary>Most threads and unreaped processes at a time (--pids).</summary>
    public int TaskLimit { get; set; } = SentryOptions.DefaultTaskLimit;

    /// <summary>The host names that the first process has.</summary>
    public UtsNamespace FirstNames { get; } = UtsNamespace.MakeFirst();

    /// <summary>Who waits on which futex word.</summary>
    public FutexTable Futexes { get; } = new();

    /// <summary>Timers of all processes.</summary>
    public TimerService Timers { get; } = new();

    /// <summary>Takes lines of what happens, for the debug log; null without one.</summary>
    public Action<string>? Log { get; init; }

    /// <summary>Takes what Moat could not do, for standard error.</summary>
    public Action<string> Report { get; init; } = static _ => { };

    /// <summary>When the sandbox began, host CLOCK_MONOTONIC, nanoseconds.</summary>
    public long StartTime { get; } = HostClock.Now;
}
