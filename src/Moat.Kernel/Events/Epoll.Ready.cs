namespace Moat.Kernel.Events;

internal sealed partial class Epoll
{
    private readonly Lock _readyLock = new();
    private readonly WaitQueue _callers = new();
    private EpollItem? _readyHead, _readyTail;
    private int _readyCount;

    /// <summary>True when something may be ready. A hint.</summary>
    public bool HasReady => Volatile.Read(ref _readyCount) > 0;

    /// <summary>How many items may be ready. A hint.</summary>
    public int ReadyCount => Volatile.Read(ref _readyCount);

    /// <summary>Where callers of epoll_wait(2) wait: exclusively, one per event.</summary>
    public WaitQueue Callers => _callers;

    /// <summary>
    /// Fills <paramref name="events"/> with what is ready, oldest first; level-triggered items go to the end of the list, so that
    /// none starves behind others. Returns how many. Takes no longer than what was ready at its beginning.
    /// </summary>
    public int Harvest(Span<EpollEvent> events)
    {
        int count = 0;
        bool more;
        lock (_interest)
        {
            // In turn, so that neither kind starves the other when there is little room.
            _hostFirst = !_hostFirst;
            if (_hostFirst)
                count = HarvestHost(events);
            for (int left = ReadyCount; left > 0 && count < events.Length; left--)
            {
                EpollItem? item = TakeReady();
                if (item is null)
                    break;
                Bring(item, Look(item), events, ref count);
            }
            if (!_hostFirst)
                count += HarvestHost(events[count..]);
            more = HasReady;
        }
        if (more)
            _callers.Wake(Readable);
        return count;
    }

    /// <summary>Reports what an item has, if anything; a level-triggered one is looked at again next time.</summary>
    private void Bring(EpollItem item, uint ready, Span<EpollEvent> events, ref int count)
    {
        if (ready == 0)
            return;
        bool again = (item.Events & (uint)(PollEvents.EPOLLONESHOT | PollEvents.EPOLLET)) == 0;
        Report(item, ready, events, ref count);
        if (again)
            PutReady(item);
    }

    private static void Report(EpollItem item, uint ready, Span<EpollEvent> events, ref int count)
    {
        events[count].Events = ready;
        events[count].Data = item.Data;
        count++;
        if ((item.Events & (uint)PollEvents.EPOLLONESHOT) != 0)
            item.Events &= EpollItem.Private;
    }

    /// <summary>Every item is looked at again: harvested events did not reach the guest (EFAULT).</summary>
    public void Requeue()
    {
        lock (_interest)
        {
            foreach (EpollItem item in _items.Values)
            {
                if (item.HostSlot >= 0)
                    ModifyHost(item);
                if (!item.File!.PollsOnHost)
                    PutReady(item);
            }
        }
    }

    /// <summary>
    /// An item's file became ready; the caller holds that file's queue lock. Returns whether somebody waits in epoll_wait(2).
    /// </summary>
    internal bool OnItemReady(EpollItem item)
    {
        PutReady(item);
        bool waiting = _callers.HasWaiters;
        WakeWaiters();
        return waiting;
    }

    private void WakeWaiters()
    {
        _callers.Wake(Readable);
        Waiters.Wake(Readable);
    }

    /// <summary>Puts an item on the list unless it is there. True when it was not.</summary>
    private bool PutReady(EpollItem item, bool atFront = false)
    {
        lock (_readyLock)
        {
            if (item.IsQueued)
                return false;
            item.IsQueued = true;
            if (atFront)
            {
                item.PreviousReady = null;
                item.NextReady = _readyHead;
                if (_readyHead is null)
                    _readyTail = item;
                else
                    _readyHead.PreviousReady = item;
                _readyHead = item;
            }
            else
            {
                item.NextReady = null;
                item.PreviousReady = _readyTail;
                if (_readyTail is null)
                    _readyHead = item;
                else
                    _readyTail.NextReady = item;
                _readyTail = item;
            }
            Volatile.Write(ref _readyCount, _readyCount + 1);
            return true;
        }
    }

    private EpollItem? TakeReady()
    {
        lock (_readyLock)
        {
            EpollItem? item = _readyHead;
            if (item is not null)
                Unlink(item);
            return item;
        }
    }

    private void DropReady(EpollItem item)
    {
        lock (_readyLock)
        {
            if (item.IsQueued)
                Unlink(item);
        }
    }

    private void Unlink(EpollItem item)
    {
        if (item.PreviousReady is null)
            _readyHead = item.NextReady;
        else
            item.PreviousReady.NextReady = item.NextReady;
        if (item.NextReady is null)
            _readyTail = item.PreviousReady;
        else
            item.NextReady.PreviousReady = item.PreviousReady;
        item.NextReady = item.PreviousReady = null;
        item.IsQueued = false;
        Volatile.Write(ref _readyCount, _readyCount - 1);
    }
}
