namespace Moat.Kernel.IoUring;

/// <summary>
/// The end of a ring: its last descriptor and its last mapping are gone. Everything in flight is cancelled; the memory goes
/// when the last request has.
/// </summary>
internal sealed partial class Ring
{
    private bool _released, _cancelled, _freed;

    /// <summary>Links rings that wait for the sentry's thread.</summary>
    internal Ring? NextScheduled;

    /// <summary>1 while in that list. Interlocked.</summary>
    internal int Scheduled;

    /// <inheritdoc/>
    protected override void Release()
    {
        // Whoever drops the last reference may hold locks, even this ring's own.
        Volatile.Write(ref _released, true);
        _sentry.UringThread.Schedule(this);
    }

    /// <summary>On the sentry's thread, under the lock; again whenever something in flight has ended.</summary>
    private void RunReleased()
    {
        if (!_cancelled)
        {
            _cancelled = true;
            _poller?.Remove(this);
            if (_memory is not null)
                CancelEverything();
        }
        // A ring that could not be made has nothing to run.
        TakeFinished();
        if (_memory is not null)
            RunWork();
        if (_live != 0 || _freed || (_poller is not null && !_pollerLeft))
            return;
        Volatile.Write(ref _freed, true);
        DropUsers();
        DropTable(ref _files, tell: false);
        DropTable(ref _buffers, tell: false);
        _eventfd?.DropReference();
        _eventfd = null;
        _pending = _room = 0;
        Scratch.Dispose();
        DropBuffers();
        _memory?.Unpin();
        _parameters?.Dispose();
        FreeRegions();
        Uncharge(_charged);
        _sentry.RemoveRing(this);
    }

    private void CancelEverything()
    {
        for (int i = 0; i < _hash.Length; i++)
        {
            // Cancelling unlinks from the bucket, but for what a worker runs right now.
            for (Request? r = _hash[i]; r is not null;)
            {
                Request? next = r.HashNext;
                CancelRequest(r);
                r = next;
            }
        }
        ResumeStalled();
        CancelDeferred(null);
    }
}
