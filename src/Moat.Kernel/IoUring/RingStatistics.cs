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

    private readonly long[] _counts = new long[(int)IoUringOp.LAST * Kinds];
    private readonly long[] _latency = new long[Buckets];

    /// <summary>Requests of an operation served in one way.</summary>
    public long Count(IoUringOp op, ServedBy by) => Volatile.Read(ref _counts[((int)op * Kinds) + (int)by]);

    /// <summary>All requests.</summary>
    public long Total => _counts.Sum();

    /// <summary>One request more.</summary>
    public void Add(IoUringOp op, ServedBy by) => _counts[((int)op * Kinds) + (int)by]++;

    /// <summary><paramref name="count"/> requests took so many nanoseconds each.</summary>
    public void AddLatency(long nanoseconds, long count) => _latency[BucketOf(nanoseconds)] += count;

    /// <summary>Adds all of another's.</summary>
    public void Add(RingStatistics other)
    {
        for (int i = 0; i < _counts.Length; i++)
            _counts[i] += Volatile.Read(ref other._counts[i]);
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
