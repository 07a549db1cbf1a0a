using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>
/// Who may spin. A guest thread and its sentry thread take turns, so an active pair needs one core; a pair whose waiting
/// half spins needs one more. Spinning is allowed while active pairs and spinners together do not exceed the cores, and while
/// nobody else on the host waits for one: a spin in place of somebody's work is slower for both (two guests on two cores: 25 us a
/// call instead of 5).
/// </summary>
internal static class CoreBudget
{
    private static readonly int s_cores = Environment.ProcessorCount;
    private static int s_active, s_spinners;

    /// <summary>Pairs that run guest code or serve a call.</summary>
    public static int Active => Volatile.Read(ref s_active);

    /// <summary>Permits to spin that are held.</summary>
    public static int Spinners => Volatile.Read(ref s_spinners);

    /// <summary>False when a holder must give its permit back.</summary>
    public static bool Fits => Volatile.Read(ref s_active) + Volatile.Read(ref s_spinners) <= s_cores;

    /// <summary>
    /// True when somebody waits for a core, or would once so many threads run that sleep now. Asks the host, so not for every spin; and twice, since
    /// a service thread that has just answered may be about to sleep.
    /// </summary>
    public static bool IsCrowded(int asleep = 0)
    {
        if (HostLoad.Runnable + asleep <= s_cores)
            return false;
        HostThread.Yield();
        return HostLoad.Runnable + asleep > s_cores;
    }

    /// <summary>
    /// True when there would be a permit, now. A pair that was just woken counts itself once it runs, so that with one core there may
    /// seem to be none active.
    /// </summary>
    public static bool HasRoom => s_cores > 1 && Volatile.Read(ref s_active) + Volatile.Read(ref s_spinners) < s_cores;

    /// <summary>Counts a pair as active.</summary>
    public static void Enter() => Interlocked.Increment(ref s_active);

    /// <summary>Counts a pair as blocked or gone.</summary>
    public static void Leave() => Interlocked.Decrement(ref s_active);

    /// <summary>Takes a permit to spin, if a core is free for it.</summary>
    public static bool TryTakePermit()
    {
        if (!HasRoom)
            return false;
        if (Interlocked.Increment(ref s_spinners) + Volatile.Read(ref s_active) <= s_cores)
            return true;
        Interlocked.Decrement(ref s_spinners);
        return false;
    }

    /// <summary>Gives a permit back.</summary>
    public static void ReturnPermit() => Interlocked.Decrement(ref s_spinners);
}
