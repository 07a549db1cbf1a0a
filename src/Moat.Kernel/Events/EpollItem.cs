using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>
/// One descriptor in an epoll's interest list. Its file does not know that it is watched and is not kept open by it. Guarded by the
/// epoll's <see cref="Epoll"/> lock, but for the links of the ready list, which have a lock of their own.
/// </summary>
internal sealed class EpollItem(Epoll owner) : FileWatch
{
    /// <summary>Bits that say how, not what: they survive one-shot disarming.</summary>
    public const uint Private = (uint)(PollEvents.EPOLLWAKEUP | PollEvents.EPOLLONESHOT | PollEvents.EPOLLET | PollEvents.EPOLLEXCLUSIVE);

    private uint _events;

    public Epoll Owner { get; } = owner;

    /// <summary>The watched file while the item is in use; null when it waits for reuse.</summary>
    public FileDescription? File { get; set; }

    /// <summary>The number it was added under; with the file the item's key.</summary>
    public int Fd { get; set; }

    /// <summary>What the guest asked for, POLLERR and POLLHUP added.</summary>
    public uint Events
    {
        get => Volatile.Read(ref _events);
        set => Volatile.Write(ref _events, value);
    }

    /// <summary>The guest's word, returned with each event.</summary>
    public ulong Data { get; set; }

    /// <summary>Its place and number in the host's epoll, or -1.</summary>
    internal int HostSlot = -1, HostFd = -1;

    /// <summary>The number is a duplicate of its own.</summary>
    internal bool OwnsHostFd;

    /// <summary>In the ready list; guarded by its lock.</summary>
    internal bool IsQueued;
    internal EpollItem? NextReady, PreviousReady, NextSpare;

    /// <summary>Runs under the watched file's queue lock.</summary>
    public override bool OnWake(PollEvents events)
    {
        uint wanted = Events;
        // A disarmed one-shot item hears nothing; a wake that says nothing is for all others.
        if ((wanted & ~Private) == 0 || (events != PollEvents.None && (wanted & (uint)events) == 0))
            return false;
        bool hadWaiters = Owner.OnItemReady(this);
        if (!Exclusive)
            return true;
        // One of several epolls takes the event, if it has somebody to give it to and it is of the asked direction.
        const PollEvents Directions = PollEvents.POLLIN | PollEvents.POLLOUT;
        PollEvents direction = events & Directions;
        return hadWaiters && direction != Directions && (direction == PollEvents.None || (direction & (PollEvents)wanted) != 0);
    }

    public override void OnFileReleased(FileDescription file) => Owner.OnFileReleased(this, file);
}
