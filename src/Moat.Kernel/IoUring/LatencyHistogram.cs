using System.Numerics;

namespace Moat.Kernel.IoUring;

/// <summary>Latencies in buckets of about 12 % width, nanoseconds. Counts are longs that others may read while one thread adds.</summary>
internal static class LatencyHistogram
{
    private const int SubBits = 3;

    /// <summary>How many counts there are.</summary>
    public const int Buckets = (64 - SubBits) << SubBits;

    /// <summary>The bucket of a latency.</summary>
    public static int BucketOf(long nanoseconds)
    {
        if (nanoseconds < 1 << SubBits)
            return (int)Math.Max(nanoseconds, 0);
        int exponent = BitOperations.Log2((ulong)nanoseconds);
        return ((exponent - SubBits + 1) << SubBits) + (int)((nanoseconds >> (exponent - SubBits)) & ((1 << SubBits) - 1));
    }

    /// <summary>The latency that a part (0 to 1) of all stayed below; 0 when there are none.</summary>
    public static long Percentile(ReadOnlySpan<long> counts, double part)
    {
        long total = 0, seen = 0;
        foreach (long count in counts)
            total += count;
        long wanted = Math.Max(1, (long)Math.Ceiling(total * part));
        for (int i = 0; i < counts.Length && total > 0; i++)
        {
            seen += counts[i];
            if (seen >= wanted)
                return UpperBound(i);
        }
        return 0;
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
