namespace Moat.Kernel.Time;

/// <summary>
/// A one-shot timer that its owner keeps and reuses; arming and cancelling allocate nothing. For each arming exactly one
/// thing happens: <see cref="OnExpired"/> runs, or a <see cref="Cancel"/> (or <see cref="Arm"/>) returns true. So an
/// owner that takes a reference when it arms drops it in the one place or the other.
/// </summary>
internal abstract class KernelTimer
{
    internal TimerShard? Shard;
    internal long Key, When;
    internal int Index = -1, Clock;

    /// <summary>True while armed and not yet expired. A hint unless the caller serializes.</summary>
    public bool IsArmed => Volatile.Read(ref Index) >= 0;

    /// <summary>
    /// Arms for an absolute time, moving the timer if it is armed. <paramref name="clock"/>: CLOCK_MONOTONIC, CLOCK_REALTIME or
    /// CLOCK_BOOTTIME; steps of a settable clock are followed. A time in the past expires at once, on the timer thread.
    /// <see cref="long.MaxValue"/> never expires. Returns true when an earlier arming was undone.
    /// </summary>
    public bool Arm(TimerService service, long when, int clock = HostClock.CLOCK_MONOTONIC) => service.Arm(this, when, clock);

    /// <summary>True when it was armed and now never expires; false when it was not armed or expires at this moment.</summary>
    public bool Cancel() => Volatile.Read(ref Shard)?.Cancel(this) ?? false;

    /// <summary>
    /// Nanoseconds until it expires, at least 1; 0 when not armed.
    /// </summary>
    public long Remaining => Volatile.Read(ref Shard)?.GetRemaining(this) ?? 0;

    /// <summary>
    /// The time has come. Runs on the timer thread, holding no lock; may arm again. Never blocks: queues work and wakes.
    /// </summary>
    protected internal abstract void OnExpired();
}
