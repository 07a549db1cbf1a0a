namespace Moat.Kernel.Events;

internal sealed partial class Epoll
{
    /// <summary>How many epolls may watch each other in a row.</summary>
    private const int MaxNesting = 4;

    /// <summary>Watches of the sandbox, as /proc/sys/fs/epoll/max_user_watches limits them.</summary>
    public const int MaxWatches = 1 << 20;

    private const int Loop = 1000;

    /// <summary>Held while an epoll is added to another: outermost of all epoll locks.</summary>
    private static readonly Lock s_nesting = new();

    private static int s_watches;

    /// <summary>Guarded by the nesting lock: which walk is under way, and what it knows of this epoll already.</summary>
    private static long s_walk;
    private long _walked;
    private int _walkedDepth;

    /// <summary>
    /// True when watching <paramref name="nested"/> would close a ring, or make a row of epolls longer than allowed. Under the
    /// nesting lock.
    /// </summary>
    private bool MakesLoopWith(Epoll nested)
    {
        s_walk++;
        int below = nested.DepthBelow(this);
        if (below >= Loop)
            return true;
        s_walk++;
        return below + 1 + DepthAbove() > MaxNesting;
    }

    /// <summary>
    /// The longest row of epolls that this one watches, <see cref="Loop"/> and more when <paramref name="forbidden"/> is among them.
    /// Each is walked once; there are no rings and no rows beyond the limit yet, so this ends.
    /// </summary>
    private int DepthBelow(Epoll forbidden)
    {
        if (this == forbidden)
            return Loop;
        if (_walked == s_walk)
            return _walkedDepth;
        int deepest = 0;
        foreach (Epoll nested in GetNested())
            deepest = Math.Max(deepest, 1 + nested.DepthBelow(forbidden));
        _walked = s_walk;
        return _walkedDepth = deepest;
    }

    /// <summary>The longest row of epolls that watch this one.</summary>
    private int DepthAbove()
    {
        if (_walked == s_walk)
            return _walkedDepth;
        int highest = 0;
        foreach (FileWatch watch in GetWatches())
        {
            if (watch is EpollItem item)
                highest = Math.Max(highest, 1 + item.Owner.DepthAbove());
        }
        _walked = s_walk;
        return _walkedDepth = highest;
    }

    private List<Epoll> GetNested()
    {
        List<Epoll> nested = [];
        lock (_interest)
        {
            foreach (EpollItem item in _items.Values)
            {
                if (item.File is Epoll epoll)
                    nested.Add(epoll);
            }
        }
        return nested;
    }
}
