using Moat.Kernel.Events;

namespace Moat.Kernel.Tasks;

/// <summary>Relatives. What changes here changes under the lock of <see cref="ProcessTree"/>.</summary>
internal sealed partial class ThreadGroup
{
    /// <summary>
    /// Who waits for this process; null for the first one and for orphans, whose ends the sandbox itself takes note of, as init does.
    /// </summary>
    public ThreadGroup? Parent { get; set; }

    /// <summary>The parent's process id: 0 for the first process, 1 for orphans.</summary>
    public int ParentId => Parent is { } parent ? parent.Id : this == Sentry.First ? 0 : 1;

    /// <summary>The parent's thread that made this process, or another one after that has ended (__WNOTHREAD, PR_SET_PDEATHSIG).</summary>
    public Task? Creator { get; set; }

    /// <summary>Processes that this one waits for, ended ones included.</summary>
    public List<ThreadGroup> Children { get; } = [];

    /// <summary>The signal that the parent gets at the end; 0: none. What is not SIGCHLD needs __WCLONE or __WALL.</summary>
    public int ExitSignal { get; set; } = Signal.SIGCHLD;

    /// <summary>All threads have ended.</summary>
    public bool HasEnded { get; set; }

    /// <summary>Somebody has waited for the end, or nobody will: the id is free.</summary>
    public bool IsReaped { get; set; }

    /// <summary>A program was executed since the fork: the parent may not move the process to another group (setpgid(2)).</summary>
    public bool HasExecuted { get; set; }

    /// <summary>Woken with POLLIN when a child ends, stops or goes on (wait4(2)).</summary>
    public WaitQueue ChildWaiters { get; } = new();

    /// <summary>Woken when this process ends and when it is reaped (pidfd_open(2)).</summary>
    public WaitQueue EndWaiters { get; } = new();

    /// <summary>Processor time of children that were waited for, theirs included, nanoseconds.</summary>
    public (long User, long System) ChildTimes { get; set; }

    /// <summary>Faults and sleeps of children that were waited for.</summary>
    public UsageCounts ChildCounts { get; set; }

    /// <summary>The largest memory of a child that was waited for, bytes.</summary>
    public ulong ChildPeak { get; set; }

    /// <summary>Memory at its peak, noted when the last thread ends, bytes.</summary>
    public ulong Peak { get; set; }
}
