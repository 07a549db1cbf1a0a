using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring;

/// <summary>Submission by a thread of the sentry (IORING_SETUP_SQPOLL).</summary>
internal sealed partial class Ring
{
    private SqPoller? _poller;

    /// <summary>Whose requests they are: the task that made the ring.</summary>
    private Task? _pollerTask;

    private volatile bool _pollerLeft;

    /// <summary>Waits for room in the submission queue; another one looks again by itself.</summary>
    private Task? _roomWaiter;

    /// <summary>The polling thread does not look at this ring any more.</summary>
    public void LeftPoller()
    {
        _pollerLeft = true;
        _sentry.UringThread.Schedule(this);
    }

    /// <summary>On the polling thread: nobody submits here any more, and what was submitted is cancelled.</summary>
    public void LosePoller()
    {
        SetNeedWakeup(true);
        _lock.Enter();
        if (!_released)
        {
            CancelEverything();
            RunWork();
        }
        Unlock();
    }

    /// <summary>True when the guest has published SQEs that are not taken, or work waits.</summary>
    public bool HasSubmissions => !IsDisabled && (_memory.SqTail != Volatile.Read(ref _sqHead) || HasWork);

    /// <summary>On the polling thread: submits what there is. False: nothing.</summary>
    public bool PollSubmissions()
    {
        if (!HasSubmissions || Volatile.Read(ref _released))
            return false;
        _lock.Enter();
        bool any = false;
        if (!_released)
        {
            any = Submit(_pollerTask!, uint.MaxValue, default) != 0 || HasWork;
            RunWork();
        }
        Unlock();
        // Who waits for room in the submission queue looks again.
        if (any)
        {
            if (Waiters.HasWaiters)
                Waiters.Wake(PollEvents.POLLOUT | PollEvents.POLLWRNORM);
            Volatile.Read(ref _roomWaiter)?.Wake();
        }
        return any;
    }

    /// <summary>IORING_SQ_NEED_WAKEUP.</summary>
    public void SetNeedWakeup(bool needed)
    {
        if (needed)
            _memory.SetSqFlags(SqRingFlags.NEED_WAKEUP);
        else
            _memory.ClearSqFlags(SqRingFlags.NEED_WAKEUP);
    }

    /// <summary>There is no room in the submission queue.</summary>
    private bool IsFull => _memory.SqTail - Volatile.Read(ref _sqHead) >= _memory.SqEntries;

    /// <summary>What io_uring_enter(2) does instead of submitting. EOWNERDEAD.</summary>
    private SysResult EnterPolled(Task task, uint toSubmit, IoUringEnter flags)
    {
        const long LookAgain = 1_000_000;
        if (_poller!.IsDead)
            return Errno.EOWNERDEAD;
        // A thread that naps, since there is no core for it to spin on, need not sleep on: here is somebody who waits for it.
        if ((flags & IoUringEnter.SQ_WAKEUP) != 0 || HasSubmissions)
            _poller.Wake();
        if ((flags & IoUringEnter.SQ_WAIT) != 0 && IsFull)
        {
            Interlocked.Exchange(ref _roomWaiter, task);
            while (IsFull && !_poller.IsDead && task.Block(HostClock.Now + LookAgain) != WaitOutcome.Interrupted)
                continue;
            Interlocked.CompareExchange(ref _roomWaiter, null, task);
        }
        return (long)toSubmit;
    }
}
