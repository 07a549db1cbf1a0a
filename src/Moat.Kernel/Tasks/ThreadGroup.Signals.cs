using Moat.Kernel.Events;
using Moat.Kernel.Signals;

namespace Moat.Kernel.Tasks;

internal sealed partial class ThreadGroup
{
    private SignalNode? _spareNodes;

    /// <summary>Handlers, perhaps shared with other processes.</summary>
    public SignalActions Actions { get; set; } = new();

    /// <summary>Signals for any thread of the process.</summary>
    public SignalQueue Pending { get; } = new();

    /// <summary>Woken with POLLIN whenever a signal is queued for the process or a thread of it (signalfd).</summary>
    public WaitQueue SignalWaiters { get; } = new();

    /// <summary>All threads wait for SIGCONT.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>
    /// Sends a signal to the process. Returns OK (also when it is ignored) or EAGAIN: the queue is full. No permission check.
    /// </summary>
    public Errno Send(in SigInfo info) => Send(null, in info);

    /// <summary>Sends a signal to one thread of the process.</summary>
    public Errno Send(Task? target, in SigInfo info)
    {
        lock (SignalLock)
            return SendLocked(target, in info, isTimer: false, out _);
    }

    private Errno SendLocked(Task? target, in SigInfo info, bool isTimer, out bool queued)
    {
        int signal = info.Signo;
        queued = false;
        if (_exiting || _tasks.Count == 0 || target is { HasEnded: true })
            return Errno.OK;
        if (signal == Signal.SIGKILL)
        {
            BeginExitLocked(Signal.SIGKILL);
            return Errno.OK;
        }
        ulong bit = Signal.Bit(signal);
        if ((bit & SignalActions.Stops) != 0)
            DiscardEverywhere(Signal.Bit(Signal.SIGCONT));
        else if (signal == Signal.SIGCONT)
            Continue();

        Task looker = target ?? Leader;
        // A blocked signal is kept even if it is ignored: the action may change before it is unblocked, or signalfd reads it.
        if (((looker.Blocked | looker.WaitedFor) & bit) == 0 && Actions.IsIgnored(signal) && looker.Tracing is null)
            return Errno.OK;
        SignalQueue queue = target?.Pending ?? Pending;
        if (signal < Signal.SIGRTMIN && (queue.Bits & bit) != 0 && !isTimer)
            return Errno.OK;
        queued = true;
        SignalNode? node = RentNode(isTimer || (signal < Signal.SIGRTMIN && info.Code >= 0));
        if (node is not null)
        {
            node.Info = info;
            queue.Add(node);
        }
        else if (signal >= Signal.SIGRTMIN && info.Code != Signal.SI_USER)
        {
            return Errno.EAGAIN;
        }
        else
        {
            queue.AddWithoutInfo(signal);
        }
        SignalWaiters.Wake(PollEvents.POLLIN);
        Notify(target, bit);
        return Errno.OK;
    }

    /// <summary>
    /// Replaces a signal's action (sigaction(2)) and returns the old one; one that is ignored from now on is no longer pending.
    /// </summary>
    public SigAction SetAction(int signal, in SigAction action)
    {
        lock (SignalLock)
        {
            SigAction old = Actions.Set(signal, in action);
            if (Actions.IsIgnored(signal))
                DiscardEverywhere(Signal.Bit(signal));
            return old;
        }
    }

    /// <summary>Makes a thread look at a signal that is now pending: the target, or any thread that does not block it.</summary>
    private void Notify(Task? target, ulong bit)
    {
        if (target is not null)
        {
            if ((target.Blocked & bit) == 0)
                target.Interrupt();
            return;
        }
        Task? chosen = null;
        foreach (Task task in _tasks)
        {
            if ((task.Blocked & bit) != 0)
                continue;
            chosen ??= task;
            if (!task.HasDeliverableSignal)
            {
                chosen = task;
                break;
            }
        }
        chosen?.Interrupt();
    }

    /// <summary>
    /// A thread that was to take process-wide signals of a set blocks them now, or has ended: others look.
    /// </summary>
    internal void Retarget(ulong set)
    {
        ulong left = Pending.Bits & set;
        while (left != 0)
        {
            ulong bit = left & (0 - left);
            left &= ~bit;
            Notify(null, bit);
        }
    }

    /// <summary>Forgets pending signals of a set, in the process and in all its threads.</summary>
    internal void DiscardEverywhere(ulong set)
    {
        FreeNodes(Pending.Discard(set, ref _spareNodes));
        foreach (Task task in _tasks)
            FreeNodes(task.Pending.Discard(set, ref _spareNodes));
        TimerSignalsDiscarded(set);
    }

    /// <summary>Takes one pending signal of <paramref name="allowed"/> for a thread: its own before the process's.</summary>
    internal bool TakePending(Task task, ulong allowed, out SigInfo info)
    {
        int signal = task.Pending.First(allowed);
        SignalQueue queue = task.Pending;
        if (signal == 0)
        {
            queue = Pending;
            signal = queue.First(allowed);
        }
        if (signal == 0)
        {
            info = default;
            return false;
        }
        if (queue.Take(signal, out info, ref _spareNodes))
            FreeNodes(1);
        TimerSignalTaken(ref info);
        return true;
    }

    private int _stopReport;
    private bool _stopIsDue, _continueReport;

    /// <summary>
    /// A stop signal was taken; whether it stops is decided without the lock. SIGCONT and SIGKILL meanwhile win. Under the signal lock.
    /// </summary>
    internal void PrepareStop() => _stopIsDue = true;

    /// <summary>
    /// All threads stop, as SIGSTOP and its like demand; each waits where it next looks at its signals. False: nothing to tell the
    /// parent. Under the signal lock.
    /// </summary>
    internal bool Stop(int signal)
    {
        if (_exiting || IsStopped || !_stopIsDue)
            return false;
        _stopIsDue = false;
        IsStopped = true;
        StopSignal = _stopReport = signal;
        _continueReport = false;
        foreach (Task task in _tasks)
        {
            if (task.Tracing is { } tracing)
                tracing.PassesStop = false;
            task.Interrupt();
        }
        return true;
    }

    /// <summary>The parent asks whether the process has stopped or was continued since it asked last.</summary>
    internal bool TakeStop(in ChildWait wait, ref ChildReport report)
    {
        lock (SignalLock)
        {
            bool stopped = _stopReport != 0 && wait.Has(WaitOptions.WSTOPPED);
            if (HasEnded || (!stopped && !(_continueReport && wait.Has(WaitOptions.WCONTINUED))))
                return false;
            report = new ChildReport
            {
                Pid = Id,
                Uid = Leader.Credentials.Uid,
                Code = stopped ? Signal.CLD_STOPPED : Signal.CLD_CONTINUED,
                Value = stopped ? _stopReport : Signal.SIGCONT,
                Status = stopped ? (_stopReport << 8) | 0x7f : 0xffff,
            };
            if (wait.Has(WaitOptions.WNOWAIT))
                return true;
            if (stopped)
                _stopReport = 0;
            else
                _continueReport = false;
            return true;
        }
    }

    private int _continuedNotice;

    /// <summary>True once after the process was continued: the parent is to be told, by one of the threads that go on.</summary>
    internal bool TakeContinuedNotice() => Interlocked.Exchange(ref _continuedNotice, 0) != 0;

    private void Continue()
    {
        DiscardEverywhere(SignalActions.Stops);
        _stopIsDue = false;
        if (!IsStopped)
            return;
        IsStopped = false;
        _stopReport = 0;
        _continueReport = true;
        Volatile.Write(ref _continuedNotice, 1);
        foreach (Task task in _tasks)
            task.Wake();
    }

    private SignalNode? RentNode(bool overLimit)
    {
        int queued = Interlocked.Increment(ref Sentry.QueuedSignals);
        if (!overLimit && (ulong)queued > Limits.Get(Resource.RLIMIT_SIGPENDING).Current)
        {
            Interlocked.Decrement(ref Sentry.QueuedSignals);
            return null;
        }
        SignalNode node = _spareNodes ?? new SignalNode();
        _spareNodes = node.Next;
        node.Next = null;
        return node;
    }

    private void FreeNodes(int count)
    {
        if (count != 0)
            Interlocked.Add(ref Sentry.QueuedSignals, -count);
    }
}
