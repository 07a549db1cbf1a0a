namespace Moat.Kernel.Tasks;

/// <summary>Which children wait4(2) and waitid(2) are asked for.</summary>
internal enum WaitTarget
{
    Any,
    Process,
    ProcessGroup,

    /// <summary>The process of a pidfd, whatever its number is by now.</summary>
    PidFd,
}

/// <summary>What a wait is for: targets and events.</summary>
/// <param name="Target">Which children.</param>
/// <param name="Id">Process or process group.</param>
/// <param name="Process">For <see cref="WaitTarget.PidFd"/>.</param>
/// <param name="Options">WEXITED, WSTOPPED, WCONTINUED, WNOWAIT and the __W flags.</param>
internal readonly record struct ChildWait(WaitTarget Target, int Id, ThreadGroup? Process, WaitOptions Options)
{
    /// <summary>True when an option is set.</summary>
    public bool Has(WaitOptions option) => (Options & option) != 0;

    /// <summary>True when a process or thread of an id is meant; what has ended belongs to no process any more.</summary>
    public bool Names(int id, ThreadGroup? process) => Target switch
    {
        WaitTarget.Process => id == Id,
        WaitTarget.ProcessGroup => process?.ProcessGroupId == Id,
        WaitTarget.PidFd => process is not null && process == Process,
        _ => true,
    };

    /// <summary>True when a child of the waiter's process is meant.</summary>
    public bool Matches(Task waiter, ThreadGroup child)
    {
        if (!Names(child.Id, child) || (Has(WaitOptions.__WNOTHREAD) && child.Creator != waiter))
            return false;
        return Has(WaitOptions.__WALL) || (child.ExitSignal != Signal.SIGCHLD) == Has(WaitOptions.__WCLONE);
    }
}

/// <summary>What happened to a child.</summary>
internal struct ChildReport
{
    /// <summary>The child; 0: nothing has happened.</summary>
    public int Pid;

    /// <summary>Its real user id.</summary>
    public uint Uid;

    /// <summary>CLD_ code.</summary>
    public int Code;

    /// <summary>Exit code or signal (si_status).</summary>
    public int Value;

    /// <summary>As wait4(2) gives it.</summary>
    public int Status;

    /// <summary>Processor time, nanoseconds, and the peak of its memory, bytes.</summary>
    public long User, System;

    public ulong Peak;

    public UsageCounts Counts;
}
