using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>
/// Which cores pairs live on whose halves do not spin for each other. On one core a hand-off by futex takes 2 us; the host,
/// left alone, wakes the other half on an idle core, which takes 7. Counts active pairs only: one that blocks makes room.
/// </summary>
internal static class HomeCores
{
    private static readonly int[] s_active = new int[HostAffinity.MaxCores];

    /// <summary>An active pair is there from now on. Returns how many there are.</summary>
    public static int Enter(int core) => Interlocked.Increment(ref s_active[core]);

    /// <summary>An active pair has left, or blocks.</summary>
    public static void Leave(int core) => Interlocked.Decrement(ref s_active[core]);

    /// <summary>The core for a pair that runs on <paramref name="core"/>: that one, or one with fewer active pairs.</summary>
    public static int Choose(int core)
    {
        int least = Volatile.Read(ref s_active[core]);
        if (least == 0)
            return core;
        for (var i = 0; i < s_active.Length && least > 0; i++)
        {
            int active = Volatile.Read(ref s_active[i]);
            if (active < least && HostAffinity.IsOurs(i))
                (core, least) = (i, active);
        }

        return core;
    }
}
