using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>Who queues work for a ring.</summary>
internal enum WorkSource
{
    /// <summary>A wait-queue or timer callback: under a lock, may only queue and wake.</summary>
    Callback,

    /// <summary>A worker that holds no lock: may run the work itself.</summary>
    Worker,
}

/// <summary>Task work: what has to happen to requests because of something outside of a submission.</summary>
internal sealed partial class Ring
{
    /// <summary>Queued from anywhere, newest first. Interlocked.</summary>
    private Request? _queued;

    /// <summary>Ready to be run in order; under the lock.</summary>
    private Request? _readyHead, _readyTail;

    /// <summary>A task that waits for events in this ring and runs work when woken. Written under _cqLock.</summary>
    private Task? _sleeper;

    /// <summary>Who runs this ring's work on the way out of a call, and the ring that it was given before. The taker's own; see Task.TryTakeRingWork.</summary>
    public Task? Taker;

    /// <inheritdoc cref="Taker"/>
    public Ring? NextTaken;

    /// <summary>True when some request waits to be run. A hint.</summary>
    private bool HasWork => Volatile.Read(ref _queued) is not null || Volatile.Read(ref _readyHead) is not null;

    /// <summary>
    /// Queues a request that needs to be looked at. Any thread, any lock held; the request stays the ring's until then.
    /// </summary>
    public void QueueWork(Request request, WorkSource source)
    {
        if (Interlocked.Exchange(ref request.Queued, 1) != 0)
            return;
        Task submitter = request.Task;
        Request? head;
        do
        {
            head = Volatile.Read(ref _queued);
            request.NextQueued = head;
        }
        while (Interlocked.CompareExchange(ref _queued, request, head) != head);
        // Whoever finds the list empty makes sure that somebody takes it; all later ones are taken with it.
        if (head is null || source == WorkSource.Worker)
            Kick(submitter, source);
    }

    /// <summary>Runs queued work if the lock is free; if not, its holder does when it leaves. Takes no time without work.</summary>
    public void RunPending()
    {
        while (HasWork && _lock.TryEnter())
        {
            RunWork();
            ExitLock();
            Interlocked.MemoryBarrier();
        }
    }

    /// <summary>Attempts a request again that was armed: from <see cref="Operation.OnWoken"/>. Under the lock.</summary>
    public void Reissue(Request request)
    {
        // A multishot goes on waiting where it is.
        if ((request.Flags & RequestFlags.Multishot) == 0)
            Unhash(request);
        request.State = RequestState.Active;
        IssueNow(request);
    }

    /// <summary>Puts a request behind what is ready to run. Under the lock.</summary>
    public void MakeReady(Request request, RequestState state)
    {
        request.State = state;
        if (_defer && _readyTail is null)
            MarkDeferredWork();
        AppendReady(request);
    }

    private void AppendReady(Request request)
    {
        request.IsReady = true;
        request.Next = null;
        if (_readyTail is null)
            Volatile.Write(ref _readyHead, request);
        else
            _readyTail.Next = request;
        _readyTail = request;
    }

    /// <summary>Completes a request soon with a result, without issuing it. Under the lock.</summary>
    private void MakeComplete(Request request, int result)
    {
        request.Result = result;
        PutBuffer(request, 0);
        if (result < 0)
            request.SetFail();
        MakeReady(request, RequestState.Complete);
    }

    /// <summary>
    /// Runs everything that is queued and ready, and makes the completions visible. Under the lock.
    /// </summary>
    private void RunWork()
    {
        int liveBefore = _live;
        do
            RunPass(uint.MaxValue);
        while (HasWork);
        CountLive(_live - liveBefore);
    }

    /// <summary>Runs what is ready now, but not what becomes ready by it: what is complete is told first. Returns how many. Under the lock.</summary>
    private uint RunPass(uint most)
    {
        ClearWorkMark();
        TakeQueued();
        uint ran = 0;
        Request? last = _readyTail;
        while (_readyHead is { } request && ran < most)
        {
            RunNext(request);
            ran++;
            if (request == last)
                break;
        }
        if (_deferredHead is not null)
            ReleaseDeferred();
        FlushBatch();
        return ran;
    }

    /// <summary>
    /// With DEFER_TASKRUN, for a task that wants <paramref name="wanted"/> events: runs what is there, but not much more than is wanted, and of what
    /// that makes ready (the rest of chains) only as much as is wanted. The task comes by again for the others. Under the lock.
    /// </summary>
    private void RunDeferred(uint wanted)
    {
        const uint AtLeast = 20;
        int liveBefore = _live;
        uint ran = 0, most = Math.Max(AtLeast, wanted);
        do
            ran += RunPass(most - Math.Min(ran, most));
        while (HasWork && ran < wanted);
        if (HasWork)
            MarkDeferredWork();
        CountLive(_live - liveBefore);
    }

    private void RunNext(Request request)
    {
        Volatile.Write(ref _readyHead, request.Next);
        if (request.Next is null)
            _readyTail = null;
        request.Next = null;
        request.IsReady = false;
        RunOne(request);
    }

    /// <summary>
    /// Who submitted it is gone: the thread, or with SQPOLL, where the process submits, all of its threads. Or the process ends: what is left
    /// to do may be very much, and its threads wait for the lock.
    /// </summary>
    private bool HasEnded(Task task) => task.Group.IsExiting || (task.IoUringEnded && (_poller is null || _poller.IsDead));

    private void RunOne(Request request)
    {
        bool cancelled = (request.Flags & RequestFlags.Canceled) != 0 || _released;
        switch (request.State)
        {
            case RequestState.Complete:
                Complete(request);
                break;
            case RequestState.Held:
                Release(request);
                break;
            case RequestState.WorkerDone:
                AfterWorker(request);
                break;
            case RequestState.Issue or RequestState.IssueHere when cancelled || HasEnded(request.Task):
                FailNow(request, cancelled ? Errno.ECANCELED : Errno.EFAULT);
                break;
            case RequestState.Issue when (request.Flags & RequestFlags.ForceAsync) != 0:
                QueueWorker(request);
                break;
            case RequestState.Issue or RequestState.IssueHere:
                IssueNow(request);
                break;
            case RequestState.PollArmed or RequestState.TimerArmed
                when cancelled || (request.State == RequestState.PollArmed && HasEnded(request.Task)):
                request.Flags |= RequestFlags.Canceled;
                // A callback that slipped in brings it here once more.
                if (request.Op.Disarm(request) && !request.IsPending)
                    FailNow(request, (request.Flags & RequestFlags.Waits) != 0 ? request.Op.Interrupted : Errno.ECANCELED);
                break;
            case RequestState.PollArmed or RequestState.TimerArmed:
                request.Op.OnWoken(request);
                break;
        }
    }

    private void FailNow(Request request, Errno error)
    {
        request.Done(error);
        request.Op.OnFail(request);
        PutBuffer(request, 0);
        Complete(request);
    }

    /// <summary>Moves what others have queued behind what is ready, oldest first.</summary>
    private void TakeQueued()
    {
        if (Volatile.Read(ref _queued) is not null)
            AppendAll(Interlocked.Exchange(ref _queued, null));
    }

    private void AppendAll(Request? newest)
    {
        Request? oldest = null;
        while (newest is not null)
        {
            Request? next = newest.NextQueued;
            newest.NextQueued = oldest;
            oldest = newest;
            newest = next;
        }
        while (oldest is not null)
        {
            Request? next = oldest.NextQueued;
            oldest.NextQueued = null;
            // From here on a callback may queue it again; it has been taken out of the list.
            Volatile.Write(ref oldest.Queued, 0);
            oldest.TimerIdle |= oldest.State == RequestState.TimerArmed;
            if (!oldest.IsReady)
                AppendReady(oldest);
            oldest = next;
        }
    }

    private void Kick(Task submitter, WorkSource source)
    {
        if (Volatile.Read(ref _released))
        {
            _sentry.UringThread.Schedule(this);
            return;
        }
        if (_defer)
        {
            MarkDeferredWork();
            Volatile.Read(ref _sleeper)?.Wake();
            // Signalling an eventfd takes locks that the caller may hold.
            if (Volatile.Read(ref _eventfd) is not null)
                _sentry.UringThread.Schedule(this);
            return;
        }
        if (source == WorkSource.Worker)
        {
            RunPending();
            return;
        }
        Task? sleeper = Volatile.Read(ref _sleeper);
        if (sleeper is not null)
            sleeper.Wake();
        else if (!submitter.TryTakeRingWork(this))
            _sentry.UringThread.Schedule(this);
    }

    private void ClearWorkMark()
    {
        if ((Setup & IoUringSetup.TASKRUN_FLAG) != 0)
            _memory.ClearSqFlags(SqRingFlags.TASKRUN);
    }

    private void MarkDeferredWork()
    {
        if ((Setup & IoUringSetup.TASKRUN_FLAG) == 0)
            return;
        lock (_flagsLock)
            _memory.SetSqFlags(SqRingFlags.TASKRUN);
    }

    /// <summary>On the sentry's own thread: nobody else came by to do this.</summary>
    public void RunScheduled()
    {
        if (Volatile.Read(ref _released))
        {
            _lock.Enter();
            RunReleased();
            ExitLock();
            return;
        }
        if (!_defer)
        {
            RunPending();
            return;
        }
        // The work itself is for the submitter alone; who listens to the eventfd is told that there is some.
        SignalEventfd(fromWorker: false);
    }
}
