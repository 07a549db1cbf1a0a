using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>How long and under which signal mask io_uring_enter(2) waits.</summary>
internal struct EnterWait
{
    /// <summary>Events that end the wait.</summary>
    public uint MinComplete;

    /// <summary>Guest address and size of the signal mask for the wait; 0: the task's own.</summary>
    public ulong SignalMask, SignalMaskSize;

    /// <summary>Host CLOCK_MONOTONIC, nanoseconds; <see cref="Task.Forever"/> for none.</summary>
    public long Deadline;

    /// <summary>From here on one event is enough (min_wait_usec); <see cref="Task.Forever"/> when not asked for.</summary>
    public long MinDeadline;
}

internal sealed partial class Ring
{
    // Under _cqLock.
    private Waiter? _waiters, _freeWaiter;

    // Woken when _lock is left (ExitLock). Set under both locks. A wake that comes when the wait is over is one look too many.
    private Task? _toWake;

    /// <summary>A task in io_uring_enter(2).</summary>
    private sealed class Waiter
    {
        public Task Task = null!;

        /// <summary>Completion tail that ends the wait.</summary>
        public uint Target;

        /// <summary>Timeouts done when the wait began.</summary>
        public int Timeouts;

        public Waiter? Next;
    }

    /// <summary>
    /// The waiting half of io_uring_enter(2): runs pending work and waits for events. EEXIST, ETIME, EINTR, EBADR; the
    /// latter three only when no event is there.
    /// </summary>
    private SysResult WaitForEvents(Task task, in EnterWait wait)
    {
        // A number with a sign, as on Linux: fewer than none are there already, but a signal mask is looked at first.
        uint min = (uint)Math.Min((int)wait.MinComplete, (int)_memory.CqEntries);
        // Who polls finds what is there before it looks for more.
        bool isThere = PollsForEvents && _defer && Visible != 0;
        if (HasWorkForWaiter && !isThere)
            RunAsWaiter(min);
        if (HasOverflow)
            FlushOverflow();
        return isThere || Visible >= min ? SysResult.Ok : Sleep(task, min, wait);
    }

    /// <summary>Events in the ring that the guest has not consumed.</summary>
    private uint Visible => Volatile.Read(ref _cqTail) - _memory.CqHead;

    private SysResult Sleep(Task task, uint min, in EnterWait wait)
    {
        if (wait.SignalMask != 0)
        {
            if (wait.SignalMaskSize != sizeof(ulong))
                return Errno.EINVAL;
            Errno e = task.Mm.Read(new UserPtr<ulong>(wait.SignalMask), out ulong mask);
            if (e != Errno.OK)
                return e;
            task.SetTemporaryMask(mask);
        }
        Waiter waiter;
        lock (_cqLock)
            waiter = AddWaiter(task, _memory.CqHead + min);
        SysResult result = SysResult.Ok;
        long deadline = Math.Min(wait.Deadline, wait.MinDeadline);
        bool ended = false;
        while (true)
        {
            // What the queuer of work does and this look are ordered by full fences: the work is seen, or the task woken.
            Interlocked.MemoryBarrier();
            if (HasWorkForWaiter)
                RunAsWaiter(Math.Max(min, 1));
            if (HasOverflow)
                FlushOverflow();
            if (IsSatisfied(waiter) || (PollsForEvents && IsIdle))
            {
                result = SysResult.Ok;
                break;
            }
            if (Volatile.Read(ref _lost))
            {
                result = Errno.EBADR;
                break;
            }
            if (ended)
                break;
            // Not all that was ready had its turn.
            if (_defer && HasWork)
                continue;
            switch (task.Block(deadline))
            {
                case WaitOutcome.Interrupted:
                    result = Errno.EINTR;
                    ended = true;
                    break;
                case WaitOutcome.TimedOut when deadline < wait.Deadline:
                    // The minimum wait is over: from now on any event will do.
                    deadline = wait.Deadline;
                    lock (_cqLock)
                        waiter.Target = _memory.CqHead + 1;
                    break;
                case WaitOutcome.TimedOut:
                    result = Errno.ETIME;
                    ended = true;
                    break;
            }
        }
        lock (_cqLock)
            RemoveWaiter(waiter);
        // Work may have been left to this task just before it stopped being the sleeper.
        if (!_defer)
            RunPending();
        if (result.Error == Errno.EINTR)
            task.KeepTemporaryMask();
        if (result.Error == Errno.EBADR)
            Volatile.Write(ref _lost, false);
        return Volatile.Read(ref _cqTail) == _memory.CqHead ? result : SysResult.Ok;
    }

    /// <summary>The task waits until the completion tail is at <paramref name="target"/>. Under _cqLock.</summary>
    private Waiter AddWaiter(Task task, uint target)
    {
        Waiter waiter = _freeWaiter ?? new Waiter();
        _freeWaiter = waiter.Next;
        waiter.Task = task;
        waiter.Target = target;
        waiter.Timeouts = _timeoutsDone;
        waiter.Next = _waiters;
        _waiters = waiter;
        UpdateSleeper();
        return waiter;
    }

    /// <summary>It waits no longer. Under _cqLock.</summary>
    private void RemoveWaiter(Waiter waiter)
    {
        Unlink(waiter);
        waiter.Task = null!;
        waiter.Next = _freeWaiter;
        _freeWaiter = waiter;
        UpdateSleeper();
    }

    /// <summary>No request is in flight: a wait that polls has nothing to look at.</summary>
    private bool IsIdle
    {
        get
        {
            // Under the lock, so that the completion of the last one is visible.
            lock (_lock)
                return _live == 0;
        }
    }

    private void RunAsWaiter(uint wanted)
    {
        if (!_defer && !PollsForEvents)
        {
            RunPending();
            return;
        }
        _lock.Enter();
        TakeFinished();
        if (_defer)
        {
            RunDeferred(wanted);
            ExitLock();
            return;
        }
        RunWork();
        Unlock();
    }

    private bool IsSatisfied(Waiter waiter)
        => (int)(Volatile.Read(ref _cqTail) - waiter.Target) >= 0 || Volatile.Read(ref _timeoutsDone) != waiter.Timeouts;

    /// <summary>Wakes every task whose wait is over; the first one, under <see cref="_lock"/>, when that is left. Under _cqLock.</summary>
    private void WakeWaiters()
    {
        bool later = _lock.IsHeldByCurrentThread;
        for (Waiter? w = _waiters; w is not null; w = w.Next)
        {
            if (!IsSatisfied(w) && !HasOverflow && !_lost)
                continue;
            if (later && Interlocked.CompareExchange(ref _toWake, w.Task, null) is null)
                continue;
            w.Task.Wake();
        }
    }

    private void Unlink(Waiter waiter)
    {
        if (_waiters == waiter)
        {
            _waiters = waiter.Next;
            return;
        }
        Waiter at = _waiters!;
        while (at.Next != waiter)
            at = at.Next!;
        at.Next = waiter.Next;
    }

    private void UpdateSleeper() => Volatile.Write(ref _sleeper, _waiters?.Task);
}
