using Moat.Kernel.Seccomp;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Trace;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private volatile CallFilter? _filter;

    /// <summary>SECCOMP_MODE_: 0 none, 1 strict, 2 filters (PR_GET_SECCOMP). Set under the signal lock.</summary>
    public int SeccompMode { get; private set; }

    /// <summary>The filters on this thread's calls, or null.</summary>
    public CallFilter? Filter => _filter;

    /// <summary>Allows nothing but read, write, exit and rt_sigreturn from now on. EINVAL: there are filters.</summary>
    public Errno SetStrict()
    {
        lock (Group.SignalLock)
        {
            if (SeccompMode == SeccompModes.SECCOMP_MODE_FILTER)
                return Errno.EINVAL;
            SeccompMode = SeccompModes.SECCOMP_MODE_STRICT;
            return Errno.OK;
        }
    }

    /// <summary>
    /// Puts a filter on this thread's calls; with <paramref name="all"/> on those of all threads of the process, which get this thread's
    /// filters. EINVAL (strict mode), ENOMEM (too many instructions). A positive result is the id of a thread with filters of its own.
    /// </summary>
    public SysResult AddFilter(FilterProgram program, bool all)
    {
        lock (Group.SignalLock)
        {
            if (SeccompMode == SeccompModes.SECCOMP_MODE_STRICT)
                return Errno.EINVAL;
            if (all && Group.FindStranger(this) is { } stranger)
                return stranger.Tid;
            if (CallFilter.Add(_filter, program) is not { } filter)
                return Errno.ENOMEM;
            SetFilter(filter);
            if (all)
                Group.ShareFilter(this);
            return 0;
        }
    }

    /// <summary>Under the signal lock: takes over what confines another thread.</summary>
    internal void ShareConfinement(Task from)
    {
        if (from._filter is { } filter)
            SetFilter(filter);
        SeccompMode = from.SeccompMode;
        NoNewPrivileges |= from.NoNewPrivileges;
    }

    private void SetFilter(CallFilter filter)
    {
        _filter = filter;
        SeccompMode = SeccompModes.SECCOMP_MODE_FILTER;
    }

    /// <summary>Serves the call in <see cref="Args"/> if it may be made.</summary>
    private SysResult DispatchConfined()
    {
        if (SeccompMode == SeccompModes.SECCOMP_MODE_STRICT)
        {
            const int NR_read = 0, NR_write = 1, NR_rt_sigreturn = 15, NR_exit = 60;
            if (Args.Number is NR_read or NR_write or NR_rt_sigreturn or NR_exit)
                return SyscallTable.Dispatch(this, in Args);
            return Deny(EndOfThread(Signal.SIGKILL));
        }
        CallFilter filter = _filter!;
        if (filter.AlwaysAllows((int)Args.Number))
            return SyscallTable.Dispatch(this, in Args);
        CallData call = new()
        {
            Number = (int)Args.Number,
            Architecture = CallFilter.Architecture,
            InstructionPointer = filter.ReadsPointer ? Thread.Registers.Rip : 0,
            A0 = Args.A0,
            A1 = Args.A1,
            A2 = Args.A2,
            A3 = Args.A3,
            A4 = Args.A4,
            A5 = Args.A5,
        };
        uint verdict = filter.Judge(in call), data = verdict & CallFilter.DataMask;
        switch ((FilterAction)(verdict & ~CallFilter.DataMask))
        {
            case FilterAction.SECCOMP_RET_ALLOW or FilterAction.SECCOMP_RET_LOG:
                return SyscallTable.Dispatch(this, in Args);
            case FilterAction.SECCOMP_RET_ERRNO:
                return Deny(new SysResult(-Math.Min(data, SeccompModes.MaxErrno)));
            case FilterAction.SECCOMP_RET_TRAP:
                return Deny(Trap((int)data));
            case FilterAction.SECCOMP_RET_TRACE or FilterAction.SECCOMP_RET_USER_NOTIF:
                // Nobody traces, and nobody listens.
                return Deny(Errno.ENOSYS);
            case FilterAction.SECCOMP_RET_KILL_THREAD when Group.ThreadCount > 1:
                return Deny(EndOfThread(Signal.SIGSYS));
            default:
                Group.BeginExit(Signal.SIGSYS);
                return Deny(Errno.ENOSYS);
        }
    }

    private SysResult EndOfThread(int status)
    {
        RequestExit(status);
        return Errno.ENOSYS;
    }

    /// <summary>SIGSYS for a call that does not take place; its number stays in rax.</summary>
    private SysResult Trap(int data)
    {
        ref GuestRegisters regs = ref Thread.Registers;
        regs.Rax = (uint)Args.Number;
        ForceSignal(new SigInfo
        {
            Signo = Signal.SIGSYS,
            ErrorNumber = data,
            Code = SeccompModes.SYS_SECCOMP,
            CallAddress = regs.Rip,
            SystemCall = (int)Args.Number,
            Architecture = CallFilter.Architecture,
        });
        return RegistersAreSet;
    }

    private SysResult Deny(SysResult result)
    {
        if (Tracer.Active)
        {
            Tracer.Enter(this, in Args);
            Tracer.Leave(this, in Args, result);
        }
        return result;
    }
}
