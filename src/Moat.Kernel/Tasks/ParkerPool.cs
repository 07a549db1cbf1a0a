using Moat.Host;

namespace Moat.Kernel.Tasks;

/// <summary>
/// Parkers of ended tasks for new ones. They are never freed: somebody may still hold one to wake a task that is gone,
/// which then is a spurious wake of its successor.
/// </summary>
internal static class ParkerPool
{
    private static readonly Lock s_lock = new();
    private static readonly Stack<Parker> s_spare = new();

    /// <summary>A parker, perhaps with a stale token.</summary>
    public static Parker Rent()
    {
        lock (s_lock)
        {
            if (s_spare.TryPop(out Parker? parker))
                return parker;
        }
        return new Parker();
    }

    /// <summary>Gives one back; its task never waits again.</summary>
    public static void Return(Parker parker)
    {
        lock (s_lock)
            s_spare.Push(parker);
    }
}
