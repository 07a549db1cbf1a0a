using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring
{
    private readonly RingStatistics _stats;
    private readonly long[] _inlineCounts;
    private readonly IUringTrace? _trace;

    /// <summary>Every so many batches are timed, and count for all: reading the clock costs as much as a request.</summary>
    private const int TimedEvery = 32;

    /// <summary>When the requests of a timed batch were fetched; they become visible together, so one measurement serves all.</summary>
    private long _batchStarted;

    /// <summary>How many requests of each operation had been served in place when the timed batch began.</summary>
    private readonly long[] _timedFrom = new long[(int)IoUringOp.LAST];

    private int _batchNumber, _batchInline;
    private bool _submitting;

    /// <summary>Requests of all rings that are not free: zero when nothing leaks.</summary>
    public static long LiveRequests => Interlocked.Read(ref s_live);

    private static long s_live;

    /// <summary>What was served and how fast.</summary>
    public RingStatistics Statistics => _stats;

    private static void CountLive(int change)
    {
        if (change != 0)
            Interlocked.Add(ref s_live, change);
    }

    private void BeginBatch()
    {
        _batchStarted = 0;
        if ((_batchNumber++ & (TimedEvery - 1)) != 0)
            return;
        _inlineCounts.CopyTo(_timedFrom, 0);
        _batchStarted = HostClock.Now;
    }

    private void CountDone(Request request)
    {
        const RequestFlags Async = RequestFlags.Polled | RequestFlags.Worked;
        if (_submitting && (request.Flags & Async) == 0)
        {
            _inlineCounts[(int)request.Op.Number]++;
            _batchInline++;
            return;
        }
        CountAsync(request);
    }

    private void CountAsync(Request request)
    {
        ServedBy by = (request.Flags & RequestFlags.Worked) != 0 ? ServedBy.Worker
            : (request.Flags & RequestFlags.Polled) != 0 ? ServedBy.Poll : ServedBy.Inline;
        _stats.Add(request.Op.Number, by);
        if (request.Started != 0)
            _stats.AddLatency(request.Op.Number, HostClock.Now - request.Started, 1);
        request.Started = 0;
    }

    private void CountBatch()
    {
        if (_batchStarted != 0)
        {
            long now = HostClock.Now;
            for (int i = 0; i < _timedFrom.Length; i++)
            {
                long count = _inlineCounts[i] - _timedFrom[i];
                if (count != 0)
                    _stats.AddLatency((IoUringOp)i, now - _batchStarted, count * TimedEvery);
            }
            _inlineCounts.CopyTo(_timedFrom, 0);
            _batchStarted = now;
        }
        _batchInline = 0;
    }

    private void TraceSubmit(Request request) => _trace!.Submitted(request.Task, this, in request.Sqe);
}

/// <summary>Is told of every SQE and CQE (--strace). Called under a ring's lock: formats and writes, nothing else.</summary>
internal interface IUringTrace
{
    /// <summary>An SQE was read. Its fields are the guest's, unchecked.</summary>
    void Submitted(Tasks.Task task, Ring ring, in IoUringSqe sqe);

    /// <summary>A CQE is about to become visible or to go to the backlog.</summary>
    void Completed(Ring ring, ulong userData, int result, CqeFlags flags);
}
