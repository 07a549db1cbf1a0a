using System.Text;
using Moat.Host;
using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring;

/// <summary>
/// Tells other processes of this user what io_uring does in the sandbox (<c>moat uring top</c>): through a memory file, which they find among the sentry's
/// descriptors. It is written when somebody asks; until then its thread sleeps, and nobody counts anything for it.
/// </summary>
internal sealed class UringMonitor : IDisposable
{
    private const int NameRoom = 16;

    private readonly SharedRegion _region;
    private readonly string _program;
    private readonly Lock _lock = new();
    private Thread? _thread;
    private volatile bool _stopping;

    private UringMonitor(SharedRegion region, string program)
    {
        _region = region;
        _program = program;
    }

    /// <summary>Makes one; null when the host refuses. <paramref name="arguments"/>: what the sandbox runs.</summary>
    public static UringMonitor? Create(byte[][] arguments)
    {
        byte[] name = Encoding.ASCII.GetBytes(MonitorSnapshot.FileName + "\0");
        return SharedRegion.Create(name, MonitorSnapshot.Size) is { } region
            ? new UringMonitor(region, string.Join(' ', arguments.Select(Encoding.UTF8.GetString))) : null;
    }

    /// <summary>There is something to tell from now on. Idempotent.</summary>
    public void Start(Sentry sentry)
    {
        lock (_lock)
        {
            if (_thread is not null || _stopping)
                return;
            _thread = HostThread.Create("moat-monitor", () => Serve(sentry));
            _thread.Start();
        }
    }

    /// <summary>Ends the thread, and the file.</summary>
    public void Dispose()
    {
        lock (_lock)
            _stopping = true;
        Interlocked.Increment(ref _region.Word(MonitorSnapshot.RequestAt));
        _region.Wake(MonitorSnapshot.RequestAt);
        _thread?.Join();
        _region.Dispose();
    }

    private void Serve(Sentry sentry)
    {
        // Not zero any more: who looks knows that somebody answers.
        Interlocked.Add(ref _region.Word(MonitorSnapshot.SequenceAt), 2);
        for (uint served = 0; !_stopping;)
        {
            uint asked = Volatile.Read(ref _region.Word(MonitorSnapshot.RequestAt));
            if (asked == served)
            {
                _region.Wait(MonitorSnapshot.RequestAt, asked, timeout: -1);
                continue;
            }
            served = asked;
            MonitorSnapshot snapshot = Take(sentry);
            Interlocked.Increment(ref _region.Word(MonitorSnapshot.SequenceAt));
            snapshot.Write(_region.Bytes);
            Interlocked.Increment(ref _region.Word(MonitorSnapshot.SequenceAt));
            _region.Wake(MonitorSnapshot.SequenceAt);
        }
    }

    private MonitorSnapshot Take(Sentry sentry)
    {
        RingStatistics all = sentry.GetUringStatistics();
        Ring[] rings = sentry.GetRings();
        List<OperationSample> operations = [];
        for (IoUringOp op = 0; op < IoUringOp.LAST; op++)
        {
            long inline = all.Count(op, ServedBy.Inline), polled = all.Count(op, ServedBy.Poll), worker = all.Count(op, ServedBy.Worker);
            if (inline + polled + worker == 0)
                continue;
            ReadOnlySpan<long> latencies = all.Latencies(op);
            operations.Add(new OperationSample(op, inline, polled, worker, latencies.IsEmpty ? new long[LatencyHistogram.Buckets] : latencies.ToArray()));
        }
        return new MonitorSnapshot
        {
            Pid = Environment.ProcessId,
            Started = sentry.StartTime,
            Time = HostClock.Now,
            Program = _program,
            RingCount = rings.Length,
            Rings = [.. rings.Take(MonitorSnapshot.MaxRings).Select(r => r.Sample(NameRoom))],
            Operations = operations,
        };
    }
}
