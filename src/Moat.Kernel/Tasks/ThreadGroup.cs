using Moat.Kernel.Memory;
using Moat.Kernel.Signals;
using Moat.Kernel.Terminals;

namespace Moat.Kernel.Tasks;

/// <summary>A process: the threads that share an id, signal handlers and limits.</summary>
internal sealed partial class ThreadGroup(Sentry sentry, int id)
{
    private readonly List<Task> _tasks = [];

    public Sentry Sentry { get; } = sentry;

    /// <summary>The process id: the leader's thread id.</summary>
    public int Id { get; } = id;

    /// <summary>The process group's id (getpgid(2)).</summary>
    public int ProcessGroupId { get; set; } = id;

    /// <summary>The session's id (getsid(2)).</summary>
    public int SessionId { get; set; } = id;

    /// <summary>The controlling terminal, or null; changed under the process tree's lock.</summary>
    public TerminalSession? Terminal { get; set; }

    /// <summary>Resource limits (getrlimit(2)).</summary>
    public ResourceLimits Limits { get; set; } = new();

    /// <summary>The thread whose id is the process id. It stays known after it has ended, until the process ends.</summary>
    public Task Leader { get; private set; } = null!;

    /// <summary>
    /// Guards signals, masks, the list of threads, stops and the end of the process. Inside it only: the actions' lock, wait
    /// queues, parkers.
    /// </summary>
    public Lock SignalLock { get; } = new();

    /// <summary>When the process began, host CLOCK_MONOTONIC, nanoseconds.</summary>
    public long StartTime { get; } = Time.HostClock.Now;

    /// <summary>prctl PR_SET_DUMPABLE.</summary>
    public int Dumpable { get; set; } = 1;

    /// <summary>prctl PR_SET_CHILD_SUBREAPER.</summary>
    public bool IsChildSubreaper { get; set; }

    /// <summary>personality(2) of the program.</summary>
    public uint Personality { get; set; }

    /// <summary>prctl PR_SET_THP_DISABLE.</summary>
    public bool HugePagesDisabled { get; set; }

    /// <summary>How many threads live.</summary>
    public int ThreadCount
    {
        get
        {
            lock (SignalLock)
                return _tasks.Count;
        }
    }

    /// <summary>How many threads /proc shows: those of io_uring too.</summary>
    public int ShownThreadCount => ThreadCount + Sentry.GetIoThreads(this).Count;

    /// <summary>The threads that live, oldest first.</summary>
    public Task[] GetTasks()
    {
        lock (SignalLock)
            return [.. _tasks];
    }

    /// <summary>Adds a thread; the first one is the leader. False when the process is already ending.</summary>
    public bool TryAdd(Task task, Task? maker = null)
    {
        lock (SignalLock)
        {
            if (IsExiting || _execTask is not null)
                return false;
            // Another thread may have put a filter on all in the meantime.
            if (maker is not null)
                task.ShareConfinement(maker);
            Leader ??= task;
            _tasks.Add(task);
            return true;
        }
    }
}
