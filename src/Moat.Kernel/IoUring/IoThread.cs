using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring;

/// <summary>
/// A thread that io_uring has within a process, as the process sees it in /proc: a worker (iou-wrk-TID) or one that polls for submissions (iou-sqp-TID).
/// Nothing of the program runs on it.
/// </summary>
internal sealed class IoThread
{
    /// <summary>PF_RANDOMIZE, PF_USER_WORKER, PF_FORKNOEXEC and PF_IO_WORKER.</summary>
    public const uint ProcessFlags = 0x404050;

    /// <summary>All signals but SIGKILL and SIGSTOP are blocked in it.</summary>
    public const ulong Blocked = 0xfffffffffffbfeff;

    private IoThread(int id, string name)
    {
        Id = id;
        Name = name;
    }

    /// <summary>A worker for a thread with an id; null: there is no id for it, and nobody sees it.</summary>
    public static IoThread? TryMakeWorker(TaskTable tasks, int creator) => tasks.AllocateForWorker() is >= 0 and int id ? new IoThread(id, $"iou-wrk-{creator}") : null;

    /// <summary>One that polls, with an id already given to it.</summary>
    public static IoThread MakePoller(int id, int creator) => new(id, $"iou-sqp-{creator}");

    /// <summary>Thread id.</summary>
    public int Id { get; }

    /// <summary>For /proc/PID/task/TID/comm.</summary>
    public string Name { get; }

    /// <summary>On the sentry's clock, nanoseconds.</summary>
    public long StartTime { get; } = HostClock.Now;

    /// <summary>Since when it has had nothing to do. Under the lock of whoever has the thread.</summary>
    public long IdleSince;

    /// <summary>R or S.</summary>
    public char StateLetter => Volatile.Read(ref Runs) ? 'R' : 'S';

    /// <summary>It is looking for work.</summary>
    public bool Runs;
}
