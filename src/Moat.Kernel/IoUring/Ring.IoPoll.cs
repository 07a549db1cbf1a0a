using Moat.Kernel.IoUring.Operations;

namespace Moat.Kernel.IoUring;

/// <summary>
/// Completion by polling (IORING_SETUP_IOPOLL, without a thread that does it): what a disk has finished is found by a task that looks for it in
/// io_uring_enter(2) with IORING_ENTER_GETEVENTS, and by nobody else. That task sleeps until a worker is done; it does not spin.
/// </summary>
internal sealed partial class Ring
{
    /// <summary>Transfers that are done and not yet found, newest first. Interlocked.</summary>
    private Request? _finished;

    /// <summary>io_uring_enter(2) polls for completions itself (IORING_SETUP_IOPOLL, and no thread of the ring does).</summary>
    private bool PollsForEvents => (Setup & IoUringSetup.IOPOLL) != 0 && _poller is null;

    /// <summary>True when a waiting task has something to do here.</summary>
    private bool HasWorkForWaiter => HasWork || Volatile.Read(ref _finished) is not null;

    /// <summary>True for a transfer that is to be found by polling: one that has succeeded. What fails is told at once.</summary>
    private bool IsFoundByPolling(Request request) => PollsForEvents && request.Result >= 0 && request.Op is RwOperation && !_released;

    /// <summary>Puts a transfer that is done where polling finds it. Any thread; the request stays the ring's until then.</summary>
    private void AddFinished(Request request)
    {
        request.WorkerStatus = IssueStatus.Done;
        request.State = RequestState.WorkerDone;
        Volatile.Write(ref request.Queued, 1);
        Request? head;
        do
        {
            head = Volatile.Read(ref _finished);
            request.NextQueued = head;
        }
        while (Interlocked.CompareExchange(ref _finished, request, head) != head);
        Volatile.Read(ref _sleeper)?.Wake();
        // Nobody polls a ring that is gone.
        if (Volatile.Read(ref _released))
            _sentry.UringThread.Schedule(this);
    }

    /// <summary>Polls: what is done becomes ready to complete, oldest first. Under the lock.</summary>
    private void TakeFinished()
    {
        if (Volatile.Read(ref _finished) is not null)
            AppendAll(Interlocked.Exchange(ref _finished, null));
    }
}
