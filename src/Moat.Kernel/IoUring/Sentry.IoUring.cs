using Moat.Kernel.IoUring;
using Moat.Kernel.Tasks;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    private readonly Lock _ringsLock = new();
    private readonly List<Ring> _rings = [];
    private readonly List<SqPoller> _pollers = [];
    private readonly RingStatistics _endedRings = new();

    /// <summary>Most threads that io_uring requests may use.</summary>
    private const int MaxUringWorkers = 512;

    /// <summary>Runs the work of rings that nobody else comes by to run.</summary>
    public UringThread UringThread { get; } = new();

    /// <summary>What users' rings hold of locked memory.</summary>
    public LockedMemory LockedMemory { get; } = new();

    /// <summary>Threads for io_uring requests that may block.</summary>
    public WorkerPool UringWorkers { get; } = new("moat-iou-wrk", MaxUringWorkers);

    /// <summary>Who may use io_uring, and for what.</summary>
    public UringSettings Uring { get; init; } = UringSettings.Default;

    /// <summary>Is told of every SQE and CQE of rings made from now on; null: nobody.</summary>
    public IUringTrace? UringTrace { get; set; }

    /// <summary>Tells others what rings do; null: nobody is told.</summary>
    public UringMonitor? UringMonitor { get; init; }

    /// <summary>The rings that exist now.</summary>
    public Ring[] GetRings()
    {
        lock (_ringsLock)
            return [.. _rings];
    }

    /// <summary>What all rings have served so far, ended ones included.</summary>
    public RingStatistics GetUringStatistics()
    {
        RingStatistics all = new();
        lock (_ringsLock)
        {
            all.Add(_endedRings);
            foreach (Ring ring in _rings)
                all.Add(ring.Statistics);
        }
        return all;
    }

    /// <summary>The polling thread with an id, or null.</summary>
    internal SqPoller? FindPoller(int id)
    {
        lock (_ringsLock)
            return _pollers.Find(p => p.Id == id);
    }

    /// <summary>The polling threads of a process end with it, or with its program.</summary>
    internal void EndPollers(ThreadGroup process)
    {
        // A process's own are there: it does not make rings while it ends.
        if (_pollers.Count == 0)
            return;
        lock (_ringsLock)
        {
            foreach (SqPoller poller in _pollers)
            {
                if (poller.Process == process)
                    poller.Die();
            }
        }
    }

    /// <summary>The threads that io_uring has for a process: pollers, workers of its own threads, and of the pollers.</summary>
    internal List<IoThread> GetIoThreads(ThreadGroup process)
    {
        List<IoThread> threads = [];
        foreach (Task task in process.GetTasks())
            task.IoWorkers?.AppendThreads(threads);
        if (_pollers.Count == 0)
            return threads;
        lock (_ringsLock)
        {
            foreach (SqPoller poller in _pollers)
            {
                if (poller.Process != process || poller.IsDead)
                    continue;
                threads.Add(poller.Thread);
                poller.Workers.AppendThreads(threads);
            }
        }
        return threads;
    }

    internal void AddPoller(SqPoller poller)
    {
        lock (_ringsLock)
            _pollers.Add(poller);
    }

    internal void RemovePoller(SqPoller poller)
    {
        lock (_ringsLock)
            _pollers.Remove(poller);
        Tasks.Free(poller.Id);
    }

    internal void AddRing(Ring ring)
    {
        lock (_ringsLock)
            _rings.Add(ring);
        UringMonitor?.Start(this);
    }

    internal void RemoveRing(Ring ring)
    {
        lock (_ringsLock)
        {
            _rings.Remove(ring);
            _endedRings.Add(ring.Statistics);
        }
    }
}
