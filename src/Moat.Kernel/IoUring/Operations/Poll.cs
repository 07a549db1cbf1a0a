using Moat.Kernel.Events;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_POLL_ADD: completes when a file is ready, once or (IORING_POLL_ADD_MULTI) at each wake.</summary>
internal sealed class PollAdd : Operation
{
    private const PollEvents Standard = (PollEvents)0xffff;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        PollAddFlags flags = (PollAddFlags)sqe.len;
        if (sqe.buf_index != 0 || sqe.off != 0 || sqe.addr != 0 || (flags & ~PollAddFlags.ADD_MULTI) != 0)
            return Errno.EINVAL;
        if ((flags & PollAddFlags.ADD_MULTI) != 0)
        {
            if ((request.Flags & RequestFlags.CqeSkip) != 0)
                return Errno.EINVAL;
            const uint EPOLLONESHOT = 1u << 30;
            if ((sqe.poll32_events & EPOLLONESHOT) == 0)
                request.Flags |= RequestFlags.Multishot;
        }
        SetEvents(request, sqe.poll32_events);
        return Errno.OK;
    }

    /// <summary>What every poll waits for too: errors, and hang-ups of either kind.</summary>
    private const PollEvents Always = PollEvents.POLLERR | PollEvents.POLLHUP | PollEvents.POLLNVAL | PollEvents.POLLRDHUP;

    /// <summary>What to wait for.</summary>
    public static void SetEvents(Request request, uint events)
    {
        request.PollMask = ((PollEvents)events & Standard) | Always;
        request.PollWait.Exclusive = ((PollEvents)events & PollEvents.EPOLLEXCLUSIVE) != 0;
        request.PollWait.GoesFirst = !request.PollWait.Exclusive;
        request.PollWait.KeepsPlace = false;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags) => Arm(request);

    /// <summary>Enters the queue of the file and looks. Done: with Request.Result. Under the ring's lock.</summary>
    public static IssueStatus Arm(Request request)
    {
        Ring ring = request.Ring;
        FileDescription file = request.File!;
        bool multishot = (request.Flags & RequestFlags.Multishot) != 0;
        PollEvents ready;
        if (file.Waiters is not { } queue)
        {
            // Nothing ever wakes: what is not ready now cannot be waited for.
            ready = file.Poll() & request.PollMask;
            return request.Done(ready != 0 ? (int)ready : Errno.EINVAL);
        }
        PollWait wait = request.PollWait;
        wait.Persistent = multishot;
        request.PendingEvents = 0;
        request.Flags |= RequestFlags.Polled;
        ring.Hash(request, RequestState.PollArmed);
        // Urgent data do not wake a poll that waits for nothing else, as on Linux; it is told of them when something else does.
        queue.Add(wait, request.PollMask & ~PollEvents.POLLPRI);
        ready = file.Poll() & request.PollMask;
        if (ready == 0)
            return IssueStatus.Queued;
        if (multishot)
        {
            // As if woken: the event is reported after the submission, and the poll stays.
            wait.Note(ready);
            if (!request.IsPending)
                ring.MakeReady(request, RequestState.PollArmed);
            return IssueStatus.Queued;
        }
        wait.Remove();
        if (request.IsPending)
            return IssueStatus.Queued;
        ring.Unhash(request);
        request.Flags &= ~RequestFlags.Polled;
        request.Result = (int)ready;
        return IssueStatus.Done;
    }

    /// <inheritdoc/>
    public override void OnWoken(Request request)
    {
        Ring ring = request.Ring;
        uint noted = Interlocked.Exchange(ref request.PendingEvents, 0);
        PollEvents events = (PollEvents)noted;
        // One wake says what it was; several, or the end of the file, ask for a look. What was noted may be gone by then.
        bool exact = (noted & PollWait.Several) == 0 && (events & (PollEvents.POLLHUP | PollEvents.POLLERR)) == 0;
        PollEvents ready = exact ? events & request.PollMask : request.File!.Poll() & request.PollMask;
        if ((request.Flags & RequestFlags.Multishot) == 0)
        {
            if (ready == 0)
            {
                if (Arm(request) == IssueStatus.Done)
                    ring.Complete(request);
                return;
            }
            request.Result = (int)ready;
            ring.Complete(request);
            return;
        }
        if (ready == 0)
            return;
        bool feedsItself = (events & PollEvents.EPOLL_URING_WAKE) != 0;
        if (!feedsItself && ring.PostMore(request, (int)ready, CqeFlags.MORE))
            return;
        // A full ring ends the poll. But what others do while the program does not look may count as not having happened yet.
        if (!feedsItself && (noted & PollWait.Outside) != 0)
        {
            request.PollWait.Note(ready);
            Interlocked.Or(ref request.PendingEvents, PollWait.Outside);
            ring.Stall(request);
            return;
        }
        request.Result = (int)ready;
        request.PollWait.Remove();
        if (request.IsPending)
            request.State = RequestState.Complete;
        else
            ring.Complete(request);
    }
}

/// <summary>IORING_OP_POLL_REMOVE: ends a poll by its user data, or changes its events or user data.</summary>
internal sealed class PollRemove : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        PollAddFlags flags = (PollAddFlags)sqe.len;
        const PollAddFlags Known = PollAddFlags.UPDATE_EVENTS | PollAddFlags.UPDATE_USER_DATA | PollAddFlags.ADD_MULTI;
        if (sqe.buf_index != 0 || sqe.splice_fd_in != 0 || (flags & ~Known) != 0 || flags == PollAddFlags.ADD_MULTI)
            return Errno.EINVAL;
        if ((flags & PollAddFlags.UPDATE_USER_DATA) == 0 && sqe.off != 0)
            return Errno.EINVAL;
        return (flags & PollAddFlags.UPDATE_EVENTS) == 0 && sqe.poll32_events != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        Ring ring = request.Ring;
        PollAddFlags what = (PollAddFlags)request.Sqe.len;
        Request? poll = ring.FindArmed(request.Sqe.addr, IoUringOp.POLL_ADD);
        if (poll is null)
            return request.Done(Errno.ENOENT);
        if ((poll.Flags & RequestFlags.Canceled) != 0)
            return request.Done(Errno.EALREADY);
        if ((what & (PollAddFlags.UPDATE_EVENTS | PollAddFlags.UPDATE_USER_DATA)) == 0)
        {
            request.Done(ring.CancelRequest(poll));
            ring.Unhash(poll);
            return IssueStatus.Done;
        }
        // Fired and about to be reported: too late to change.
        poll.PollWait.Remove();
        if (poll.IsPending)
        {
            if ((poll.Flags & RequestFlags.Multishot) != 0)
                poll.File!.Waiters!.Add(poll.PollWait, poll.PollMask & ~PollEvents.POLLPRI);
            return request.Done(Errno.EALREADY);
        }
        ring.Unhash(poll);
        if ((what & PollAddFlags.UPDATE_EVENTS) != 0)
            PollAdd.SetEvents(poll, request.Sqe.poll32_events);
        if ((what & PollAddFlags.UPDATE_USER_DATA) != 0)
            poll.Sqe.user_data = request.Sqe.off;
        if (PollAdd.Arm(poll) == IssueStatus.Done)
            ring.MakeReady(poll, RequestState.Complete);
        return request.Done(0);
    }
}
