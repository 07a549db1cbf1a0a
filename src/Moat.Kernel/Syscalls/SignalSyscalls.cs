using Moat.Kernel.Signals;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>Signals: handlers, masks, waiting.</summary>
internal static class SignalSyscalls
{
    /// <summary>rt_sigaction(2).</summary>
    [Syscall(13, "rt_sigaction", Support.Full)]
    public static SysResult RtSigAction(Task task, int signal, UserPtr<SigAction> action, UserPtr<SigAction> old, nuint setSize)
    {
        const SigActionFlags Known = SigActionFlags.SA_NOCLDSTOP | SigActionFlags.SA_NOCLDWAIT | SigActionFlags.SA_SIGINFO
            | SigActionFlags.SA_EXPOSE_TAGBITS | SigActionFlags.SA_RESTORER | SigActionFlags.SA_ONSTACK | SigActionFlags.SA_RESTART
            | SigActionFlags.SA_NODEFER | SigActionFlags.SA_RESETHAND;
        if (setSize != Signal.SetSize)
            return Errno.EINVAL;
        SigAction wanted = default;
        if (!action.IsNull && task.Mm.Read(action, out wanted) != Errno.OK)
            return Errno.EFAULT;
        if (!Signal.IsValid(signal) || (!action.IsNull && (SignalActions.Unblockable & Signal.Bit(signal)) != 0))
            return Errno.EINVAL;
        SigAction before;
        if (action.IsNull)
        {
            before = task.Group.Actions.Get(signal);
        }
        else
        {
            wanted.Flags &= Known;
            wanted.Mask &= ~SignalActions.Unblockable;
            before = task.Group.SetAction(signal, in wanted);
        }
        return old.IsNull ? 0 : task.Mm.Write(old, in before);
    }

    /// <summary>rt_sigprocmask(2).</summary>
    [Syscall(14, "rt_sigprocmask", Support.Full)]
    public static SysResult RtSigProcMask(Task task, int how, UserPtr<ulong> set, UserPtr<ulong> old, nuint setSize)
    {
        if (setSize != Signal.SetSize)
            return Errno.EINVAL;
        ulong before = task.Blocked;
        if (!set.IsNull)
        {
            if (task.Mm.Read(set, out ulong bits) != Errno.OK)
                return Errno.EFAULT;
            switch (how)
            {
                case Signal.SIG_BLOCK:
                    task.SetBlocked(before | (bits & ~SignalActions.Unblockable));
                    break;
                case Signal.SIG_UNBLOCK:
                    task.SetBlocked(before & ~bits);
                    break;
                case Signal.SIG_SETMASK:
                    task.SetBlocked(bits);
                    break;
                default:
                    return Errno.EINVAL;
            }
        }
        return old.IsNull ? 0 : task.Mm.Write(old, before);
    }

    /// <summary>rt_sigpending(2).</summary>
    [Syscall(127, "rt_sigpending", Support.Full)]
    public static SysResult RtSigPending(Task task, UserPtr set, nuint setSize)
    {
        if (setSize > Signal.SetSize)
            return Errno.EINVAL;
        ulong bits = task.GetPendingSet() & task.Blocked;
        return task.Mm.CopyOut(set, BitConverter.GetBytes(bits).AsSpan(0, (int)setSize));
    }

    /// <summary>rt_sigsuspend(2).</summary>
    [Syscall(130, "rt_sigsuspend", Support.Full)]
    public static SysResult RtSigSuspend(Task task, UserPtr<ulong> set, nuint setSize)
    {
        if (setSize != Signal.SetSize)
            return Errno.EINVAL;
        if (task.Mm.Read(set, out ulong bits) != Errno.OK)
            return Errno.EFAULT;
        task.SetTemporaryMask(bits);
        return Pause(task);
    }

    /// <summary>pause(2).</summary>
    [Syscall(34, "pause", Support.Full)]
    public static SysResult Pause(Task task)
    {
        while (task.Block() == WaitOutcome.Woken)
        {
        }
        return Errno.ERESTARTNOHAND;
    }

    /// <summary>rt_sigtimedwait(2).</summary>
    [Syscall(128, "rt_sigtimedwait", Support.Full)]
    public static SysResult RtSigTimedWait(Task task, UserPtr<ulong> set, UserPtr<SigInfo> info, UserPtr<Timespec> timeout, nuint setSize)
    {
        if (setSize != Signal.SetSize)
            return Errno.EINVAL;
        if (task.Mm.Read(set, out ulong bits) != Errno.OK)
            return Errno.EFAULT;
        Errno error = PollSyscalls.ReadDeadline(task, timeout, out long deadline);
        if (error != Errno.OK)
            return error;
        SysResult signal = task.WaitForSignal(bits, deadline, out SigInfo taken);
        if (signal.IsError || info.IsNull)
            return signal;
        return task.Mm.Write(info, in taken) == Errno.OK ? signal : Errno.EFAULT;
    }

    /// <summary>sigaltstack(2).</summary>
    [Syscall(131, "sigaltstack", Support.Full)]
    public static SysResult SigAltStack(Task task, UserPtr<SignalStack> stack, UserPtr<SignalStack> old)
    {
        ulong sp = task.Thread.Registers.Rsp;
        SignalStack wanted = default;
        if (!stack.IsNull && task.Mm.Read(stack, out wanted) != Errno.OK)
            return Errno.EFAULT;
        SignalStack before = task.GetAlternateStack(sp);
        if (!stack.IsNull)
        {
            Errno error = task.SetAlternateStack(in wanted, sp, SignalStack.MINSIGSTKSZ);
            if (error != Errno.OK)
                return error;
        }
        return old.IsNull ? 0 : task.Mm.Write(old, in before);
    }

    /// <summary>rt_sigreturn(2): the end of a handler.</summary>
    [Syscall(15, "rt_sigreturn", Support.Full)]
    public static SysResult RtSigReturn(Task task)
    {
        if (!SignalFrame.Pop(task))
            task.ForceSignal(new SigInfo { Signo = Signal.SIGSEGV, Code = Signal.SI_KERNEL });
        return Task.RegistersAreSet;
    }

    /// <summary>restart_syscall(2): goes on with an interrupted call.</summary>
    [Syscall(219, "restart_syscall", Support.Full)]
    public static SysResult RestartSyscall(Task task) => task.Restart();
}
