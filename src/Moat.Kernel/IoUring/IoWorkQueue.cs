using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring;

/// <summary>
/// The requests of one thread that workers run (io-wq): bounded work, which ends by itself (regular files), and unbounded work, which
/// may wait for ever; each kind has a limit of workers. Hashed work runs one at a time for each file.
/// </summary>
/// <remarks>
/// The sentry's threads serve all queues. What a process sees of its own (/proc/PID/task) is as many threads as requests have run at a time, less those
/// that would have been idle for too long.
/// </remarks>
internal sealed class IoWorkQueue
{
    private const long IdleNanoseconds = 5_000_000_000;

    private readonly Lock _lock = new();
    private readonly WorkerPool _pool;
    private readonly TaskTable _tasks;
    private readonly int _creator;
    private readonly Lane[] _lanes = [new(), new()];
    private int _rings;
    private bool _ended;

    private byte[]? _processors;

    /// <summary>The processors that its workers may use, a bit each; null: those of the sandbox.</summary>
    public byte[]? Processors
    {
        get => Volatile.Read(ref _processors);
        set => Volatile.Write(ref _processors, value);
    }

    /// <summary>Files that a worker writes to.</summary>
    private readonly HashSet<object> _hashed = [];

    /// <summary>One kind of work.</summary>
    private sealed class Lane
    {
        public Request? Head, Tail;

        /// <summary>How many run, how many more wait for what a worker of Linux would wait for, and how many may run.</summary>
        public int Running, Held, Limit;

        /// <summary>The first so many as run or are held are busy.</summary>
        public readonly List<IoThread> Threads = [];
    }

    /// <summary>Makes an empty one, for the thread with an id.</summary>
    public IoWorkQueue(Sentry sentry, int creator, int boundedLimit, int unboundedLimit)
    {
        _pool = sentry.UringWorkers;
        _tasks = sentry.Tasks;
        _creator = creator;
        _lanes[0].Limit = boundedLimit;
        _lanes[1].Limit = unboundedLimit;
    }

    /// <summary>Most workers of a kind (0 bounded, 1 unbounded); sets it unless 0. Returns the one before.</summary>
    public int ExchangeLimit(int kind, int limit)
    {
        lock (_lock)
        {
            int before = _lanes[kind].Limit;
            if (limit > 0)
                _lanes[kind].Limit = limit;
            return before;
        }
    }

    private static int KindOf(Request request)
        => request.File is not { IsRegular: true } && (request.Op.Flags & OpFlags.UnboundNonRegular) != 0 ? 1 : 0;

    /// <summary>A request waits as if it had a worker.</summary>
    public void Hold(Request request)
    {
        request.WorkKind = (byte)KindOf(request);
        Lane lane = _lanes[request.WorkKind];
        lock (_lock)
        {
            lane.Held++;
            AddThread(lane);
        }
    }

    /// <summary>It does so no longer.</summary>
    public void Release(Request request)
    {
        Lane lane = _lanes[request.WorkKind];
        lock (_lock)
        {
            lane.Held--;
            NoteIdle(lane);
        }
    }

    /// <summary>One more is busy: there is a thread for it.</summary>
    private void AddThread(Lane lane)
    {
        if (lane.Threads.Count < Math.Min(lane.Running + lane.Held, lane.Limit) && !_ended
            && IoThread.TryMakeWorker(_tasks, _creator) is { } thread)
        {
            lane.Threads.Add(thread);
        }
    }

    private static void NoteIdle(Lane lane)
    {
        int busy = lane.Running + lane.Held;
        if (busy < lane.Threads.Count)
            lane.Threads[busy].IdleSince = HostClock.Now;
    }

    /// <summary>Lets a worker run the request, now or when there is one.</summary>
    public void Queue(Request request)
    {
        bool regular = request.File is { IsRegular: true };
        int kind = KindOf(request);
        request.WorkKind = (byte)kind;
        request.WorkKey = regular && (request.Op.Flags & OpFlags.HashRegular) != 0 ? request.File!.Inode : null;
        Lane lane = _lanes[kind];
        lock (_lock)
        {
            // While there is a free place nobody waits who could run, so only the new one is to be looked at.
            if (lane.Running < lane.Limit && TryClaimKey(request))
            {
                lane.Running++;
                AddThread(lane);
            }
            else
            {
                Append(lane, request);
                return;
            }
        }
        _pool.Queue(request);
    }

    /// <summary>A worker is done with a request. Returns the next one for it to run, or null: its place is free.</summary>
    public Request? Finish(Request request)
    {
        Lane lane = _lanes[request.WorkKind];
        lock (_lock)
        {
            if (request.WorkKey is not null)
            {
                _hashed.Remove(request.WorkKey);
                request.WorkKey = null;
            }
            Request? next = lane.Running <= lane.Limit ? TakeRunnable(lane) : null;
            if (next is null)
            {
                lane.Running--;
                NoteIdle(lane);
            }
            return next;
        }
    }

    /// <summary>Takes a request back that no worker runs yet. False: it runs, or has run.</summary>
    public bool TryRemove(Request request)
    {
        lock (_lock)
        {
            if (!request.WorkQueued)
                return false;
            Unlink(_lanes[request.WorkKind], request);
            request.WorkKey = null;
            return true;
        }
    }

    /// <summary>Its thread uses one ring more.</summary>
    public void EnterRing()
    {
        lock (_lock)
            _rings++;
    }

    /// <summary>One less: with the last one the workers go.</summary>
    public void LeaveRing()
    {
        lock (_lock)
        {
            if (--_rings == 0)
                DropThreads(long.MaxValue, 0);
        }
    }

    /// <summary>The thread has ended, or executes another program.</summary>
    public void End()
    {
        lock (_lock)
        {
            _ended = true;
            DropThreads(long.MaxValue, 0);
        }
    }

    /// <summary>See <see cref="End"/>.</summary>
    public bool IsEnded => Volatile.Read(ref _ended);

    /// <summary>Adds the workers that there are.</summary>
    public void AppendThreads(List<IoThread> threads)
    {
        lock (_lock)
        {
            DropThreads(HostClock.Now - IdleNanoseconds, 1);
            foreach (Lane lane in _lanes)
                threads.AddRange(lane.Threads);
        }
    }

    /// <summary>Those that have had nothing to do since a time go, but for the first few of each kind.</summary>
    private void DropThreads(long idleSince, int keep)
    {
        foreach (Lane lane in _lanes)
        {
            List<IoThread> threads = lane.Threads;
            for (int i = threads.Count - 1; i >= Math.Max(keep, _ended ? 0 : lane.Running + lane.Held) && threads[i].IdleSince <= idleSince; i--)
            {
                _tasks.FreeWorker(threads[i].Id);
                threads.RemoveAt(i);
            }
        }
    }

    private Request? TakeRunnable(Lane lane)
    {
        for (Request? r = lane.Head; r is not null; r = r.WorkNext)
        {
            if (!TryClaimKey(r))
                continue;
            Unlink(lane, r);
            return r;
        }
        return null;
    }

    private bool TryClaimKey(Request request) => request.WorkKey is null || _hashed.Add(request.WorkKey);

    private static void Append(Lane lane, Request request)
    {
        request.WorkPrevious = lane.Tail;
        request.WorkNext = null;
        if (lane.Tail is null)
            lane.Head = request;
        else
            lane.Tail.WorkNext = request;
        lane.Tail = request;
        request.WorkQueued = true;
    }

    private static void Unlink(Lane lane, Request request)
    {
        if (request.WorkPrevious is null)
            lane.Head = request.WorkNext;
        else
            request.WorkPrevious.WorkNext = request.WorkNext;
        if (request.WorkNext is null)
            lane.Tail = request.WorkPrevious;
        else
            request.WorkNext.WorkPrevious = request.WorkPrevious;
        request.WorkNext = request.WorkPrevious = null;
        request.WorkQueued = false;
    }
}
