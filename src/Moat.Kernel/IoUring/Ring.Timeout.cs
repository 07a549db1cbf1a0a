using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring;

/// <summary>Timers of requests: TIMEOUT, LINK_TIMEOUT, and timeouts that count completions.</summary>
internal sealed partial class Ring
{
    // TIMEOUT requests that also wait for a number of completions, the nearest first. Under the lock.
    private Request? _countedHead;
    private uint _lastCountFlush;

    /// <summary>Completions so far, without those of timeouts themselves.</summary>
    private uint CompletionSequence => Volatile.Read(ref _cqTail) - (uint)Volatile.Read(ref _timeoutsDone);

    /// <summary>
    /// Starts a request's timer. <paramref name="flags"/> say which clock and whether <paramref name="time"/> (nanoseconds) is
    /// absolute. Under the lock.
    /// </summary>
    public void ArmTimer(Request request, long time, TimeoutFlags flags)
    {
        int clock = (flags & TimeoutFlags.REALTIME) != 0 ? HostClock.CLOCK_REALTIME
            : (flags & TimeoutFlags.BOOTTIME) != 0 ? HostClock.CLOCK_BOOTTIME : HostClock.CLOCK_MONOTONIC;
        if ((flags & TimeoutFlags.ABS) == 0)
        {
            // A length of time does not change when a clock is set.
            if (clock == HostClock.CLOCK_REALTIME)
                clock = HostClock.CLOCK_MONOTONIC;
            time = HostClock.Add(clock == HostClock.CLOCK_MONOTONIC ? HostClock.Now : HostClock.Get(clock), time);
        }
        request.TimerIdle = false;
        Hash(request, RequestState.TimerArmed);
        request.Timer.Arm(_sentry.Timers, time, clock);
    }

    /// <summary>Makes a TIMEOUT complete after <paramref name="count"/> more completions. Under the lock, before its timer is armed.</summary>
    public void AddCounted(Request request, uint count)
    {
        // What was completed just before is told after it, and counts.
        uint now = CompletionSequence;
        _lastCountFlush = now;
        request.Target = now + count;
        Request? before = null, at = _countedHead;
        while (at is not null && at.Target - now <= count)
        {
            before = at;
            at = at.WorkNext;
        }
        request.WorkPrevious = before;
        request.WorkNext = at;
        if (at is not null)
            at.WorkPrevious = request;
        if (before is null)
            _countedHead = request;
        else
            before.WorkNext = request;
        request.IsCounted = true;
    }

    /// <summary>Takes a timeout out of those that count, if it is there.</summary>
    public void RemoveCounted(Request request)
    {
        if (!request.IsCounted)
            return;
        request.IsCounted = false;
        if (request.WorkPrevious is null)
            _countedHead = request.WorkNext;
        else
            request.WorkPrevious.WorkNext = request.WorkNext;
        if (request.WorkNext is not null)
            request.WorkNext.WorkPrevious = request.WorkPrevious;
        request.WorkNext = request.WorkPrevious = null;
    }

    /// <summary>Completions have become visible: ends the timeouts that have counted enough, with result 0.</summary>
    private void FlushCounted()
    {
        uint now = CompletionSequence;
        while (_countedHead is { } request && now - _lastCountFlush >= request.Target - _lastCountFlush)
        {
            RemoveCounted(request);
            Unhash(request);
            request.Result = 0;
            bool fires = !request.Op.Disarm(request);
            CountTimeout();
            // A timer that expires at this moment brings the request along; what it means is settled here.
            request.State = RequestState.Complete;
            if (!fires && !request.IsPending)
                MakeReady(request, RequestState.Complete);
        }
        _lastCountFlush = now;
    }

    /// <summary>A timeout is over: whoever waits for events looks again.</summary>
    public void CountTimeout() => Volatile.Write(ref _timeoutsDone, _timeoutsDone + 1);

    /// <summary>Starts the LINK_TIMEOUT behind a request that has not finished in place. Under the lock.</summary>
    private void ArmLinkTimeout(Request request)
    {
        request.Flags &= ~RequestFlags.ArmLinkTimeout;
        if (request.Link is not { } timeout || timeout.Op.Number != IoUringOp.LINK_TIMEOUT)
            return;
        request.Flags |= RequestFlags.LinkTimeoutArmed;
        request.Link = timeout.Link;
        timeout.Link = null;
        request.Partner = timeout;
        timeout.Partner = request;
        ArmTimer(timeout, timeout.Time, (TimeoutFlags)timeout.Sqe.timeout_flags);
    }

    /// <summary>A request with an armed LINK_TIMEOUT is complete: the timeout is cancelled.</summary>
    private void DisarmLinkTimeout(Request request)
    {
        request.Flags &= ~RequestFlags.LinkTimeoutArmed;
        if (request.Partner is not { } timeout)
            return;
        request.Partner = null;
        timeout.Partner = null;
        CancelRequest(timeout);
    }
}

/// <summary>A request's timer.</summary>
internal sealed class RequestTimer(Request request) : KernelTimer
{
    /// <inheritdoc/>
    protected internal override void OnExpired() => request.Ring.QueueWork(request, WorkSource.Callback);
}
