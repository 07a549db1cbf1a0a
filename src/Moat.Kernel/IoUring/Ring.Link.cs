namespace Moat.Kernel.IoUring;

/// <summary>Chains of linked requests (IOSQE_IO_LINK, IOSQE_IO_HARDLINK).</summary>
internal sealed partial class Ring
{
    /// <summary>The chain being assembled by the running submission.</summary>
    private Request? _chainHead, _chainTail;

    /// <summary>Everything but a plain request that is issued in place.</summary>
    private Errno SubmitSlowly(Request request, Errno error)
    {
        if (error != Errno.OK)
            return FailPrepare(request, error);
        if (_chainHead is not null)
        {
            _chainTail!.Link = request;
            _chainTail = request;
            if ((request.Flags & RequestFlags.AnyLink) != 0)
                return Errno.OK;
            Request head = _chainHead;
            _chainHead = _chainTail = null;
            Start(head);
        }
        else if ((request.Flags & RequestFlags.AnyLink) != 0)
        {
            _chainHead = _chainTail = request;
        }
        else
        {
            Start(request);
        }
        return Errno.OK;
    }

    /// <summary>
    /// A request that cannot even be prepared fails the chain it belongs to, but the chain is assembled to its end first.
    /// </summary>
    private Errno FailPrepare(Request request, Errno error)
    {
        request.Done(error);
        if (_chainHead is not null && (_chainHead.Flags & RequestFlags.Fail) == 0)
            _chainHead.Done(Errno.ECANCELED);
        if (_chainHead is not null)
            _chainTail!.Link = request;
        else if ((request.Flags & RequestFlags.AnyLink) != 0)
            _chainHead = request;
        if ((request.Flags & RequestFlags.AnyLink) != 0)
        {
            _chainTail = request;
            return Errno.OK;
        }
        Request head = _chainHead ?? request;
        _chainHead = _chainTail = null;
        Start(head);
        return error;
    }

    /// <summary>The submission ends: so does a chain that its last request leaves open.</summary>
    private void EndChain()
    {
        if (_chainHead is not { } head)
            return;
        _chainHead = _chainTail = null;
        Start(head);
    }

    /// <summary>Starts a chain, or a request that is not plain.</summary>
    private void Start(Request head)
    {
        if ((head.Flags & RequestFlags.Fail) != 0)
        {
            // Nothing of it was issued, so hard links have nothing to hold on to either.
            head.Flags = (head.Flags & ~RequestFlags.HardLink) | RequestFlags.Link;
            head.Op.OnFail(head);
            Complete(head);
        }
        else if (_drainActive)
        {
            Defer(head);
        }
        else if ((head.Flags & RequestFlags.ForceAsync) != 0)
        {
            QueueWorker(head);
        }
        else
        {
            IssueNow(head);
        }
    }

    /// <summary>A LINK_TIMEOUT joins the chain: it is for the request before it. EINVAL when there is none, or another timeout.</summary>
    public Errno AttachLinkTimeout()
    {
        if (_chainTail is null || _chainTail.Op.Number == IoUringOp.LINK_TIMEOUT)
            return Errno.EINVAL;
        _chainTail.Flags |= RequestFlags.ArmLinkTimeout;
        return Errno.OK;
    }

    /// <summary>A request of a chain is complete: disarms its timeout, cancels or starts what follows. Under the lock.</summary>
    private void ContinueChain(Request request)
    {
        Request? idle = null;
        if ((request.Flags & RequestFlags.ArmLinkTimeout) != 0)
        {
            // It never started; it is cancelled as it would have been.
            request.Flags &= ~RequestFlags.ArmLinkTimeout;
            if (request.Link is { } timeout && timeout.Sqe.opcode == (byte)IoUringOp.LINK_TIMEOUT)
            {
                request.Link = timeout.Link;
                timeout.Link = null;
                idle = timeout;
            }
        }
        else if ((request.Flags & RequestFlags.LinkTimeoutArmed) != 0)
        {
            DisarmLinkTimeout(request);
        }
        // A worker goes on with the chain before the task hears of the timeout.
        bool onWorker = !_defer && ((request.Flags & RequestFlags.OnWorker) != 0 || (request.Op.Flags & OpFlags.Worker) != 0);
        if (idle is not null && !onWorker)
            TakeBack(idle);
        ContinueBehind(request, onWorker);
        if (idle is not null && onWorker)
            TakeBack(idle);
    }

    /// <summary>A LINK_TIMEOUT that never started has not failed: CQE_SKIP_SUCCESS leaves its CQE out.</summary>
    private void TakeBack(Request timeout)
    {
        MakeComplete(timeout, -(int)Errno.ECANCELED);
        timeout.ClearFail();
    }

    private void ContinueBehind(Request request, bool onWorker)
    {
        if ((request.Flags & (RequestFlags.Fail | RequestFlags.HardLink)) == RequestFlags.Fail)
        {
            CancelChain(request);
            return;
        }
        Request? next = request.Link;
        request.Link = null;
        if (next is null)
            return;
        if (onWorker)
            next.Flags |= RequestFlags.OnWorker;
        MakeReady(next, RequestState.Issue);
    }

    private void CancelChain(Request request)
    {
        bool silent = (request.Flags & RequestFlags.SkipLinkCqes) != 0;
        Request? link = request.Link;
        request.Link = null;
        while (link is not null)
        {
            Request? next = link.Link;
            link.Link = null;
            int result = (link.Flags & RequestFlags.Fail) != 0 ? link.Result : -(int)Errno.ECANCELED;
            // The whole rest ends here: completing one must not look at its own links again.
            link.Flags &= ~(RequestFlags.AnyLink | RequestFlags.ArmLinkTimeout);
            link.SetFail();
            // Nobody asks the operation what it failed with.
            link.CqeFlags = CqeFlags.None;
            link.Flags = silent ? link.Flags | RequestFlags.CqeSkip : link.Flags & ~RequestFlags.CqeSkip;
            link.Result = result;
            MakeReady(link, RequestState.Complete);
            link = next;
        }
    }
}
