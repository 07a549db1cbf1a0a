using Moat.Host;
using Moat.Kernel.Time;

namespace Moat.Kernel;

/// <summary>Work for a sentry thread other than the caller's. Owners keep and reuse it; queuing allocates nothing.</summary>
internal abstract class WorkItem
{
    internal WorkItem? NextWork;

    /// <summary>Does the work. May block. Throws nothing.</summary>
    public abstract void Run();
}

/// <summary>
/// Threads for work that may block: made on demand up to a limit, kept for a while, the last one used first. Work beyond the
/// limit waits in order.
/// </summary>
internal sealed class WorkerPool : IDisposable
{
    private const int StackBytes = 512 * 1024;
    private const long IdleNanoseconds = 5_000_000_000;

    private readonly Lock _lock = new();
    private readonly int _maxThreads;
    private readonly string _name;
    private Worker? _idle, _spare;
    private WorkItem? _head, _tail;
    private int _threads;
    private bool _stopping;

    /// <summary>Makes one without threads.</summary>
    public WorkerPool(string name, int maxThreads)
    {
        _name = name;
        _maxThreads = maxThreads;
    }

    /// <summary>Threads alive now, idle ones included.</summary>
    public int ThreadCount => Volatile.Read(ref _threads);

    private sealed class Worker
    {
        public readonly Parker Parker = new();
        public WorkItem? Item;
        public Worker? NextIdle;
        public bool IsIdle;
    }

    /// <summary>Runs the item on another thread soon. Any thread, holding no lock that work takes.</summary>
    public void Queue(WorkItem item)
    {
        Worker? worker;
        lock (_lock)
        {
            worker = _idle;
            if (worker is not null)
            {
                _idle = worker.NextIdle;
                worker.NextIdle = null;
                worker.IsIdle = false;
                worker.Item = item;
            }
            else if (_threads < _maxThreads && !_stopping)
            {
                _threads++;
            }
            else
            {
                item.NextWork = null;
                if (_tail is null)
                    _head = item;
                else
                    _tail.NextWork = item;
                _tail = item;
                return;
            }
        }
        if (worker is not null)
            worker.Parker.Wake();
        else
            Start(item);
    }

    /// <summary>Lets idle threads end, and busy ones when their work is done.</summary>
    public void Dispose()
    {
        Worker? idle;
        lock (_lock)
        {
            _stopping = true;
            idle = _idle;
            _idle = null;
            for (Worker? w = idle; w is not null; w = w.NextIdle)
                w.IsIdle = false;
        }
        while (idle is not null)
        {
            // Read before the wake: afterwards the worker is gone.
            Worker? next = idle.NextIdle;
            idle.Parker.Wake();
            idle = next;
        }
    }

    private void Start(WorkItem item)
    {
        Worker? worker;
        lock (_lock)
        {
            worker = _spare;
            _spare = worker?.NextIdle;
        }
        worker ??= new Worker();
        worker.NextIdle = null;
        worker.Item = item;
        HostThread.Create(_name, () => Loop(worker), StackBytes).Start();
    }

    private void Loop(Worker worker)
    {
        while (true)
        {
            WorkItem item = worker.Item!;
            worker.Item = null;
            item.Run();
            if (!TakeNext(worker))
                return;
        }
    }

    /// <summary>Waits for work. False: the thread has to end.</summary>
    private bool TakeNext(Worker worker)
    {
        lock (_lock)
        {
            if (_head is not null)
            {
                worker.Item = _head;
                _head = _head.NextWork;
                if (_head is null)
                    _tail = null;
                return true;
            }
            if (_stopping)
                return End(worker);
            worker.NextIdle = _idle;
            worker.IsIdle = true;
            _idle = worker;
        }
        bool woken = worker.Parker.Wait(HostClock.Now + IdleNanoseconds);
        lock (_lock)
        {
            if (worker.Item is not null)
            {
                // Woken with work, or given some just as the time was up: then its wake-up is still to come.
                if (!woken)
                    worker.Parker.Wait(long.MaxValue);
                return true;
            }
            if (worker.IsIdle)
                RemoveIdle(worker);
            else if (!woken)
                worker.Parker.Wait(long.MaxValue);
            return End(worker);
        }
    }

    private bool End(Worker worker)
    {
        _threads--;
        // Kept for the next thread: who woke it last may still be about to touch the parker.
        worker.NextIdle = _spare;
        _spare = worker;
        return false;
    }

    private void RemoveIdle(Worker worker)
    {
        if (_idle == worker)
        {
            _idle = worker.NextIdle;
            return;
        }
        Worker at = _idle!;
        while (at.NextIdle != worker)
            at = at.NextIdle!;
        at.NextIdle = worker.NextIdle;
    }
}
