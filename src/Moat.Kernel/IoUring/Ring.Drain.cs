using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>
/// IOSQE_IO_DRAIN: the request starts when everything submitted before it is complete, and what follows waits for it.
/// </summary>
internal sealed partial class Ring
{
    /// <summary>CQE_SKIP was used once: draining answers EOPNOTSUPP from then on.</summary>
    private bool _drainDisabled;

    /// <summary>Something is deferred: everything submitted now queues behind it.</summary>
    private bool _drainActive;

    /// <summary>A drain in the middle of a chain: the request after the chain drains too.</summary>
    private bool _drainNext;

    /// <summary>Heads of chains that wait, in order of submission, and how many requests they are in all.</summary>
    private Request? _deferredHead, _deferredTail;
    private int _deferred;

    private void BeginDrain()
    {
        _drainActive = true;
        if (_chainHead is null)
            return;
        // Requests of a chain run one after the other, so it is enough to drain before its first and after its last.
        _chainHead.Flags |= RequestFlags.Drain | RequestFlags.ForceAsync;
        _drainNext = true;
    }

    private void Defer(Request head)
    {
        bool drain = (head.Flags & RequestFlags.Drain) != 0;
        head.State = RequestState.Deferred;
        head.Next = null;
        if (_deferredTail is null)
            _deferredHead = head;
        else
            _deferredTail.Next = head;
        _deferredTail = head;
        _deferred += Length(head);
        ReleaseDeferred();
        if (!drain && _deferredHead is null)
            _drainActive = false;
    }

    /// <summary>Starts what no longer has to wait.</summary>
    private void ReleaseDeferred()
    {
        bool first = true, drainSeen = false;
        while (_deferredHead is { } head)
        {
            drainSeen |= (head.Flags & RequestFlags.Drain) != 0;
            // Behind a drain only an idle ring lets anything start; what came after a released drain goes with it up to the next.
            if ((drainSeen || first) && _live != _deferred)
                return;
            _deferredHead = head.Next;
            if (_deferredHead is null)
                _deferredTail = null;
            _deferred -= Length(head);
            head.Next = null;
            MakeReady(head, RequestState.Issue);
            first = false;
        }
    }

    /// <summary>Cancels what waits here, of one task or (null) of all.</summary>
    private void CancelDeferred(Task? task)
    {
        Request? head = _deferredHead;
        _deferredHead = _deferredTail = null;
        while (head is not null)
        {
            Request? next = head.Next;
            head.Next = null;
            if (task is null || head.Task == task)
            {
                _deferred -= Length(head);
                MakeComplete(head, -(int)Errno.ECANCELED);
            }
            else
            {
                if (_deferredTail is null)
                    _deferredHead = head;
                else
                    _deferredTail.Next = head;
                _deferredTail = head;
            }
            head = next;
        }
    }

    private static int Length(Request head)
    {
        int n = 0;
        for (Request? r = head; r is not null; r = r.Link)
            n++;
        return n;
    }
}
