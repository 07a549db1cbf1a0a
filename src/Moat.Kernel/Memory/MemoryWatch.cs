using Moat.Host;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Memory;

/// <summary>
/// What Linux's OOM killer is: while guests were promised more than the limit, it looks how much they touched, and kills the process that
/// holds most when that is too much. Its thread sleeps while the promises can be kept.
/// </summary>
internal sealed class MemoryWatch
{
    // How fast guests can touch memory, bytes a millisecond, at most; and how often is often enough.
    private const ulong TouchedPerMillisecond = 8 << 20;
    private const int LongestPause = 500, ShortestPause = 2;

    // A process that was killed has this long to go before another is chosen, milliseconds.
    private const long Grace = 2000;

    private const int NotStarted = 0, Watching = 1, Waiting = 2;

    private readonly Sentry _sentry;
    private readonly AutoResetEvent _overcommitted = new(false);
    private ThreadGroup? _victim;
    private long _killedAt;
    private int _state;

    /// <summary>Watches the sandbox's frames from when they are first overcommitted.</summary>
    public MemoryWatch(Sentry sentry)
    {
        _sentry = sentry;
        sentry.Frames.Overcommitted = Start;
    }

    private void Start()
    {
        if (Volatile.Read(ref _state) == NotStarted && Interlocked.CompareExchange(ref _state, Watching, NotStarted) == NotStarted)
            HostThread.Create("moat-memory", Run).Start();
        else if (Volatile.Read(ref _state) == Waiting)
            _overcommitted.Set();
    }

    private void Run()
    {
        FrameAllocator frames = _sentry.Frames;
        while (true)
        {
            Volatile.Write(ref _state, Waiting);
            if (frames.Charged <= frames.Limit)
            {
                _overcommitted.WaitOne(LongestPause);
                // Who woke it is about to allocate.
                Thread.Sleep(ShortestPause);
                continue;
            }
            Volatile.Write(ref _state, Watching);
            ulong used = frames.Used;
            if (used > frames.Limit)
                Kill();
            ulong left = frames.Limit - Math.Min(frames.Limit, used);
            Thread.Sleep((int)Math.Clamp(left / TouchedPerMillisecond / 2, ShortestPause, LongestPause));
        }
    }

    private void Kill()
    {
        long now = Environment.TickCount64;
        if (_victim is { ThreadCount: > 0 } && now - _killedAt < Grace)
            return;
        ThreadGroup? worst = null;
        ulong most = 0;
        foreach (ThreadGroup group in _sentry.Tasks.GetGroups())
        {
            if (group.ThreadCount == 0 || group == _victim)
                continue;
            MemoryUsage usage = group.GetTasks() is [var task, ..] ? task.Mm.GetUsage() : default;
            ulong held = usage.ResidentAnonymous + usage.ResidentShared;
            if (worst is null || held > most)
                (worst, most) = (group, held);
        }
        if (worst is null)
            return;
        _victim = worst;
        _killedAt = now;
        _sentry.Report($"out of memory: process {worst.Id} ({FileSystems.Proc.TaskEntries.Text(worst.Leader.Name)}) is killed; it holds {most >> 20} MiB");
        worst.Send(new SigInfo { Signo = Signal.SIGKILL, Code = Signal.SI_KERNEL });
    }
}
