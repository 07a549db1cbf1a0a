namespace Moat.Kernel.Events;

/// <summary>
/// What waits for readiness: blocked tasks, epoll items, armed io_uring polls, select and poll entries. Wakers hold the
/// queue's lock while they call <see cref="WaitEntry.OnWake"/>, so callbacks only queue work and wake; they take no lock
/// that is held around Add, Remove or Wake (lock order: docs/architecture.md).
/// </summary>
internal sealed class WaitQueue
{
    private readonly Lock _lock = new();
    private readonly IWaitSource? _source;
    private Chain<WaitEntry> _entries;
    private ulong _places;

    /// <summary>Makes one; <paramref name="source"/> is told before somebody waits.</summary>
    public WaitQueue(IWaitSource? source = null) => _source = source;

    /// <summary>True when somebody waits. A hint: may be stale at once.</summary>
    public bool HasWaiters => Volatile.Read(ref _entries.First) is not null;

    /// <summary>
    /// Adds an entry: in front when it <see cref="WaitEntry.GoesFirst"/>, but at its old place when it <see cref="WaitEntry.KeepsPlace"/>, else
    /// at the end. It must be in no queue. <paramref name="besideHost"/>: its owner itself waits for the file's
    /// <see cref="Vfs.FileDescription.PollDescriptor"/> and needs no wake for that.
    /// </summary>
    public void Add(WaitEntry entry, PollEvents mask, bool besideHost = false)
    {
        if (!besideHost)
            _source?.BeforeWait();
        lock (_lock)
        {
            entry.Mask = mask | PollEvents.POLLERR | PollEvents.POLLHUP;
            entry.Queue = this;
            _entries.Insert(entry, entry.GoesFirst ? FindPlace(entry) : null);
        }
        // The adder looks at the state again after this; a full fence makes sure that a waker which saw an empty
        // queue made its state visible before that look.
        Interlocked.MemoryBarrier();
    }

    /// <summary>The entry before which another one goes that goes first: the first one, or the first one that is older than it.</summary>
    private WaitEntry? FindPlace(WaitEntry entry)
    {
        if (!entry.KeepsPlace)
            entry.Place = ++_places;
        WaitEntry? at = _entries.First;
        while (at is { GoesFirst: true } && at.Place > entry.Place)
            at = at.Next;
        return at;
    }

    /// <summary>Removes an entry if it is still in this queue. No callback runs for it once this returns.</summary>
    public void Remove(WaitEntry entry)
    {
        lock (_lock)
        {
            if (entry.Queue != this)
                return;
            Unlink(entry);
        }
    }

    /// <summary>
    /// Wakes every entry whose mask meets <paramref name="events"/> (None: every one, which then looks for itself); of the exclusive
    /// ones only the first that takes it, unless the file hung up (POLLHUP), which concerns all. The state that the events tell of is
    /// published before the call.
    /// </summary>
    public void Wake(PollEvents events) => Wake(events, all: (events & PollEvents.POLLHUP) != 0);

    /// <summary>As <see cref="Wake(PollEvents)"/>, and <paramref name="all"/> says whether all exclusive entries wake.</summary>
    public void Wake(PollEvents events, bool all)
    {
        Interlocked.MemoryBarrier();
        if (!HasWaiters)
            return;
        lock (_lock)
        {
            bool exclusiveTaken = false;
            for (WaitEntry? e = _entries.First; e is not null;)
            {
                WaitEntry? next = e.Next;
                if ((events == PollEvents.None || (e.Mask & events) != 0) && (all || !e.Exclusive || !exclusiveTaken))
                {
                    bool taken = e.OnWake(events);
                    exclusiveTaken |= e.Exclusive && taken;
                }
                e = next;
            }
        }
    }

    /// <summary>Only from <see cref="WaitEntry.OnWake"/>, for its own entry: leaves the queue (one-shot waiters).</summary>
    internal void RemoveFromCallback(WaitEntry entry)
    {
        if (entry.Queue == this)
            Unlink(entry);
    }

    private void Unlink(WaitEntry entry)
    {
        _entries.Remove(entry);
        entry.Queue = null;
    }
}

/// <summary>What has to know that somebody waits: the readiness of host descriptors is watched from then on.</summary>
internal interface IWaitSource
{
    /// <summary>Somebody is about to wait. Called without the queue's lock, often; takes no other lock than its own.</summary>
    void BeforeWait();
}

/// <summary>A place in at most one <see cref="WaitQueue"/>. Owners keep and reuse it; waiting allocates nothing.</summary>
internal abstract class WaitEntry : Link<WaitEntry>
{
    internal WaitQueue? Queue;
    internal PollEvents Mask;

    /// <summary>Wake-one semantics (EPOLLEXCLUSIVE, io_uring poll).</summary>
    public bool Exclusive;

    /// <summary>Hears of an event before those that came earlier: so do polls of all kinds on Linux, unless they are exclusive.</summary>
    public bool GoesFirst;

    /// <summary>It was in this queue before, and enters it as if it had never left.</summary>
    public bool KeepsPlace;
    internal ulong Place;

    /// <summary>Called under the queue's lock. Queues work, wakes; nothing else. None: the state may have changed. False: not taken, wake the next exclusive.</summary>
    public abstract bool OnWake(PollEvents events);

    /// <summary>Leaves its queue, if in one.</summary>
    public void Remove()
    {
        // Only the owner adds; a callback may have removed it meanwhile, which Remove checks under the lock.
        Queue?.Remove(this);
    }
}
