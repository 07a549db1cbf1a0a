using System.Runtime.InteropServices;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Platform;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>ptrace(2): requests about the relation and about how a traced thread goes on. Those about what it holds are in the other half.</summary>
internal static partial class PtraceSyscalls
{
    private const long PTRACE_TRACEME = 0, PTRACE_PEEKTEXT = 1, PTRACE_PEEKDATA = 2, PTRACE_PEEKUSER = 3, PTRACE_POKETEXT = 4, PTRACE_POKEDATA = 5,
        PTRACE_POKEUSER = 6, PTRACE_CONT = 7, PTRACE_KILL = 8, PTRACE_SINGLESTEP = 9, PTRACE_GETREGS = 12, PTRACE_SETREGS = 13,
        PTRACE_GETFPREGS = 14, PTRACE_SETFPREGS = 15, PTRACE_ATTACH = 16, PTRACE_DETACH = 17, PTRACE_SYSCALL = 24, PTRACE_SETOPTIONS = 0x4200,
        PTRACE_GETEVENTMSG = 0x4201, PTRACE_GETSIGINFO = 0x4202, PTRACE_SETSIGINFO = 0x4203, PTRACE_GETREGSET = 0x4204,
        PTRACE_SETREGSET = 0x4205, PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207, PTRACE_LISTEN = 0x4208, PTRACE_GETSIGMASK = 0x420a,
        PTRACE_SETSIGMASK = 0x420b, PTRACE_GET_SYSCALL_INFO = 0x420e;

    /// <summary>ptrace(2).</summary>
    [Syscall(101, "ptrace", Support.Partial, Note = "no debug registers, no SYSEMU, no seccomp events, no branch steps; what attaches finds calls that Moat has patched")]
    public static SysResult PTrace(Task task, long request, int pid, ulong address, ulong data)
    {
        ProcessTree tree = task.Sentry.Processes;
        if (request == PTRACE_TRACEME)
            return TraceMe(task);
        if (task.Sentry.Tasks.Find(pid) is not { } target)
            return Errno.ESRCH;
        if (request is PTRACE_ATTACH or PTRACE_SEIZE)
            return Attach(task, target, request == PTRACE_SEIZE, address, data);
        Tracing? t;
        lock (tree.Lock)
        {
            t = target.Tracing;
            if (t is null || t.Tracer != task)
                return Errno.ESRCH;
            if (request == PTRACE_KILL)
            {
                target.Group.BeginExit(Signal.SIGKILL);
                return 0;
            }
            if (request == PTRACE_INTERRUPT)
                return Interrupt(target, t);
            if (!t.IsStopped || t.IsListening)
                return Errno.ESRCH;
            switch (request)
            {
                case PTRACE_CONT or PTRACE_SYSCALL or PTRACE_SINGLESTEP or PTRACE_DETACH:
                    if (data > 64)
                        return Errno.EIO;
                    ProcessTree.Resume(target, t, request == PTRACE_SYSCALL ? TraceMode.Syscall : request == PTRACE_SINGLESTEP ? TraceMode.Step : TraceMode.Continue,
                        (int)data, request == PTRACE_DETACH);
                    return 0;
                case PTRACE_LISTEN:
                    if (!t.IsSeized || t.Status >> 16 != (int)TraceEvent.Stop)
                        return Errno.EIO;
                    t.IsListening = true;
                    target.Wake();
                    return 0;
            }
        }
        // It stays stopped: only its tracer, which is here, lets it go on. If it is killed meanwhile, nothing it holds matters any more.
        return Inspect(task, target, t, request, address, data);
    }

    private static SysResult TraceMe(Task task)
    {
        ThreadGroup? parent = task.Group.Parent;
        if (parent is null || task.Group.Creator is not { } tracer)
            return Errno.EPERM;
        return task.Sentry.Processes.Trace(tracer, task, 0, seized: false) == Errno.OK ? 0 : Errno.EPERM;
    }

    private static SysResult Attach(Task task, Task target, bool seizes, ulong address, ulong data)
    {
        if (seizes && (address != 0 || (data & ~(ulong)TraceOptions.All) != 0))
            return Errno.EIO;
        if (target.Group == task.Group || !ProcessMemorySyscalls.MayAccess(task, target))
            return Errno.EPERM;
        Errno error = task.Sentry.Processes.Trace(task, target, seizes ? (TraceOptions)data : 0, seizes);
        if (error == Errno.OK && !seizes)
            target.Send(new SigInfo { Signo = Signal.SIGSTOP, Code = Signal.SI_USER, Pid = task.Group.Id, Uid = task.Credentials.Uid });
        return error == Errno.ESRCH ? Errno.EPERM : error;
    }

    private static SysResult Interrupt(Task target, Tracing t)
    {
        if (!t.IsSeized)
            return Errno.EIO;
        t.TrapIsDue = true;
        target.Interrupt();
        // One that listens looks at once.
        target.Wake();
        return 0;
    }

    private static SysResult Inspect(Task task, Task target, Tracing t, long request, ulong address, ulong data)
    {
        MemoryManager mm = task.Mm;
        switch (request)
        {
            case PTRACE_PEEKTEXT or PTRACE_PEEKDATA:
                return Peek(task, target, address, data);
            case PTRACE_POKETEXT or PTRACE_POKEDATA:
                return Poke(target, address, data);
            case PTRACE_PEEKUSER:
                return PeekUser(task, target, t, address, data);
            case PTRACE_POKEUSER:
                return PokeUser(target, t, address, data);
            case PTRACE_GETREGS:
                UserRegisters regs = ReadRegisters(target, t);
                return mm.CopyOut(new UserPtr(data), MemoryMarshal.AsBytes(new ReadOnlySpan<UserRegisters>(in regs)));
            case PTRACE_SETREGS:
                Errno error = mm.Read(new UserPtr<UserRegisters>(data), out regs);
                return error != Errno.OK ? error : WriteRegisters(target, t, in regs);
            case PTRACE_GETFPREGS:
                return mm.CopyOut(new UserPtr(data), target.Thread.FpuState[..FpuBytes]);
            case PTRACE_SETFPREGS:
                return WriteFpu(task, target, new UserPtr(data), FpuBytes);
            case PTRACE_GETREGSET or PTRACE_SETREGSET:
                return RegisterSet(task, target, t, request == PTRACE_SETREGSET, address, new UserPtr<UserIoVec>(data));
            case PTRACE_SETOPTIONS:
                if ((data & ~(ulong)TraceOptions.All) != 0)
                    return Errno.EINVAL;
                t.Options = (TraceOptions)data;
                return 0;
            case PTRACE_GETEVENTMSG:
                return mm.Write(new UserPtr<ulong>(data), t.Message);
            case PTRACE_GETSIGINFO:
                return t.HasInfo ? mm.Write(new UserPtr<SigInfo>(data), t.Info) : Errno.EINVAL;
            case PTRACE_SETSIGINFO:
                return t.HasInfo ? mm.Read(new UserPtr<SigInfo>(data), out t.Info) : Errno.EINVAL;
            case PTRACE_GETSIGMASK:
                return address != 8 ? Errno.EINVAL : mm.Write(new UserPtr<ulong>(data), target.Blocked);
            case PTRACE_SETSIGMASK:
                if (address != 8)
                    return Errno.EINVAL;
                error = mm.Read(new UserPtr<ulong>(data), out ulong mask);
                if (error == Errno.OK)
                    target.SetBlocked(mask);
                return error;
            case PTRACE_GET_SYSCALL_INFO:
                return SyscallInfo(task, target, t, address, new UserPtr(data));
            default:
                return Errno.EIO;
        }
    }

    private static SysResult Peek(Task task, Task target, ulong address, ulong data)
    {
        if (!target.Mm.TryAddUser())
            return Errno.ESRCH;
        Errno error = target.Mm.Read(new UserPtr<ulong>(address), out ulong word);
        target.Mm.DropUser();
        return error != Errno.OK ? Errno.EIO : task.Mm.Write(new UserPtr<ulong>(data), word);
    }

    /// <summary>Writes a word, into memory that its owner may not write as well: that is how breakpoints get there.</summary>
    private static SysResult Poke(Task target, ulong address, ulong word)
    {
        MemoryManager mm = target.Mm;
        if (!mm.TryAddUser())
            return Errno.ESRCH;
        Errno error = mm.Overwrite(address, MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in word)));
        mm.DropUser();
        return error == Errno.OK ? 0 : Errno.EIO;
    }
}
