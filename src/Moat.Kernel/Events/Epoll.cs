using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>struct epoll_event: packed on x86-64.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct EpollEvent
{
    public uint Events;
    public ulong Data;
}

/// <summary>
/// An epoll instance (epoll(7)). Locks, outer to inner: the interest lock (held over looks at watched files, so that of an
/// outer epoll before that of a nested one), a watched file's queue, the ready list's. The last two are all that a
/// wake takes.
/// </summary>
internal sealed partial class Epoll : AnonymousFile
{
    private const PollEvents Readable = PollEvents.POLLIN | PollEvents.POLLRDNORM;

    private readonly Lock _interest = new();
    private readonly Dictionary<Key, EpollItem> _items = [];
    private EpollItem? _spare;
    private bool _closed;

    /// <summary>Makes one; <paramref name="notifier"/> watches for those who cannot wait in the host themselves.</summary>
    public Epoll(HostNotifier? notifier = null)
        : base(OpenFlags.O_RDWR, "[eventpoll]")
    {
        _notifier = notifier;
        Waiters = new WaitQueue(this);
    }

    private readonly record struct Key(FileDescription File, int Fd);

    public override WaitQueue Waiters { get; }

    /// <inheritdoc/>
    public override bool CanTransfer(bool write) => false;

    /// <inheritdoc/>
    public override bool SupportsNoWait => false;

    /// <summary>Readable while an item is ready. Items that turn out not to be leave the ready list.</summary>
    public override PollEvents Poll()
    {
        lock (_interest)
        {
            for (int left = ReadyCount; left > 0; left--)
            {
                EpollItem? item = TakeReady();
                if (item is null)
                    break;
                if (Look(item) == 0)
                    continue;
                PutReady(item, atFront: true);
                return Readable;
            }
            return HasReady || IsHostReady ? Readable : PollEvents.None;
        }
    }

    /// <summary>EPOLL_CTL_ADD. EEXIST; ENOSPC beyond the sandbox's limit of watches; ELOOP for a ring or a tower of epolls.</summary>
    public Errno Add(FileDescription file, int fd, in EpollEvent wanted)
    {
        if (file is not Epoll nested)
            return AddItem(file, fd, in wanted);
        // Two epolls that are added to each other at once must not both succeed.
        lock (s_nesting)
        {
            if (MakesLoopWith(nested))
                return Errno.ELOOP;
            return AddItem(file, fd, in wanted);
        }
    }

    /// <summary>EPOLL_CTL_MOD. ENOENT; EINVAL: exclusive items cannot change.</summary>
    public Errno Modify(FileDescription file, int fd, in EpollEvent wanted)
    {
        bool ready;
        lock (_interest)
        {
            if (!_items.TryGetValue(new Key(file, fd), out EpollItem? item))
                return Errno.ENOENT;
            if (item.Exclusive)
                return Errno.EINVAL;
            item.Data = wanted.Data;
            item.Events = wanted.Events | (uint)(PollEvents.POLLERR | PollEvents.POLLHUP);
            if (item.HostSlot >= 0)
                ModifyHost(item);
            if (file.PollsOnHost)
                return Errno.OK;
            // A wake that saw the old events made its state visible before this look.
            Interlocked.MemoryBarrier();
            ready = Look(item) != 0 && PutReady(item);
        }
        if (ready)
            WakeWaiters();
        return Errno.OK;
    }

    /// <summary>EPOLL_CTL_DEL. ENOENT.</summary>
    public Errno Remove(FileDescription file, int fd)
    {
        lock (_interest)
        {
            if (!_items.TryGetValue(new Key(file, fd), out EpollItem? item))
                return Errno.ENOENT;
            RemoveItem(item);
            return Errno.OK;
        }
    }

    internal void OnFileReleased(EpollItem item, FileDescription file)
    {
        lock (_interest)
        {
            // Another thread may have removed it, and even put it to new use, since the file named it.
            if (item.File == file)
                RemoveItem(item);
        }
    }

    public override void AppendFdInfo(StringBuilder text)
    {
        lock (_interest)
        {
            foreach (EpollItem item in _items.Values)
            {
                item.File!.GetStat(out FileStat stat);
                text.Append(CultureInfo.InvariantCulture,
                    $"tfd: {item.Fd,8} events: {item.Events,8:x} data: {item.Data,16:x}  pos:{item.File.Position} ino:{stat.Ino:x} sdev:{stat.Dev:x}\n");
            }
        }
    }

    protected override void Release()
    {
        lock (_interest)
        {
            _closed = true;
            foreach (EpollItem item in _items.Values)
                Detach(item);
            _items.Clear();
            _spare = null;
            ReleaseHost();
        }
    }

    private Errno AddItem(FileDescription file, int fd, in EpollEvent wanted)
    {
        bool ready;
        if (file is Epoll below)
            below.OpenHost();
        int descriptor = file.PollDescriptor;
        if (descriptor >= 0)
            OpenHost();
        lock (_interest)
        {
            if (_closed)
                return Errno.EBADF;
            Key key = new(file, fd);
            if (_items.ContainsKey(key))
                return Errno.EEXIST;
            if (Interlocked.Increment(ref s_watches) > MaxWatches)
            {
                Interlocked.Decrement(ref s_watches);
                return Errno.ENOSPC;
            }
            EpollItem item = _spare ?? new EpollItem(this);
            _spare = item.NextSpare;
            item.NextSpare = null;
            item.File = file;
            item.Fd = fd;
            item.Data = wanted.Data;
            item.Events = wanted.Events | (uint)(PollEvents.POLLERR | PollEvents.POLLHUP);
            item.Exclusive = (wanted.Events & (uint)PollEvents.EPOLLEXCLUSIVE) != 0;
            item.GoesFirst = !item.Exclusive;
            if (descriptor >= 0)
            {
                Errno error = AddHost(item, descriptor);
                if (error != Errno.OK)
                {
                    Interlocked.Decrement(ref s_watches);
                    item.File = null;
                    Recycle(item);
                    return error;
                }
            }
            _items.Add(key, item);
            file.AddWatch(item);
            if (file.PollsOnHost)
                return Errno.OK;
            // All events: the item looks for itself, so that MOD need not touch the queue.
            file.Waiters!.Add(item, (PollEvents)~0u, besideHost: descriptor >= 0);
            ready = Look(item) != 0 && PutReady(item);
        }
        if (ready)
            WakeWaiters();
        return Errno.OK;
    }

    private void RemoveItem(EpollItem item)
    {
        _items.Remove(new Key(item.File!, item.Fd));
        Detach(item);
        Recycle(item);
    }

    private void Recycle(EpollItem item)
    {
        item.NextSpare = _spare;
        _spare = item;
    }

    /// <summary>Out of the file's queue first: from then on nobody puts it on the ready list.</summary>
    private void Detach(EpollItem item)
    {
        Interlocked.Decrement(ref s_watches);
        RemoveHost(item);
        item.Remove();
        DropReady(item);
        item.File!.RemoveWatch(item);
        item.File = null;
    }

    /// <summary>What of an item's events is there now.</summary>
    private static uint Look(EpollItem item) => (uint)item.File!.Poll() & item.Events;
}
