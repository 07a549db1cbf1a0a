using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring;

/// <summary>Completions that come late, out of order, or without room, because somebody wants to see what a program makes of it.</summary>
internal sealed partial class Ring
{
    /// <summary>Most completions that overtake one that is put back, and how long it waits for them, nanoseconds.</summary>
    private const int MostOvertakers = 8;
    private const long LongestReorder = 1_000_000;

    private readonly UringFaults? _faults;

    /// <summary>Requests that wait to be overtaken; under the lock.</summary>
    private readonly List<Request> _overtaken = [];

    /// <summary>What happens to the request whose SQE was read last.</summary>
    public Fault PlanFault(IoUringOp op) => _faults!.Plan(op, _number, _sqHead - 1);

    /// <summary>
    /// A request with planned faults is complete but for its CQE, its chain and those who wait for it. False: it is put off, and comes back.
    /// Under the lock.
    /// </summary>
    private bool PassFaults(Request request)
    {
        FaultKinds kinds = _released ? FaultKinds.None : request.Fault.Kinds;
        request.Fault.Kinds = kinds & ~(FaultKinds.Shortened | FaultKinds.Delay | FaultKinds.Reorder);
        if ((kinds & FaultKinds.Shortened) != 0 && request.Result >= 0)
            request.SetFail();
        if ((kinds & FaultKinds.Delay) != 0)
        {
            _faults!.Count(FaultKinds.Delay);
            request.Retries = 0;
            Hold(request, _faults.Delay);
            return false;
        }
        if ((kinds & FaultKinds.Reorder) != 0)
        {
            _faults!.Count(FaultKinds.Reorder);
            PutBack(request);
            return false;
        }
        if ((kinds & FaultKinds.Overflow) != 0 && (request.Flags & RequestFlags.CqeSkip) == 0)
        {
            _faults!.Count(FaultKinds.Overflow);
            BeginOverflow();
        }
        Overtake();
        return true;
    }

    /// <summary>
    /// Others complete first: those that are ready, so that nothing depends on time, or when some are under way, those that come first.
    /// </summary>
    private void PutBack(Request request)
    {
        request.Retries = 1 + (int)(request.Fault.Amount % MostOvertakers);
        if (_hashed == 0)
        {
            MakeReady(request, RequestState.Held);
            return;
        }
        _overtaken.Add(request);
        Hold(request, LongestReorder);
    }

    private void Hold(Request request, long nanoseconds)
    {
        if (request.Started == 0)
            request.Started = HostClock.Now;
        request.State = RequestState.Held;
        request.Timer.Arm(_sentry.Timers, HostClock.Add(HostClock.Now, nanoseconds), HostClock.CLOCK_MONOTONIC);
    }

    /// <summary>A completion passes those that wait for it.</summary>
    private void Overtake()
    {
        for (int i = _overtaken.Count - 1; i >= 0; i--)
        {
            Request request = _overtaken[i];
            if (--request.Retries > 0)
                continue;
            _overtaken.RemoveAt(i);
            // If its time is over just now, that brings it here.
            if (request.Timer.Cancel() && !request.IsPending)
                MakeReady(request, RequestState.Held);
        }
    }

    /// <summary>What was put off is completed, or lets one more pass. Under the lock.</summary>
    private void Release(Request request)
    {
        if (!_overtaken.Remove(request) && --request.Retries > 0 && _readyHead is not null && !_released)
        {
            MakeReady(request, RequestState.Held);
            return;
        }
        request.State = RequestState.Active;
        Complete(request);
    }

    /// <summary>From here on CQEs go to the backlog until the program enters the kernel, as if the ring were full.</summary>
    private void BeginOverflow()
    {
        FlushBatch();
        _room = 0;
        lock (_cqLock)
        {
            Volatile.Write(ref _backlogged, true);
            _memory.SetSqFlags(SqRingFlags.CQ_OVERFLOW);
        }
    }
}
