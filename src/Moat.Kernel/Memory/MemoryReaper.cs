namespace Moat.Kernel.Memory;

/// <summary>
/// Ends address spaces on a thread of its own: the host takes a while to take a stub process apart, and nobody needs to wait for that.
/// </summary>
internal static class MemoryReaper
{
    /// <summary>More than so many are not put off: who makes them ends them.</summary>
    private const int MostPending = 8;

    private static readonly WorkerPool s_pool = new("moat-reaper", 1);
    private static readonly object s_gate = new();
    private static int s_pending;

    /// <summary>Takes over the end of an address space that nobody uses any more. False: there are too many.</summary>
    public static bool TryTake(MemoryManager mm)
    {
        lock (s_gate)
        {
            if (s_pending == MostPending)
                return false;
            s_pending++;
        }
        s_pool.Queue(new End(mm));
        return true;
    }

    /// <summary>Waits until all that was taken over is done.</summary>
    public static void Drain()
    {
        lock (s_gate)
        {
            while (s_pending != 0)
                Monitor.Wait(s_gate);
        }
    }

    private sealed class End(MemoryManager mm) : WorkItem
    {
        public override void Run()
        {
            mm.End();
            lock (s_gate)
            {
                s_pending--;
                Monitor.PulseAll(s_gate);
            }
        }
    }
}
