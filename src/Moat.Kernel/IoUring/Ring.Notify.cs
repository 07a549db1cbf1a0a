using Moat.Kernel.Events;

namespace Moat.Kernel.IoUring;

/// <summary>Telling others of completions: the registered eventfd, and who polls the ring's descriptor.</summary>
internal sealed partial class Ring
{
    private EventFd? _eventfd;
    private bool _eventfdAsync;

    /// <summary>The batch has a completion that a worker made.</summary>
    private bool _batchFromWorker;

    /// <summary>
    /// Completions are visible, or (<paramref name="posted"/> false) only in the backlog. Takes locks of others, so never under
    /// _cqLock.
    /// </summary>
    private void Notify(bool posted, bool fromWorker)
    {
        if (posted && Volatile.Read(ref _eventfd) is not null)
            SignalEventfd(fromWorker);
        // The mark lets a poll of a ring that posts into a ring end instead of feeding itself.
        if (Waiters.HasWaiters)
            Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM | PollEvents.EPOLL_URING_WAKE);
    }

    private void SignalEventfd(bool fromWorker)
    {
        if (_eventfdAsync && !fromWorker)
            return;
        CqRingFlags flags;
        lock (_cqLock)
            flags = _memory.CqFlags;
        if ((flags & CqRingFlags.EVENTFD_DISABLED) != 0)
            return;
        // A poll of the eventfd on this ring would feed itself too.
        Volatile.Read(ref _eventfd)?.Signal(mark: PollEvents.EPOLL_URING_WAKE);
    }
}
