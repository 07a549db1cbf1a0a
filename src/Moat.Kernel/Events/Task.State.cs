namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    /// <summary>
    /// The state as /proc shows it: R in guest code or asking for itself, S in a call (which may be busy in it), T stopped, Z ended.
    /// </summary>
    public char StateLetter => HasEnded ? 'Z' : _tracing is { IsStopped: true } ? 't' : Group.IsStopped ? 'T' : _inGuest || this == Current ? 'R' : 'S';
}

internal sealed partial class ThreadGroup
{
    /// <summary>/proc/PID/oom_score_adj: -1000 to 1000. Kept, not acted upon.</summary>
    public int OomScoreAdjust { get; set; }
}
