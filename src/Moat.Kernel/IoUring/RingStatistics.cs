namespace Moat.Kernel.IoUring;

/// <summary>How a request was served.</summary>
internal enum ServedBy
{
    /// <summary>In place, when it was submitted or its turn came.</summary>
    Inline,

    /// <summary>After waiting for readiness.</summary>
    Poll,

    /// <summary>By a worker.</summary>
    Worker,
}

/// <summary>
/// Counts of completed requests and their latencies, fetch to visible CQE. One per ring, written under its lock; the sandbox
/// adds up those of rings that are gone.
/// </summary>
internal sealed class RingStatistics
{
    private const int Kinds = 3;

    private readonly long[] _inline = new long[(int)IoUringOp.LAST];
    private readonly long[] _others = new long[(int)IoUringOp.LAST * (Kinds - 1)];
    private readonly long[]?[] _latencies = new long[]?[(int)IoUringOp.LAST];

    /// <summary>Requests of an operation served in one way.</summary>
    public long Count(IoUringOp op, ServedBy by)
        => Volatile.Read(ref by == ServedBy.Inline ? ref _inline[(int)op] : ref Other(op, by));

    /// <summary>Requests of all operations served in one way.</summary>
    public long Count(ServedBy by)
    {
        long count = 0;
        for (IoUringOp op = 0; op < IoUringOp.LAST; op++)
            count += Count(op, by);
        return count;
    }

    /// <summary>All requests.</summary>
    public long Total => _inline.Sum() + _others.Sum();

    /// <summary>Counts of requests served in place, by operation; the ring counts in it directly.</summary>
    public long[] Inline => _inline;

    /// <summary>One request more.</summary>
    public void Add(IoUringOp op, ServedBy by)
    {
        if (by == ServedBy.Inline)
            _inline[(int)op]++;
        else
            Other(op, by)++;
    }

    private ref long Other(IoUringOp op, ServedBy by) => ref _others[((int)op * (Kinds - 1)) + (int)by - 1];

    /// <summary><paramref name="count"/> requests took so many nanoseconds each.</summary>
    public void AddLatency(IoUringOp op, long nanoseconds, long count)
    {
        long[] counts = _latencies[(int)op] ?? AddHistogram(op);
        counts[LatencyHistogram.BucketOf(nanoseconds)] += count;
    }

    private long[] AddHistogram(IoUringOp op)
    {
        long[] counts = new long[LatencyHistogram.Buckets];
        Volatile.Write(ref _latencies[(int)op], counts);
        return counts;
    }

    /// <summary>Latencies of an operation, by <see cref="LatencyHistogram"/>'s buckets; empty when there are none.</summary>
    public ReadOnlySpan<long> Latencies(IoUringOp op) => Volatile.Read(ref _latencies[(int)op]);

    /// <summary>Adds all of another's.</summary>
    public void Add(RingStatistics other)
    {
        for (int i = 0; i < _inline.Length; i++)
            _inline[i] += Volatile.Read(ref other._inline[i]);
        for (int i = 0; i < _others.Length; i++)
            _others[i] += Volatile.Read(ref other._others[i]);
        for (IoUringOp op = 0; op < IoUringOp.LAST; op++)
        {
            ReadOnlySpan<long> counts = other.Latencies(op);
            if (counts.IsEmpty)
                continue;
            long[] mine = _latencies[(int)op] ?? AddHistogram(op);
            for (int i = 0; i < counts.Length; i++)
                mine[i] += Volatile.Read(in counts[i]);
        }
    }

    /// <summary>The latency that a part (0 to 1) of all requests stayed below, nanoseconds, to about 12 %; 0 without requests.</summary>
    public long Percentile(double part)
    {
        long[] all = new long[LatencyHistogram.Buckets];
        for (IoUringOp op = 0; op < IoUringOp.LAST; op++)
        {
            ReadOnlySpan<long> counts = Latencies(op);
            for (int i = 0; i < counts.Length; i++)
                all[i] += counts[i];
        }
        return LatencyHistogram.Percentile(all, part);
    }
}
