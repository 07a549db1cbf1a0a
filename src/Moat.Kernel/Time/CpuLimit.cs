using Moat.Kernel.Tasks;

namespace Moat.Kernel.Time;

/// <summary>RLIMIT_CPU of a process: SIGXCPU at the soft limit and each second from there, SIGKILL at the hard one (getrlimit(2)).</summary>
internal sealed class CpuLimit(ThreadGroup group) : KernelTimer
{
    /// <summary>Least time between two looks, nanoseconds.</summary>
    private const long LeastLook = 10_000_000;

    /// <summary>Looks now, and again when the limit may be reached; never when there is none.</summary>
    public void Look()
    {
        lock (group.SignalLock)
        {
            ResourceLimit limit = group.Limits.Get(Resource.RLIMIT_CPU);
            if (group.IsExiting || limit.Current == ResourceLimit.RLIM_INFINITY)
                return;
            (long user, long system) = group.GetTimes();
            long used = user + system;
            if (used >= Nanoseconds(limit.Maximum))
            {
                group.Send(new SigInfo { Signo = Signal.SIGKILL, Code = Signal.SI_KERNEL });
                return;
            }
            if (used >= Nanoseconds(limit.Current))
            {
                group.Send(new SigInfo { Signo = Signal.SIGXCPU, Code = Signal.SI_KERNEL });
                limit.Current++;
                group.Limits.Set(Resource.RLIMIT_CPU, in limit);
            }
            // All threads together cannot use more than their number times the time that passes.
            long left = (Nanoseconds(Math.Min(limit.Current, limit.Maximum)) - used) / Math.Max(1, group.ThreadCount);
            Arm(group.Sentry.Timers, HostClock.After(Math.Max(left, LeastLook)));
        }
    }

    protected internal override void OnExpired() => Look();

    private static long Nanoseconds(ulong seconds)
        => seconds >= long.MaxValue / HostClock.Second ? long.MaxValue : (long)seconds * HostClock.Second;
}
