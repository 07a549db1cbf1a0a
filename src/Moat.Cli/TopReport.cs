using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Moat.Abi;
using Moat.Kernel.IoUring;

namespace Moat.Cli;

/// <summary>What <c>moat uring top</c> shows: counts since an earlier look (or since the beginning, without one).</summary>
internal static class TopReport
{
    private static readonly double[] s_parts = [0.5, 0.9, 0.99, 0.999];
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// A table for each sandbox with rings, or that had some. <paramref name="before"/>: the same sandboxes earlier, as far as they were there.
    /// <paramref name="width"/>: longest line.
    /// </summary>
    public static string Text(IReadOnlyList<MonitorSnapshot> now, IReadOnlyList<MonitorSnapshot> before, int width = int.MaxValue)
    {
        StringBuilder text = new();
        foreach (MonitorSnapshot one in now)
        {
            if (text.Length != 0)
                text.Append('\n');
            AppendSandbox(text, one, Earlier(one, before));
        }
        if (text.Length == 0)
            return "No sandbox of this user runs with an io_uring.\n";
        return string.Concat(text.ToString().Split('\n')[..^1].Select(l => (l.Length > width ? l[..width] : l) + "\n"));
    }

    /// <summary>The same as one line of JSON: an array of sandboxes. Times in nanoseconds, rates per second.</summary>
    public static string Json(IReadOnlyList<MonitorSnapshot> now, IReadOnlyList<MonitorSnapshot> before)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream, s_json))
        {
            json.WriteStartArray();
            foreach (MonitorSnapshot one in now)
                WriteSandbox(json, one, Earlier(one, before));
            json.WriteEndArray();
        }
        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    private static MonitorSnapshot Earlier(MonitorSnapshot now, IReadOnlyList<MonitorSnapshot> before)
        => before.FirstOrDefault(b => b.Pid == now.Pid && b.Started == now.Started) ?? new MonitorSnapshot { Time = now.Started };

    private static RingSample? Earlier(RingSample ring, MonitorSnapshot before) => before.Rings.FirstOrDefault(r => r.Number == ring.Number);

    private static OperationSample Since(OperationSample now, MonitorSnapshot before)
    {
        OperationSample? old = before.Operations.FirstOrDefault(o => o.Op == now.Op);
        return old is null ? now : new OperationSample(now.Op, now.Inline - old.Inline, now.Polled - old.Polled, now.Worker - old.Worker,
            [.. now.Latencies.Zip(old.Latencies, (a, b) => a - b)]);
    }

    private static double Seconds(MonitorSnapshot now, MonitorSnapshot before) => Math.Max(now.Time - before.Time, 1) / 1e9;

    private static void AppendSandbox(StringBuilder text, MonitorSnapshot now, MonitorSnapshot before)
    {
        CultureInfo plain = CultureInfo.InvariantCulture;
        double seconds = Seconds(now, before);
        long done = now.Operations.Sum(o => Since(o, before).Total);
        text.Append(plain, $"moat {now.Pid}: {now.Program}\n{now.RingCount} {(now.RingCount == 1 ? "ring" : "rings")}, {Short(done / seconds)} requests/s, ")
            .Append(plain, $"{Short(now.Operations.Sum(o => o.Total))} so far\n");
        if (now.Rings.Count != 0)
            text.Append("  RING    PID NAME                 SQ          CQ  FLIGHT   REQ/S  INLINE  POLLED  WORKER  BACKLOG  LOST  FLAGS\n");
        foreach (RingSample ring in now.Rings.OrderByDescending(r => r.Total - (Earlier(r, before)?.Total ?? 0)).ThenBy(r => r.Number))
        {
            RingSample? old = Earlier(ring, before);
            long inline = ring.Inline - (old?.Inline ?? 0), polled = ring.Polled - (old?.Polled ?? 0), worker = ring.Worker - (old?.Worker ?? 0);
            long all = inline + polled + worker;
            text.Append(plain, $"{ring.Number,6} {ring.Pid,6} {ring.Name,-15} {ring.SqReady + "/" + ring.SqEntries,11} {ring.CqReady + "/" + ring.CqEntries,11} ")
                .Append(plain, $"{ring.InFlight,7} {Short(all / seconds),7} {Share(inline, all),7} {Share(polled, all),7} {Share(worker, all),7} ")
                .Append(plain, $"{ring.Backlog,8} {ring.Lost,5}  {FlagsOf(ring)}\n");
        }
        if (now.RingCount > now.Rings.Count)
            text.Append(plain, $"  and {now.RingCount - now.Rings.Count} more\n");
        List<OperationSample> operations = [.. now.Operations.Select(o => Since(o, before)).Where(o => o.Total != 0).OrderByDescending(o => o.Total)];
        if (operations.Count == 0)
            return;
        text.Append("  OPERATION            REQUESTS   REQ/S  INLINE  POLLED  WORKER       50 %       90 %       99 %     99.9 %\n");
        foreach (OperationSample o in operations)
        {
            text.Append(plain, $"  {o.Op,-18} {o.Total,10} {Short(o.Total / seconds),7} {Share(o.Inline, o.Total),7} {Share(o.Polled, o.Total),7} {Share(o.Worker, o.Total),7}");
            foreach (double part in s_parts)
                text.Append(plain, $" {TimeOf(o, part),10}");
            text.Append('\n');
        }
    }

    private static string TimeOf(OperationSample o, double part)
        => LatencyHistogram.Percentile(o.Latencies, part) is > 0 and var time ? StatisticsReport.Time(time) : "-";

    private static string Share(long part, long all)
        => all == 0 ? "-" : string.Create(CultureInfo.InvariantCulture, $"{100.0 * part / all:0} %");

    /// <summary>A number in at most six characters.</summary>
    internal static string Short(double number) => number switch
    {
        < 99.95 => string.Create(CultureInfo.InvariantCulture, $"{number:0.#}"),
        < 99_999.5 => string.Create(CultureInfo.InvariantCulture, $"{number:0}"),
        < 99_999_500 => string.Create(CultureInfo.InvariantCulture, $"{number / 1e3:0}k"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{number / 1e6:0}M"),
    };

    private static string FlagsOf(RingSample ring) => ring.Setup == IoUringSetup.None ? "" : ring.Setup.ToString().Replace(", ", " ", StringComparison.Ordinal);

    private static void WriteSandbox(Utf8JsonWriter json, MonitorSnapshot now, MonitorSnapshot before)
    {
        double seconds = Seconds(now, before);
        json.WriteStartObject();
        json.WriteNumber("pid", now.Pid);
        json.WriteString("program", now.Program);
        json.WriteNumber("seconds", Math.Round(seconds, 6));
        json.WriteNumber("rings_total", now.RingCount);
        json.WriteStartArray("rings");
        foreach (RingSample ring in now.Rings)
            WriteRing(json, ring, Earlier(ring, before), seconds);
        json.WriteEndArray();
        json.WriteStartArray("operations");
        foreach (OperationSample total in now.Operations)
            WriteOperation(json, total, Since(total, before), seconds);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteRing(Utf8JsonWriter json, RingSample ring, RingSample? old, double seconds)
    {
        json.WriteStartObject();
        json.WriteNumber("ring", ring.Number);
        json.WriteNumber("process", ring.Pid);
        json.WriteString("name", ring.Name);
        json.WriteString("flags", FlagsOf(ring));
        json.WriteNumber("sq_entries", ring.SqEntries);
        json.WriteNumber("sq_ready", ring.SqReady);
        json.WriteNumber("cq_entries", ring.CqEntries);
        json.WriteNumber("cq_ready", ring.CqReady);
        json.WriteNumber("in_flight", ring.InFlight);
        json.WriteNumber("backlog", ring.Backlog);
        json.WriteNumber("lost", ring.Lost);
        WriteCounts(json, ring.Total, ring.Inline, ring.Polled, ring.Worker);
        json.WriteNumber("rate", Math.Round((ring.Total - (old?.Total ?? 0)) / seconds, 3));
        json.WriteEndObject();
    }

    private static void WriteOperation(Utf8JsonWriter json, OperationSample total, OperationSample since, double seconds)
    {
        json.WriteStartObject();
        json.WriteString("operation", total.Op.ToString());
        WriteCounts(json, total.Total, total.Inline, total.Polled, total.Worker);
        json.WriteNumber("rate", Math.Round(since.Total / seconds, 3));
        json.WriteStartObject("latency");
        foreach (double part in s_parts)
            json.WriteNumber("p" + (part * 100).ToString(CultureInfo.InvariantCulture), LatencyHistogram.Percentile(since.Latencies, part));
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteCounts(Utf8JsonWriter json, long total, long inline, long polled, long worker)
    {
        json.WriteNumber("requests", total);
        json.WriteNumber("inline", inline);
        json.WriteNumber("polled", polled);
        json.WriteNumber("worker", worker);
    }
}
