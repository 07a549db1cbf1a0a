using Moat.Kernel.Events;

namespace Moat.Kernel.Vfs;

/// <summary>A range lock as fcntl(2) has it; <see cref="End"/> is the last byte, long.MaxValue for "to the end".</summary>
internal readonly record struct RangeLock(object Owner, int Pid, bool IsExclusive, long Start, long End)
{
    /// <summary>Locks of descriptions (F_OFD_*) have no process.</summary>
    public const int NoPid = -1;

    public bool Meets(long start, long end) => Start <= end && start <= End;
}

/// <summary>
/// The advisory locks of one file: flock(2) by description, and ranges by descriptor table (POSIX) or description (F_OFD_*). They
/// live in the sandbox only; the host does not see them. Its lock is a leaf but for the wait queue.
/// </summary>
internal sealed class FileLocks
{
    private readonly Lock _lock = new();
    private readonly List<(FileDescription Owner, bool IsExclusive)> _whole = [];
    private readonly List<RangeLock> _ranges = [];

    /// <summary>Woken whenever a lock is given up or weakened.</summary>
    public WaitQueue Waiters { get; } = new();

    /// <summary>Takes, changes or, with null, gives up the flock(2) of a description. EAGAIN: another has one that conflicts.</summary>
    public Errno SetWhole(FileDescription owner, bool? exclusive)
    {
        bool released = false;
        Errno error = Errno.OK;
        lock (_lock)
        {
            int mine = _whole.FindIndex(l => l.Owner == owner);
            if (mine >= 0 && _whole[mine].IsExclusive == exclusive)
                return Errno.OK;
            // A conversion gives the old lock up first (flock(2)).
            if (mine >= 0)
            {
                _whole.RemoveAt(mine);
                released = true;
            }
            if (exclusive is { } wanted)
            {
                foreach ((_, bool isExclusive) in _whole)
                {
                    if (wanted || isExclusive)
                        error = Errno.EAGAIN;
                }
                if (error == Errno.OK)
                    _whole.Add((owner, wanted));
            }
        }
        if (released)
            Waiters.Wake(PollEvents.POLLIN);
        return error;
    }

    /// <summary>All locks: kind as /proc/locks names it, owner, first and last byte. A copy.</summary>
    public List<(string Kind, object Owner, bool IsExclusive, long Start, long End)> GetAll()
    {
        lock (_lock)
        {
            List<(string, object, bool, long, long)> all = [];
            foreach ((FileDescription owner, bool isExclusive) in _whole)
                all.Add(("FLOCK", owner, isExclusive, 0, long.MaxValue));
            foreach (RangeLock held in _ranges)
                all.Add((held.Pid == RangeLock.NoPid ? "OFDLCK" : "POSIX", held.Owner, held.IsExclusive, held.Start, held.End));
            return all;
        }
    }

    /// <summary>The first range lock of another owner that conflicts, or null.</summary>
    public RangeLock? FindConflict(object owner, bool exclusive, long start, long end)
    {
        lock (_lock)
            return Conflict(owner, exclusive, start, end);
    }

    /// <summary>Takes a range, changing what the owner has there already. EAGAIN and who is in the way.</summary>
    public Errno SetRange(in RangeLock wanted, out object? inTheWay)
    {
        lock (_lock)
        {
            RangeLock? conflict = Conflict(wanted.Owner, wanted.IsExclusive, wanted.Start, wanted.End);
            inTheWay = conflict?.Owner;
            if (conflict is not null)
                return Errno.EAGAIN;
            Cut(wanted.Owner, wanted.Start, wanted.End);
            _ranges.Add(Merge(wanted));
        }
        // An exclusive lock may have become a shared one.
        Waiters.Wake(PollEvents.POLLIN);
        return Errno.OK;
    }

    /// <summary>Gives up what the owner has in a range.</summary>
    public void ClearRange(object owner, long start, long end)
    {
        bool released;
        lock (_lock)
            released = Cut(owner, start, end);
        if (released)
            Waiters.Wake(PollEvents.POLLIN);
    }

    private RangeLock? Conflict(object owner, bool exclusive, long start, long end)
    {
        RangeLock? first = null;
        foreach (RangeLock held in _ranges)
        {
            if (held.Owner != owner && held.Meets(start, end) && (exclusive || held.IsExclusive) && (first is null || held.Start < first.Value.Start))
                first = held;
        }
        return first;
    }

    private bool Cut(object owner, long start, long end)
    {
        bool any = false;
        for (int i = _ranges.Count - 1; i >= 0; i--)
        {
            RangeLock held = _ranges[i];
            if (held.Owner != owner || !held.Meets(start, end))
                continue;
            any = true;
            _ranges.RemoveAt(i);
            if (held.Start < start)
                _ranges.Add(held with { End = start - 1 });
            if (held.End > end)
                _ranges.Add(held with { Start = end + 1 });
        }
        return any;
    }

    private RangeLock Merge(RangeLock wanted)
    {
        for (int i = _ranges.Count - 1; i >= 0; i--)
        {
            RangeLock held = _ranges[i];
            bool touches = (held.End < long.MaxValue && held.End + 1 == wanted.Start) || (wanted.End < long.MaxValue && wanted.End + 1 == held.Start);
            if (held.Owner != wanted.Owner || held.IsExclusive != wanted.IsExclusive || !touches)
                continue;
            wanted = wanted with { Start = Math.Min(wanted.Start, held.Start), End = Math.Max(wanted.End, held.End) };
            _ranges.RemoveAt(i);
        }
        return wanted;
    }
}
