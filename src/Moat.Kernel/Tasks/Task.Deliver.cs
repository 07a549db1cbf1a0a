using Moat.Kernel.Signals;
using Moat.Kernel.Trace;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private const long NR_restart_syscall = 219;

    private RestartBlock? _restart;

    /// <summary>
    /// Ends a call that was interrupted, so that it goes on through restart_syscall(2) if no handler runs, and else is EINTR.
    /// </summary>
    public SysResult RestartWith(RestartBlock block)
    {
        _restart = block;
        return Errno.ERESTART_RESTARTBLOCK;
    }

    /// <summary>restart_syscall(2).</summary>
    public SysResult Restart()
    {
        RestartBlock? block = _restart;
        _restart = null;
        return block is null ? Errno.EINTR : block.Restart(this);
    }

    /// <summary>
    /// The one place where signals are delivered, stops waited out and interrupted calls settled: after every call, fault or
    /// interrupt that needs it. True: the call in <see cref="Args"/> is to be served again at once.
    /// </summary>
    private bool AfterStop(SysResult result, bool inCall)
    {
        if (inCall && result == RegistersAreSet)
            inCall = false;
        Errno error = inCall ? result.Error : Errno.OK;
        // An interrupted ppoll or sigsuspend delivers under its own mask; one that came to an end does not.
        if (error is not (Errno.EINTR or Errno.ERESTARTNOHAND or Errno.ERESTARTSYS or Errno.ERESTARTNOINTR or Errno.ERESTART_RESTARTBLOCK)
            && !_keepsMask)
        {
            RestoreMask();
        }
        _keepsMask = false;
        bool settled = !inCall;
        while (NextSignal(out SigInfo info, out SigAction action))
        {
            if (!settled)
            {
                SettleBeforeHandler(result, action.Flags);
                settled = true;
            }
            if (!SignalFrame.Push(this, in info, in action, _hasSavedMask ? _savedMask : Blocked))
            {
                ForceSegv(info.Signo);
                continue;
            }
            HandlerEntered(info.Signo, in action);
        }
        RestoreMask();
        if (settled || IsKilled)
            return false;
        switch (error)
        {
            case Errno.ERESTARTSYS or Errno.ERESTARTNOINTR or Errno.ERESTARTNOHAND:
                return true;
            case Errno.ERESTART_RESTARTBLOCK:
                Args.Number = NR_restart_syscall;
                return true;
            default:
                Thread.SetResult((ulong)result.Value);
                return false;
        }
    }

    /// <summary>The result that the interrupted code sees when the handler returns.</summary>
    private void SettleBeforeHandler(SysResult result, SigActionFlags flags)
    {
        ref GuestRegisters regs = ref Thread.Registers;
        bool restart = result.Error switch
        {
            Errno.ERESTARTNOINTR => true,
            Errno.ERESTARTSYS => (flags & SigActionFlags.SA_RESTART) != 0,
            _ => false,
        };
        if (restart)
        {
            regs.Rax = (ulong)Args.Number;
            regs.Rip -= 2;
            return;
        }
        bool interrupted = result.Error is Errno.ERESTARTSYS or Errno.ERESTARTNOHAND or Errno.ERESTART_RESTARTBLOCK;
        regs.Rax = (ulong)(interrupted ? -(long)Errno.EINTR : result.Value);
    }

    /// <summary>
    /// Takes pending signals and does what needs no handler, until one needs its handler (true) or none is left (false).
    /// </summary>
    private bool NextSignal(out SigInfo info, out SigAction action)
    {
        info = default;
        action = default;
        while (true)
        {
            if (_tracing is { TrapIsDue: true } due && !IsKilled)
            {
                TraceTrap(due);
                continue;
            }
            int stop = 0;
            bool asks = false;
            lock (Group.SignalLock)
            {
                if (!IsKilled && !WaitsInStop)
                {
                    if (!Group.TakePending(this, ~Blocked, out info))
                    {
                        Recalculate();
                        return false;
                    }
                    asks = _tracing is not null;
                    if (!asks)
                    {
                        if (NeedsHandler(in info, out action, out stop))
                            return true;
                        if (stop == 0)
                            continue;
                    }
                }
                if (IsKilled)
                    return false;
            }
            if (asks)
            {
                if (!TraceSignal(ref info))
                    continue;
                lock (Group.SignalLock)
                {
                    if (NeedsHandler(in info, out action, out stop))
                        return true;
                }
                if (stop == 0)
                    continue;
            }
            if (stop != 0)
                StopGroup(stop);
            else
                WaitWhileStopped();
        }
    }

    /// <summary>
    /// Under the signal lock: does what a signal does without a handler. True when it has one. <paramref name="stop"/>: the signal is to stop the
    /// process, which happens without the lock; else 0.
    /// </summary>
    private bool NeedsHandler(in SigInfo info, out SigAction action, out int stop)
    {
        stop = 0;
        action = Group.Actions.Get(info.Signo);
        if (action.Handler == SigAction.SIG_IGN)
            return false;
        if (Tracer.Active)
            Tracer.Signal(this, in info);
        if (action.Handler != SigAction.SIG_DFL)
        {
            if ((action.Flags & SigActionFlags.SA_RESETHAND) != 0)
                Group.Actions.Set(info.Signo, action with { Handler = SigAction.SIG_DFL });
            return true;
        }
        switch (SignalActions.GetDefault(info.Signo))
        {
            case DefaultAction.Terminate:
                Group.BeginExit(info.Signo);
                break;
            case DefaultAction.Stop:
                Group.PrepareStop();
                stop = info.Signo;
                break;
        }
        return false;
    }

    private void StopGroup(int signal)
    {
        // Job control signals do not stop whom nobody could continue.
        if (signal != Signal.SIGSTOP && Sentry.Processes.IsOrphaned(Group.ProcessGroupId, Group.SessionId))
            return;
        bool stopped;
        lock (Group.SignalLock)
            stopped = Group.Stop(signal);
        if (stopped)
            Sentry.Processes.TellStop(Group, signal);
    }

    private void WaitWhileStopped()
    {
        if (_tracing is { } t)
        {
            TraceGroupStop(t);
            return;
        }
        Thread.BeginBlock();
        while (Group.IsStopped)
            _parker.Wait(Forever);
        Thread.EndBlock();
        if (Group.TakeContinuedNotice())
            Sentry.Processes.TellStop(Group, 0);
    }

    /// <summary>The handler's frame could not be made: SIGSEGV, and if that was it, the end.</summary>
    private void ForceSegv(int failed)
    {
        lock (Group.SignalLock)
        {
            if (failed == Signal.SIGSEGV)
            {
                Group.BeginExit(Signal.SIGSEGV);
                return;
            }
            ForceSignal(new SigInfo { Signo = Signal.SIGSEGV, Code = Signal.SI_KERNEL });
        }
    }

    /// <summary>A frame was made: the mask for the time of the handler.</summary>
    private void HandlerEntered(int signal, in SigAction action)
    {
        _hasSavedMask = false;
        ulong mask = Blocked | action.Mask;
        if ((action.Flags & SigActionFlags.SA_NODEFER) == 0)
            mask |= Signal.Bit(signal);
        SetBlocked(mask);
        if ((AlternateStack.Flags & SignalStack.SS_AUTODISARM) != 0)
            AlternateStack = new SignalStack { Flags = SignalStack.SS_DISABLE };
    }
}
