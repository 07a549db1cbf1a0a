using Moat.Host;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Events;

/// <summary>
/// Files whose readiness is the host's are watched by a host epoll instance of this epoll's own, with the guest's own flags:
/// level, edge, one-shot and exclusive are then the host's to keep, and a caller that waits wakes without a detour.
/// </summary>
internal sealed partial class Epoll : IWaitSource
{
    private const uint EPOLLIN = (uint)PollEvents.POLLIN, EPOLLET = (uint)PollEvents.EPOLLET;

    private readonly HostNotifier? _notifier;
    private HostEpoll? _host;
    private EpollItem?[] _hostItems = [];
    private int _hostCount, _hostFree, _watch = -1;
    private bool _hasOutsideWaiters, _hostFirst;

    /// <summary>Items that the host watches. A hint.</summary>
    public int HostCount => Volatile.Read(ref _hostCount);

    /// <summary>Readable while one of those is ready.</summary>
    public override int PollDescriptor => Volatile.Read(ref _host)?.Descriptor ?? -1;

    /// <summary>Somebody who does not wait in the host himself waits for this epoll to be readable.</summary>
    public void BeforeWait()
    {
        if (Volatile.Read(ref _hasOutsideWaiters))
            return;
        lock (_interest)
        {
            _hasOutsideWaiters = true;
            WatchHost();
        }
    }

    /// <summary>Makes the host's instance before it is needed: who nests this epoll has to know its descriptor.</summary>
    private int OpenHost()
    {
        bool opened;
        lock (_interest)
        {
            opened = _host is null;
            if (opened)
            {
                Volatile.Write(ref _host, new HostEpoll());
                WatchHost();
            }
        }
        // Whoever waits already does not know of it yet.
        if (opened)
            WakeWaiters();
        return PollDescriptor;
    }

    private void WatchHost()
    {
        if (_hasOutsideWaiters && _host is not null && _watch < 0 && _notifier is not null
            && _notifier.Watch(_host.Descriptor, Waiters) is { IsError: false } watch)
        {
            _watch = (int)watch.Value;
        }
    }

    /// <summary>Watches an item on the host. ENOSPC, ENOMEM. Under the interest lock.</summary>
    private Errno AddHost(EpollItem item, int descriptor)
    {
        int slot = Array.IndexOf(_hostItems, null, _hostFree);
        if (slot < 0)
        {
            slot = _hostItems.Length;
            Array.Resize(ref _hostItems, Math.Max(16, slot * 2));
        }
        item.HostFd = descriptor;
        int r = _host!.Add(descriptor, HostEvents(item), (ulong)slot);
        if (r == -(int)Errno.EEXIST)
        {
            // Two descriptors of the guest for one socket: the host tells watches apart by number.
            item.HostFd = HostStreamCalls.Duplicate(descriptor, 0);
            r = item.HostFd < 0 ? item.HostFd : _host.Add(item.HostFd, HostEvents(item), (ulong)slot);
            item.OwnsHostFd = item.HostFd >= 0;
        }
        if (r < 0)
        {
            CloseHostFd(item);
            return (Errno)(-r);
        }
        _hostItems[slot] = item;
        item.HostSlot = slot;
        _hostFree = slot + 1;
        Volatile.Write(ref _hostCount, _hostCount + 1);
        return Errno.OK;
    }

    private void ModifyHost(EpollItem item) => _host!.Modify(item.HostFd, HostEvents(item), (ulong)item.HostSlot);

    private void RemoveHost(EpollItem item)
    {
        if (item.HostSlot < 0)
            return;
        _host!.Remove(item.HostFd);
        _hostItems[item.HostSlot] = null;
        _hostFree = Math.Min(_hostFree, item.HostSlot);
        item.HostSlot = -1;
        CloseHostFd(item);
        Volatile.Write(ref _hostCount, _hostCount - 1);
    }

    private static void CloseHostFd(EpollItem item)
    {
        if (item.OwnsHostFd)
            HostStreamCalls.Close(item.HostFd);
        item.OwnsHostFd = false;
        item.HostFd = -1;
    }

    /// <summary>
    /// What the host watches: the guest's own flags; of a nested epoll that its host part has become ready, and the rest is looked at here.
    /// </summary>
    private static uint HostEvents(EpollItem item)
        => item.File is Epoll ? EPOLLIN | EPOLLET : item.Events & ~(uint)PollEvents.EPOLLWAKEUP;

    /// <summary>Sleeps until a caller of epoll_wait(2) has something to look at.</summary>
    public WaitOutcome Block(Task task, long deadline)
    {
        int descriptor = PollDescriptor;
        return descriptor < 0 ? task.Block(deadline) : task.BlockOn(descriptor, PollEvents.POLLIN, deadline);
    }

    /// <summary>Takes what the host has ready. Returns how many. Under the interest lock.</summary>
    private int HarvestHost(Span<EpollEvent> events)
    {
        if (_hostCount == 0 || events.Length == 0)
            return 0;
        Span<HostEpollEvent> got = stackalloc HostEpollEvent[64];
        int count = 0;
        while (count < events.Length)
        {
            Span<HostEpollEvent> room = got[..Math.Min(got.Length, events.Length - count)];
            int n = _host!.Look(room);
            for (int i = 0; i < n; i++)
            {
                EpollItem item = _hostItems[(int)room[i].Data]!;
                // One that is on the ready list has its turn there.
                if (item.File is Epoll && !item.IsQueued)
                    Bring(item, Look(item), events, ref count);
                else if (item.File is not Epoll)
                    Report(item, room[i].Events, events, ref count);
            }
            // Level-triggered ones come again and again: one round is enough.
            if (n < room.Length || count >= _hostCount)
                break;
        }
        return count;
    }

    private bool IsHostReady => _hostCount > 0 && HostEpoll.PollNow(_host!.Descriptor, EPOLLIN) != 0;

    private void ReleaseHost()
    {
        if (_host is null)
            return;
        if (_watch >= 0)
            _notifier!.Unwatch(_watch, _host.Descriptor);
        _host.Dispose();
    }
}
