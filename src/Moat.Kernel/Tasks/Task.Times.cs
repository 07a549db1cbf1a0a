using Moat.Host;
using Moat.Kernel.Time;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    // The sentry thread that runs this task, and what it had used when it began.
    private int _hostThreadId;
    private long _hostTimeAtStart;

    // Only this task's own thread counts.
    private long _faults, _sleeps;

    /// <summary>Faults and sleeps up to now.</summary>
    public UsageCounts Counts => new(Volatile.Read(ref _faults), Volatile.Read(ref _sleeps));

    /// <summary>Processor time of the guest's code and of the sentry's work for it, nanoseconds.</summary>
    public (long User, long System) GetTimes()
    {
        int host = Volatile.Read(ref _hostThreadId);
        return host == 0 ? default : (Thread.GetCpuTime(), Math.Max(0, HostTime.GetOfThread(host) - _hostTimeAtStart));
    }

    private void BeginTimes()
    {
        int host = HostSystem.GetThreadId();
        _hostTimeAtStart = HostClock.Get(HostClock.CLOCK_THREAD_CPUTIME_ID);
        SentryThread = Environment.CurrentManagedThreadId;
        Volatile.Write(ref _hostThreadId, host);
    }

    private void EndTimes()
    {
        Group.AddEnded(GetTimes(), Counts);
        // The process has them now.
        _faults = _sleeps = 0;
        Volatile.Write(ref _hostThreadId, 0);
    }
}
