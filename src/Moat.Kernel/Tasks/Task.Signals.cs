using Moat.Kernel.Signals;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private volatile bool _attention;
    private bool _hasSavedMask;
    private ulong _savedMask;
    private bool _keepsMask;

    /// <summary>True when a signal that is not blocked, or the end of the task, is pending: waits end, calls restart or fail.</summary>
    public bool HasDeliverableSignal => _attention;

    /// <summary>The signals that this thread blocks. Only the thread itself changes it, under the signal lock.</summary>
    public ulong Blocked { get; private set; }

    /// <summary>The signals that rt_sigtimedwait(2) waits for although the thread blocks them.</summary>
    public ulong WaitedFor { get; private set; }

    /// <summary>Signals for this thread alone. Guarded by the signal lock.</summary>
    public SignalQueue Pending { get; } = new();

    /// <summary>The alternate signal stack (sigaltstack(2)).</summary>
    public SignalStack AlternateStack = new() { Flags = SignalStack.SS_DISABLE };

    /// <summary>True when the task is to end and never returns to guest code.</summary>
    public bool IsKilled => Group.IsExiting || _exitRequested;

    /// <summary>
    /// Makes the task look at its signals soon, wherever it is: asleep, in guest code, or on its way. Any thread.
    /// </summary>
    public void Interrupt()
    {
        _attention = true;
        // The task announces that it enters guest code and then looks at the flag; one of the two sees the other.
        Interlocked.MemoryBarrier();
        if (_inGuest)
            Thread.Interrupt();
        else
            Wake();
    }

    /// <summary>Sends a signal to this thread. OK or EAGAIN (queue full); no permission check.</summary>
    public Errno Send(in SigInfo info) => Group.Send(this, in info);

    /// <summary>Sends the SIGPIPE of a write to nobody.</summary>
    public void SendSigpipe() => Send(new SigInfo { Signo = Signal.SIGPIPE, Code = Signal.SI_USER, Pid = Group.Id, Uid = Credentials.Uid });

    /// <summary>
    /// Delivers a signal that cannot wait (a fault): if it is blocked or ignored, the default action takes place, which ends
    /// the process.
    /// </summary>
    public void ForceSignal(in SigInfo info)
    {
        lock (Group.SignalLock)
        {
            ulong bit = Signal.Bit(info.Signo);
            SigAction action = Group.Actions.Get(info.Signo);
            if ((Blocked & bit) != 0 || action.Handler == SigAction.SIG_IGN)
            {
                Group.Actions.Set(info.Signo, default);
                Blocked &= ~bit;
            }
            Group.Send(this, in info);
            Recalculate();
        }
    }

    /// <summary>Replaces the mask of blocked signals (sigprocmask(2)); SIGKILL and SIGSTOP stay unblocked.</summary>
    public void SetBlocked(ulong mask)
    {
        mask &= ~SignalActions.Unblockable;
        lock (Group.SignalLock)
            SetBlockedLocked(mask);
    }

    private void SetBlockedLocked(ulong mask)
    {
        ulong added = mask & ~Blocked;
        Blocked = mask;
        if (added != 0)
            Group.Retarget(added);
        Recalculate();
    }

    /// <summary>
    /// Replaces the mask for the call being served (ppoll, pselect, epoll_pwait, sigsuspend, io_uring_enter). It returns to
    /// what it was when the call ends: at once if the call was not interrupted, else after the handler's frame is made.
    /// </summary>
    public void SetTemporaryMask(ulong mask)
    {
        if (!_hasSavedMask)
        {
            _savedMask = Blocked;
            _hasSavedMask = true;
        }
        SetBlocked(mask);
    }

    /// <summary>The call was interrupted though its result does not say so (io_uring_enter): signals still come under its own mask.</summary>
    public void KeepTemporaryMask() => _keepsMask = _hasSavedMask;

    private void RestoreMask()
    {
        if (!_hasSavedMask)
            return;
        _hasSavedMask = false;
        SetBlocked(_savedMask);
    }

    /// <summary>The pending signals of the thread and its process that are blocked (sigpending(2)).</summary>
    public ulong GetPendingSet()
    {
        lock (Group.SignalLock)
            return Pending.Bits | Group.Pending.Bits;
    }

    /// <summary>True when a signal of <paramref name="mask"/> is pending for this thread or its process (signalfd).</summary>
    public bool HasPending(ulong mask) => (GetPendingSet() & mask) != 0;

    /// <summary>Takes one pending signal of <paramref name="mask"/>, blocked or not (signalfd, sigtimedwait). False: none.</summary>
    public bool Dequeue(ulong mask, out SigInfo info)
    {
        lock (Group.SignalLock)
        {
            bool taken = Group.TakePending(this, mask & ~SignalActions.Unblockable, out info);
            Recalculate();
            return taken;
        }
    }

    /// <summary>Waits for a signal of <paramref name="set"/> (rt_sigtimedwait(2)). EAGAIN: timed out. EINTR: another signal.</summary>
    public SysResult WaitForSignal(ulong set, long deadline, out SigInfo info)
    {
        set &= ~SignalActions.Unblockable;
        if (Dequeue(set, out info))
            return info.Signo;
        if (deadline <= Time.HostClock.Now)
            return Errno.EAGAIN;
        lock (Group.SignalLock)
        {
            if (Group.TakePending(this, set, out info))
            {
                Recalculate();
                return info.Signo;
            }
            WaitedFor = Blocked;
            Blocked &= ~set;
            Recalculate();
        }
        WaitOutcome outcome;
        do
        {
            outcome = Block(deadline);
        }
        while (outcome == WaitOutcome.Woken);
        lock (Group.SignalLock)
        {
            Blocked = WaitedFor;
            WaitedFor = 0;
            bool taken = Group.TakePending(this, set, out info);
            if ((Group.Pending.Bits & set) != 0)
                Group.Retarget(set);
            Recalculate();
            if (taken)
                return info.Signo;
        }
        return outcome == WaitOutcome.TimedOut ? Errno.EAGAIN : Errno.EINTR;
    }

    /// <summary>The process is stopped, and no tracer told this thread to go on nevertheless.</summary>
    private bool WaitsInStop => Group.IsStopped && _tracing is not { PassesStop: true };

    /// <summary>Under the signal lock: looks again whether something wants delivery.</summary>
    private void Recalculate()
        => _attention = IsKilled || WaitsInStop || _tracing is { TrapIsDue: true } || ((Pending.Bits | Group.Pending.Bits) & ~Blocked) != 0;
}
