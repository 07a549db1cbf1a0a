using System.Numerics;

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
    private const int SubBits = 3, Buckets = (64 - SubBits) << SubBits, Kinds = 3;

    private readonly long[] _inline = new long[(int)IoUringOp.LAST];
    private readonly long[] _others = new long[(int)IoUringOp.LAST * (Kinds - 1)];
    private readonly long[] _latency = new long[Buckets];

    /// <summary>Requests of an operation served in one way.</summary>
    public long Count(IoUringOp op, ServedBy by)
        => Volatile.Read(ref by == ServedBy.Inline ? ref _inline[(int)op] : ref Other(op, by));

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
    public void AddLatency(long nanoseconds, long count) => _latency[BucketOf(nanoseconds)] += count;

    /// <summary>Adds all of another's.</summary>
    public void Add(RingStatistics other)
    {
        for (int i = 0; i < _inline.Length; i++)
            _inline[i] += Volatile.Read(ref other._inline[i]);
        for (int i = 0; i < _others.Length; i++)
            _others[i] += Volatile.Read(ref other._others[i]);
        for (int i = 0; i < Buckets; i++)
            _latency[i] += Volatile.Read(ref other._latency[i]);
    }

    /// <summary>The latency that a part (0 to 1) of all requests stayed below, nanoseconds, to about 12 %; 0 without requests.</summary>
    public long Percentile(double part)
    {
        long total = _latency.Sum(), seen = 0;
        long wanted = Math.Max(1, (long)Math.Ceiling(total * part));
        for (int i = 0; i < Buckets && total > 0; i++)
        {
            seen += _latency[i];
            if (seen >= wanted)
                return UpperBound(i);
        }
        return 0;
    }

    private static int BucketOf(long value)
    {
        if (value < 1 << SubBits)
            return (int)Math.Max(value, 0);
        int exponent = BitOperations.Log2((ulong)value);
        return ((exponent - SubBits + 1) << SubBits) + (int)((value >> (exponent - SubBits)) & ((1 << SubBits) - 1));
    }

    private static long UpperBound(int bucket)
    {
        if (bucket < 1 << SubBits)
            return bucket;
        int exponent = (bucket >> SubBits) + SubBits - 1;
        long step = 1L << (exponent - SubBits);
        return (1L << exponent) + (((bucket & ((1 << SubBits) - 1)) + 1) * step) - 1;
    }
}
