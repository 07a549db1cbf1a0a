using Moat.Host;
using Moat.Kernel.Time;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>Requests that did not finish in place: they wait for readiness, or go to a worker.</summary>
internal sealed partial class Ring
{
    /// <summary>Attempts in vain right after readiness before the next wake is waited for in any case.</summary>
    private const int MaxRetries = 128;

    /// <summary>The attempt would block: waits for readiness if the file has it, else lets a worker do it. Under the lock.</summary>
    private void GoAsync(Request request, IssueStatus status)
    {
        OpFlags op = request.Op.Flags;
        if (request.Started == 0)
            request.Started = HostClock.Now;
        if (status == IssueStatus.WaitFile)
        {
            // A multishot waits as all polls do.
            if ((request.Flags & RequestFlags.Multishot) == 0)
                HoldWorker(request);
            LeaveWorker(request);
            ArmPoll(request, request.WaitFile!, request.PollMask);
        }
        else if ((request.Flags & RequestFlags.NoWait) != 0 && !WaitsThere(request))
        {
            FailNow(request, Errno.EAGAIN);
        }
        else if ((op & (OpFlags.PollIn | OpFlags.PollOut)) != 0 && request.File?.Waiters is not null)
        {
            if ((request.Flags & RequestFlags.OnWorker) != 0 && !MayWaitOnWorker(request))
                return;
            LeaveWorker(request);
            PollEvents mask = PollEvents.POLLERR | PollEvents.POLLPRI;
            if ((op & OpFlags.PollIn) != 0)
                mask |= PollEvents.POLLIN | PollEvents.POLLRDNORM;
            if ((op & OpFlags.PollOut) != 0)
                mask |= PollEvents.POLLOUT | PollEvents.POLLWRNORM;
            ArmPoll(request, request.File, mask);
        }
        else
        {
            QueueWorker(request);
        }
    }

    /// <summary>A worker that has it waits in the attempt, which only the file's flags or the operation's can forbid.</summary>
    private static bool WaitsThere(Request request)
    {
        const RequestFlags Polls = RequestFlags.ForceAsync | RequestFlags.Multishot;
        return (request.Flags & (RequestFlags.OnWorker | Polls)) == RequestFlags.OnWorker && request.Op.MayWait(request);
    }

    /// <summary>
    /// A worker that did not get a request because of its flags does not poll for it but waits in the attempt, if that may wait at all: else it
    /// fails with EAGAIN. Under the lock.
    /// </summary>
    private bool MayWaitOnWorker(Request request)
    {
        if ((request.Flags & (RequestFlags.ForceAsync | RequestFlags.Multishot)) != 0)
            return true;
        if (!request.Op.MayWait(request))
        {
            FailNow(request, Errno.EAGAIN);
            return false;
        }
        HoldWorker(request);
        return true;
    }

    /// <summary>A worker of Linux would now wait within the attempt: the program sees that it has one. Under the lock.</summary>
    private void HoldWorker(Request request)
    {
        request.Flags |= RequestFlags.Waits;
        if (request.HoldsWorker)
            return;
        request.HoldsWorker = true;
        request.Workers = WorkersOf(request.Task)!;
        request.Workers.Hold(request);
    }

    /// <summary>
    /// The request waits, armed by itself or for a poll: unless it does so on a worker, that is free, and a LINK_TIMEOUT behind it begins. (One that
    /// finishes in place, or is given to a worker, never starts the timer.) Under the lock.
    /// </summary>
    private void LeaveWorker(Request request)
    {
        if ((request.Flags & RequestFlags.Waits) != 0)
            return;
        request.Flags &= ~RequestFlags.OnWorker;
        if ((request.Flags & RequestFlags.ArmLinkTimeout) != 0)
            ArmLinkTimeout(request);
    }

    private void ArmPoll(Request request, FileDescription file, PollEvents mask)
    {
        PollWait wait = request.PollWait;
        wait.Persistent = false;
        wait.Exclusive = (request.Op.Flags & OpFlags.PollExclusive) != 0;
        // A multishot stays where it is, also among those that take turns.
        const RequestFlags Again = RequestFlags.Multishot | RequestFlags.Polled;
        wait.KeepsPlace = (request.Flags & Again) == Again;
        wait.GoesFirst = !wait.Exclusive || wait.KeepsPlace;
        request.Flags |= RequestFlags.Polled;
        request.PendingEvents = 0;
        request.PollMask = mask;
        Hash(request, RequestState.PollArmed);
        if (file.Waiters is { } queue)
        {
            queue.Add(wait, mask);
            if ((file.Poll() & (mask | PollEvents.POLLHUP)) == 0 && !request.Op.IsReady(request))
                return;
            if (request.Retries++ >= MaxRetries)
            {
                Wait(request, wait);
                return;
            }
            // Ready between the attempt and the entry. If a callback has the request already, that one counts.
            wait.Remove();
        }
        if (!request.IsPending)
            MakeReady(request, RequestState.PollArmed);
    }

    /// <summary>
    /// Polls say ready and attempts find nothing, again and again: a worker of Linux would now wait in the attempt itself, if that may
    /// wait at all. Under the lock.
    /// </summary>
    private void Wait(Request request, PollWait wait)
    {
        if ((request.Flags & RequestFlags.Multishot) != 0)
            return;
        if (!request.Op.MayWait(request))
        {
            wait.Remove();
            request.Done(Errno.EAGAIN);
            request.Op.OnFail(request);
            PutBuffer(request, 0);
            if (request.IsPending)
                request.State = RequestState.Complete;
            else
                Complete(request);
            return;
        }
        HoldWorker(request);
    }

    /// <summary>Hands a request to a worker. Under the lock.</summary>
    private void QueueWorker(Request request)
    {
        if ((request.Op.Flags & OpFlags.NeedsFile) != 0 && request.File is null && !AssignFile(request))
        {
            FailNow(request, Errno.EBADF);
            return;
        }
        if (!_defer && (request.Flags & RequestFlags.ForceAsync) != 0)
            request.Flags |= RequestFlags.OnWorker;
        if ((request.Op.Flags & OpFlags.Locked) != 0 && _defer)
        {
            // A worker would not wait for the task to come by.
            IssueNow(request);
            return;
        }
        if ((request.Op.Flags & OpFlags.Locked) != 0)
        {
            MakeReady(request, RequestState.IssueHere);
            return;
        }
        if (request.Started == 0)
            request.Started = HostClock.Now;
        request.Flags |= RequestFlags.Worked;
        Hash(request, RequestState.Worker);
        request.Workers = WorkersOf(request.Task)!;
        request.Workers.Queue(request);
    }

    /// <summary>On a worker thread, without any lock: runs the request, then those that waited for this place.</summary>
    public static void RunOnWorker(Request request)
    {
        IoWorkQueue workers = request.Workers!;
        bool isBound = workers.Processors is { } mask && HostAffinity.Restrict(0, mask) >= 0;
        for (Request? next = request; next is not null;)
        {
            Request running = next;
            IssueStatus status = IssueStatus.Done;
            if (running.CancelRequested)
                running.Done(Errno.ECANCELED);
            else
                status = running.Op.Issue(running, IssueFlags.Unlocked);
            next = workers.Finish(running);
            running.Ring.TakeBack(running, status);
        }
        // The thread is other rings' too.
        if (isBound)
            HostAffinity.Unpin(0);
    }

    /// <summary>A request that a worker has run is the ring's again.</summary>
    private void TakeBack(Request request, IssueStatus status)
    {
        if (status == IssueStatus.Done && IsFoundByPolling(request))
        {
            AddFinished(request);
            return;
        }
        request.WorkerStatus = status;
        request.State = RequestState.WorkerDone;
        QueueWork(request, WorkSource.Worker);
    }

    /// <summary>A worker has run the request. Under the lock.</summary>
    private void AfterWorker(Request request)
    {
        Unhash(request);
        request.State = RequestState.Active;
        _batchFromWorker = true;
        if (request.WorkerStatus == IssueStatus.Done)
            Complete(request);
        else if (request.CancelRequested)
            FailNow(request, request.WorkerStatus == IssueStatus.WaitFile && (request.Op.Flags & OpFlags.Worker) != 0 ? request.Op.Interrupted : Errno.ECANCELED);
        else
            GoAsync(request, request.WorkerStatus);
    }
}
