using Moat.Host;
using Moat.Kernel.Time;

namespace Moat.Kernel.Tasks;

/// <summary>What is done about a guest thread that is stuck in the sentry (<c>--watchdog</c>).</summary>
internal enum WatchdogMode
{
    None,

    /// <summary>It is reported.</summary>
    Log,

    /// <summary>It is reported, and the sandbox ends.</summary>
    Kill,
}

/// <summary>
/// Looks every second whether some guest thread is being served for too long. Waits that an event or a signal ends (an empty pipe, a
/// futex, a stopped process) are not meant: what is reported is a host call that does not come back, a lock, or a loop.
/// </summary>
internal sealed class Watchdog : IDisposable
{
    /// <summary>How long is too long, nanoseconds.</summary>
    public const long Limit = 10 * HostClock.Second;

    private const int IntervalMilliseconds = 1000;

    private readonly Sentry _sentry;
    private readonly Action _onStuck;
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _thread;
    private readonly Dictionary<Task, Watched> _watched = [];

    private struct Watched
    {
        public int Services;
        public long Since;
        public bool IsReported;
    }

    /// <summary>Begins to watch; <paramref name="onStuck"/> runs after each report.</summary>
    public Watchdog(Sentry sentry, Action onStuck)
    {
        _sentry = sentry;
        _onStuck = onStuck;
        _thread = HostThread.Create("moat-watchdog", Run);
        _thread.Start();
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _stop.Dispose();
    }

    private void Run()
    {
        List<Task> tasks = [];
        while (!_stop.Wait(IntervalMilliseconds))
        {
            tasks.Clear();
            foreach (ThreadGroup group in _sentry.Tasks.GetGroups())
                tasks.AddRange(group.GetTasks());
            Look(tasks, HostClock.Now);
        }
    }

    private void Look(List<Task> tasks, long now)
    {
        foreach (Task gone in _watched.Keys.Except(tasks).ToList())
            _watched.Remove(gone);
        foreach (Task task in tasks)
        {
            int services = task.Services;
            bool known = _watched.TryGetValue(task, out Watched watched);
            if (!task.IsBusyInSentry || !known || watched.Services != services)
            {
                _watched[task] = new Watched { Services = services, Since = now };
                continue;
            }
            if (watched.IsReported || now - watched.Since < Limit)
                continue;
            watched.IsReported = true;
            _watched[task] = watched;
            _sentry.Report(StuckReport.Write(task, now - watched.Since, tasks));
            _onStuck();
        }
    }
}
