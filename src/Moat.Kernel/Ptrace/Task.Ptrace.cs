using Moat.Kernel.Signals;
using Moat.Kernel.Syscalls;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private const ulong TrapFlag = 0x100;
    private const int SyscallBit = 0x80;

    private volatile Tracing? _tracing;

    /// <summary>Who traces this thread, and how; null: nobody.</summary>
    public Tracing? Tracing => _tracing;

    /// <summary>Calls take the longer way: there is a filter or a tracer.</summary>
    private bool IsWatched => SeccompMode != 0 || _tracing is not null;

    /// <summary>Under the lock of processes: begins or, with null, ends to be traced.</summary>
    internal void SetTracing(Tracing? tracing)
    {
        Tracing? old = _tracing;
        _tracing = tracing;
        lock (Group.SignalLock)
            Recalculate();
        if (old is not null)
            old.IsStopped = false;
        Wake();
    }

    /// <summary>What wait4(2) tells of a stop.</summary>
    private static int StopStatus(int signal, TraceEvent cause) => ((int)cause << 16) | (signal << 8) | 0x7f;

    /// <summary>
    /// Waits for the tracer, on this task's own thread and without locks. Returns the signal with which the thread shall go on. When the
    /// process is killed or nobody traces any more, it goes on with <paramref name="otherwise"/>.
    /// </summary>
    private int TraceStop(int status, SigInfo? info, ulong message, int otherwise, bool atExit = false)
    {
        if (_tracing is not { } t)
            return otherwise;
        // The whole frame, so that the tracer finds everything in place.
        t.FsBase = Thread.FsBase;
        t.GsBase = Thread.GsBase;
        ulong fs = t.FsBase, gs = t.GsBase;
        _ = Thread.Registers.Rip;
        if (!Sentry.Processes.BeginTraceStop(this, t, status, info, message, atExit))
            return otherwise;
        _blocked = true;
        Thread.BeginBlock();
        while (t.IsStopped && (atExit ? Group.ExitStatus != Signal.SIGKILL : !IsKilled)
            && !(t.IsListening && (t.TrapIsDue || !Group.IsStopped)))
            _parker.Wait(Forever);
        Thread.EndBlock();
        _blocked = false;
        bool listened = Sentry.Processes.EndTraceStop(this, t);
        if (t.FsBase != fs)
            Thread.FsBase = t.FsBase;
        if (t.GsBase != gs)
            Thread.GsBase = t.GsBase;
        SetTrapFlag(_tracing is { Mode: TraceMode.Step });
        return listened ? 0 : t.Signal;
    }

    private void SetTrapFlag(bool on)
    {
        ref GuestRegisters regs = ref Thread.Registers;
        regs.Rflags = on ? regs.Rflags | TrapFlag : regs.Rflags & ~TrapFlag;
    }

    /// <summary>A signal is about to be delivered: the tracer decides. False: it is forgotten.</summary>
    private bool TraceSignal(ref SigInfo info)
    {
        int signal = TraceStop(StopStatus(info.Signo, TraceEvent.None), info, 0, info.Signo);
        if (signal == 0)
            return false;
        Tracing? t = _tracing;
        if (t is not null && t.HasInfo && t.Info.Signo == signal)
            info = t.Info;
        else if (signal != info.Signo)
            info = new SigInfo { Signo = signal, Code = Signal.SI_USER, Pid = t?.Tracer.Group.Id ?? 0, Uid = t?.Tracer.Credentials.Uid ?? 0 };
        return true;
    }

    /// <summary>PTRACE_INTERRUPT, or a seized thread's first moment; in a stopped process it shows that stop.</summary>
    private void TraceTrap(Tracing t)
    {
        t.TrapIsDue = false;
        int signal = Group.IsStopped && !t.PassesStop ? Signal.SIGSTOP : Signal.SIGTRAP;
        TraceStop(StopStatus(signal, TraceEvent.Stop), new SigInfo { Signo = Signal.SIGTRAP, Code = Signal.SIGTRAP | ((int)TraceEvent.Stop << 8) }, 0, 0);
    }

    /// <summary>A stop of the whole process.</summary>
    private void TraceGroupStop(Tracing t)
    {
        TraceStop(StopStatus(Group.StopSignal, t.IsSeized ? TraceEvent.Stop : TraceEvent.None), null, 0, 0);
        if (_tracing == t && !t.IsListening)
            t.PassesStop = true;
        else
            t.TrapIsDue = _tracing == t;
        lock (Group.SignalLock)
            Recalculate();
    }

    /// <summary>Something that the tracer asked to see has happened.</summary>
    private void TraceHappened(TraceEvent what, ulong message, bool atExit = false)
        => TraceStop(StopStatus(Signal.SIGTRAP, what), new SigInfo { Signo = Signal.SIGTRAP, Code = Signal.SIGTRAP | ((int)what << 8) }, message, 0, atExit);

    /// <summary>Serves the call in <see cref="Args"/> on the longer way.</summary>
    private SysResult DispatchWatched()
    {
        if (_tracing is not { } t)
            return DispatchConfined();
        const int NR_execve = 59, NR_execveat = 322;
        SysResult result;
        bool skips = false;
        if (t.Mode == TraceMode.Syscall)
        {
            t.OriginalRax = (uint)Args.Number;
            Thread.Registers.Rax = unchecked((ulong)-(long)Errno.ENOSYS);
            TraceCall(t, TracePhase.Entry);
            if (IsKilled)
                return Errno.ENOSYS;
            ref GuestRegisters regs = ref Thread.Registers;
            Args = new SyscallArgs { Number = (int)t.OriginalRax, A0 = regs.Rdi, A1 = regs.Rsi, A2 = regs.Rdx, A3 = regs.R10, A4 = regs.R8, A5 = regs.R9 };
            skips = Args.Number < 0;
        }
        result = skips ? new SysResult((long)Thread.Registers.Rax) : SeccompMode == 0 ? SyscallTable.Dispatch(this, in Args) : DispatchConfined();
        if (result == RegistersAreSet && Args.Number is NR_execve or NR_execveat && !IsKilled)
            TraceExec();
        // The call itself may have begun it (PTRACE_TRACEME), or the tracer may have gone.
        if (_tracing is { Mode: TraceMode.Syscall } now && !IsKilled)
        {
            bool isSet = result == RegistersAreSet;
            if (!isSet)
                Thread.Registers.Rax = (ulong)result.Value;
            TraceCall(now, TracePhase.Exit);
            if (!isSet)
                result = new SysResult((long)Thread.Registers.Rax);
        }
        if (_tracing is { Mode: TraceMode.Step })
        {
            // The flag shows when the call returns.
            SetTrapFlag(false);
            Send(new SigInfo { Signo = Signal.SIGTRAP, Code = 2 /* TRAP_TRACE */, Address = Thread.Registers.Rip });
        }
        return result;
    }

    private void TraceCall(Tracing t, TracePhase phase)
    {
        int signal = Signal.SIGTRAP | (t.Has(TraceOptions.PTRACE_O_TRACESYSGOOD) ? SyscallBit : 0);
        t.Phase = phase;
        int sent = TraceStop(StopStatus(signal, TraceEvent.None), new SigInfo { Signo = Signal.SIGTRAP, Code = signal }, (ulong)phase, 0);
        t.Phase = TracePhase.None;
        if (phase == TracePhase.Exit)
            t.OriginalRax = ulong.MaxValue;
        if (sent != 0)
            Send(new SigInfo { Signo = sent, Code = Signal.SI_USER, Pid = t.Tracer.Group.Id, Uid = t.Tracer.Credentials.Uid });
    }

    private void TraceExec()
    {
        if (_tracing is not { } t)
            return;
        if (t.Has(TraceOptions.PTRACE_O_TRACEEXEC))
            TraceHappened(TraceEvent.Exec, (ulong)Tid);
        else if (!t.IsSeized)
            Send(new SigInfo { Signo = Signal.SIGTRAP, Code = Signal.SI_USER, Pid = Group.Id, Uid = Credentials.Uid });
    }

    /// <summary>What a new thread or process is to its maker's tracer; None: it is not traced.</summary>
    private TraceEvent PrepareTrace(Task child, in CloneRequest request)
    {
        if (_tracing is not { } t || request.Has(CloneFlags.CLONE_UNTRACED))
            return TraceEvent.None;
        TraceEvent what = request.Has(CloneFlags.CLONE_VFORK) ? TraceEvent.VFork
            : request.Has(CloneFlags.CLONE_THREAD) || request.ExitSignal != Signal.SIGCHLD ? TraceEvent.Clone : TraceEvent.Fork;
        if (!t.Has((TraceOptions)(1u << (int)what)) && !request.Has(CloneFlags.CLONE_PTRACE))
            return TraceEvent.None;
        Sentry.Processes.InheritTracing(child, t);
        return t.Has((TraceOptions)(1u << (int)what)) ? what : TraceEvent.None;
    }

    /// <summary>The thread ends: its tracer may want to see it before.</summary>
    private void TraceExit()
    {
        if (_tracing is { } t && t.Has(TraceOptions.PTRACE_O_TRACEEXIT))
            TraceHappened(TraceEvent.Exit, (ulong)(uint)(Group.IsExiting ? Group.ExitStatus : _exitStatus), atExit: true);
    }
}
