namespace Moat.Kernel.IoUring;

/// <summary>
/// The requests of one ring that workers run (io-wq): bounded work, which ends by itself (regular files), and unbounded work, which
/// may wait for ever; each kind has a limit of workers. Hashed work runs one at a time for each file.
/// </summary>
internal sealed class IoWorkQueue
{
    private readonly Lock _lock = new();
    private readonly WorkerPool _pool;
    private readonly Lane[] _lanes = [new(), new()];

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
        public int Running, Limit;
    }

    /// <summary>Makes an empty one.</summary>
    public IoWorkQueue(WorkerPool pool, int boundedLimit, int unboundedLimit)
    {
        _pool = pool;
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

    /// <summary>Lets a worker run the request, now or when there is one.</summary>
    public void Queue(Request request)
    {
        bool regular = request.File is { IsRegular: true };
        int kind = !regular && (request.Op.Flags & OpFlags.UnboundNonRegular) != 0 ? 1 : 0;
        request.WorkKind = (byte)kind;
        request.WorkKey = regular && (request.Op.Flags & OpFlags.HashRegular) != 0 ? request.File!.Inode : null;
        Lane lane = _lanes[kind];
        lock (_lock)
        {
            // While there is a free place nobody waits who could run, so only the new one is to be looked at.
            if (lane.Running < lane.Limit && TryClaimKey(request))
            {
                lane.Running++;
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
                lane.Running--;
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
