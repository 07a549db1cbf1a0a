using System.Runtime.CompilerServices;
using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring
{
    private readonly RingStatistics _stats = new();
    private readonly IUringTrace? _trace;

    /// <summary>When the requests of the running batch were fetched; they become visible together, so one measurement serves all.</summary>
    private long _batchStarted;
    private int _batchInline;
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void CountDone(Request request)
    {
        const RequestFlags Async = RequestFlags.Polled | RequestFlags.Worked;
        if (_submitting && (request.Flags & Async) == 0)
        {
            _stats.Add(request.Op.Number, ServedBy.Inline);
            _batchInline++;
            return;
        }
        ServedBy by = (request.Flags & RequestFlags.Worked) != 0 ? ServedBy.Worker
            : (request.Flags & RequestFlags.Polled) != 0 ? ServedBy.Poll : ServedBy.Inline;
        _stats.Add(request.Op.Number, by);
        _stats.AddLatency(HostClock.Now - request.Started, 1);
    }

    private void CountBatch()
    {
        long now = HostClock.Now;
        _stats.AddLatency(now - _batchStarted, _batchInline);
        _batchInline = 0;
        _batchStarted = now;
    }

    private void TraceSubmit(Request request) => _trace!.Submitted(request.Task, this, in request.Sqe);

    private void TraceBatch(int count)
    {
        for (int i = 0; i < count; i++)
            _trace!.Completed(this, _batch[i].user_data, _batch[i].res, (CqeFlags)_batch[i].flags);
    }
}

/// <summary>Is told of every SQE and CQE (--strace). Called under a ring's lock: formats and writes, nothing else.</summary>
internal interface IUringTrace
{
    /// <summary>An SQE was read. Its fields are the guest's, unchecked.</summary>
    void Submitted(Tasks.Task task, Ring ring, in IoUringSqe sqe);

    /// <summary>A CQE becomes visible or goes to the backlog.</summary>
    void Completed(Ring ring, ulong userData, int result, CqeFlags flags);
}
