using System.Runtime.InteropServices;
using System.Text;

namespace Moat.Kernel.IoUring;

/// <summary>One ring at one moment.</summary>
/// <param name="Number">The order in which rings were made.</param>
/// <param name="Pid">The process that made it, as the guest counts.</param>
/// <param name="Name">That process's name.</param>
/// <param name="Setup">Its set-up flags.</param>
/// <param name="SqEntries">Places in the submission ring.</param>
/// <param name="SqReady">Requests in it that are not taken yet.</param>
/// <param name="CqEntries">Places in the completion ring.</param>
/// <param name="CqReady">Completions in it that the program has not consumed.</param>
/// <param name="InFlight">Requests that are not complete.</param>
/// <param name="Backlog">Completions that wait for room.</param>
/// <param name="Lost">Completions that had no room anywhere.</param>
/// <param name="Inline">Requests served in place.</param>
/// <param name="Polled">Requests served after waiting for readiness.</param>
/// <param name="Worker">Requests served by workers.</param>
internal sealed record RingSample(
    long Number, long Pid, string Name, IoUringSetup Setup, long SqEntries, long SqReady, long CqEntries, long CqReady, long InFlight,
    long Backlog, long Lost, long Inline, long Polled, long Worker)
{
    /// <summary>Requests served so far.</summary>
    public long Total => Inline + Polled + Worker;
}

/// <summary>One operation in all rings of a sandbox, ended ones included.</summary>
/// <param name="Op">Which.</param>
/// <param name="Inline">Requests served in place.</param>
/// <param name="Polled">Requests served after waiting for readiness.</param>
/// <param name="Worker">Requests served by workers.</param>
/// <param name="Latencies">Counts by <see cref="LatencyHistogram"/>'s buckets; inline requests stand for those of batches that were not timed.</param>
internal sealed record OperationSample(IoUringOp Op, long Inline, long Polled, long Worker, long[] Latencies)
{
    /// <summary>Requests served so far.</summary>
    public long Total => Inline + Polled + Worker;
}

/// <summary>What io_uring does in a sandbox at one moment, and how that is written down for another process.</summary>
internal sealed class MonitorSnapshot
{
    /// <summary>Name of the memory file, and how it shows among a process's descriptors.</summary>
    public const string FileName = "moat-uring", LinkText = "/memfd:moat-uring (deleted)";

    /// <summary>Where the 32-bit words are that readers and writer share: raised to ask, and raised before and after writing (zero: nobody
    /// answers yet, for there was no ring).</summary>
    public const int RequestAt = 16, SequenceAt = 20;

    /// <summary>Most rings that are shown.</summary>
    public const int MaxRings = 256;

    // All in 8-byte words. The header: magic, version, the two shared words, start, time, pid, counts of rings and rows, the program's name.
    private const long Magic = 0x474e5255_54414f4d, Version = 1;
    private const int HeaderWords = 32, ProgramAt = 10, ProgramWords = HeaderWords - ProgramAt;
    private const int RingWords = 16, NameWords = 2, OperationWords = 4 + LatencyHistogram.Buckets;

    /// <summary>Bytes that a file has.</summary>
    public const int Size = (HeaderWords + (MaxRings * RingWords) + ((int)IoUringOp.LAST * OperationWords)) * sizeof(long);

    /// <summary>The sentry's process on the host, as it counts itself.</summary>
    public long Pid { get; init; }

    /// <summary>When the sandbox began, and when this was written: host CLOCK_MONOTONIC, nanoseconds.</summary>
    public long Started { get; init; }

    /// <summary>See <see cref="Started"/>.</summary>
    public long Time { get; init; }

    /// <summary>What it runs.</summary>
    public string Program { get; init; } = "";

    /// <summary>How many rings there are; more than <see cref="Rings"/> shows, perhaps.</summary>
    public long RingCount { get; init; }

    /// <summary>The rings that exist, the oldest first.</summary>
    public IReadOnlyList<RingSample> Rings { get; init; } = [];

    /// <summary>The operations that were used, by number.</summary>
    public IReadOnlyList<OperationSample> Operations { get; init; } = [];

    /// <summary>Writes everything but the shared words.</summary>
    public void Write(Span<byte> to)
    {
        Span<long> words = MemoryMarshal.Cast<byte, long>(to);
        words[0] = Magic;
        words[1] = Version;
        new[] { Started, Time, Pid, RingCount, Math.Min(Rings.Count, MaxRings), Operations.Count }.CopyTo(words[3..]);
        WriteText(Program, words.Slice(ProgramAt, ProgramWords));
        Span<long> rest = words[HeaderWords..];
        foreach (RingSample r in Rings.Take(MaxRings))
        {
            new[] { r.Number, r.Pid, (long)r.Setup, r.SqEntries, r.SqReady, r.CqEntries, r.CqReady, r.InFlight, r.Backlog, r.Lost, r.Inline, r.Polled, r.Worker }
                .CopyTo(rest);
            WriteText(r.Name, rest.Slice(RingWords - NameWords, NameWords));
            rest = rest[RingWords..];
        }
        foreach (OperationSample o in Operations)
        {
            new[] { (long)o.Op, o.Inline, o.Polled, o.Worker }.CopyTo(rest);
            o.Latencies.CopyTo(rest[4..]);
            rest = rest[OperationWords..];
        }
    }

    /// <summary>Reads a private copy of a file; null when it is none, of another version, or makes no sense.</summary>
    public static MonitorSnapshot? Read(ReadOnlySpan<byte> from)
    {
        ReadOnlySpan<long> words = MemoryMarshal.Cast<byte, long>(from);
        if (from.Length < Size || words[0] != Magic || words[1] != Version)
            return null;
        long ringRows = words[7], operationRows = words[8];
        if (ringRows is < 0 or > MaxRings || operationRows is < 0 or > (long)IoUringOp.LAST)
            return null;
        ReadOnlySpan<long> rest = words[HeaderWords..];
        List<RingSample> rings = [];
        for (; rings.Count < ringRows; rest = rest[RingWords..])
        {
            rings.Add(new RingSample(rest[0], rest[1], ReadText(rest.Slice(RingWords - NameWords, NameWords)), (IoUringSetup)rest[2], rest[3], rest[4], rest[5],
                rest[6], rest[7], rest[8], rest[9], rest[10], rest[11], rest[12]));
        }
        List<OperationSample> operations = [];
        for (; operations.Count < operationRows; rest = rest[OperationWords..])
        {
            if (rest[0] is < 0 or >= (long)IoUringOp.LAST)
                return null;
            operations.Add(new OperationSample((IoUringOp)rest[0], rest[1], rest[2], rest[3], rest.Slice(4, LatencyHistogram.Buckets).ToArray()));
        }
        return new MonitorSnapshot
        {
            Started = words[3],
            Time = words[4],
            Pid = words[5],
            RingCount = words[6],
            Program = ReadText(words.Slice(ProgramAt, ProgramWords)),
            Rings = rings,
            Operations = operations,
        };
    }

    private static void WriteText(string text, Span<long> words)
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(words);
        bytes.Clear();
        // What does not fit is cut between characters.
        Encoding.UTF8.GetEncoder().Convert(text, bytes, flush: false, out _, out _, out _);
    }

    /// <summary>A terminal gets no control characters from a guest's names.</summary>
    private static string ReadText(ReadOnlySpan<long> words)
    {
        string text = Encoding.UTF8.GetString(MemoryMarshal.AsBytes(words)).TrimEnd('\0');
        return string.Concat(text.Select(c => char.IsControl(c) ? '?' : c));
    }
}
