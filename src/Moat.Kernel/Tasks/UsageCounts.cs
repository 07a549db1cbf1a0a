namespace Moat.Kernel.Tasks;

/// <summary>
/// What getrusage(2) counts besides time: page faults that the sentry served (others the host serves unseen), and how often a thread
/// went to sleep in a call. A thread that loses its core to another does so on the host, uncounted.
/// </summary>
internal readonly record struct UsageCounts(long Faults, long Sleeps)
{
    public static UsageCounts operator +(UsageCounts a, UsageCounts b) => new(a.Faults + b.Faults, a.Sleeps + b.Sleeps);
}
