using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Kernel.Seccomp;
using Moat.Kernel.Tasks;
using Moat.Platform;

namespace Moat.Kernel.Syscalls;

/// <summary>struct user_regs_struct: a thread's registers as tracers see them.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UserRegisters
{
    public ulong R15, R14, R13, R12, Rbp, Rbx, R11, R10, R9, R8, Rax, Rcx, Rdx, Rsi, Rdi, OriginalRax, Rip, Cs, Rflags, Rsp, Ss, FsBase, GsBase, Ds, Es, Fs, Gs;
}

/// <summary>What a stopped thread holds in registers.</summary>
internal static partial class PtraceSyscalls
{
    private const int FpuBytes = 512;
    private const ulong UserBytes = 928, DebugRegisters = 848;

    // What a program may change of rflags itself, and the trap flag.
    private const ulong Changeable = 0x250dd5;

    private static UserRegisters ReadRegisters(Task target, Tracing t)
    {
        GuestRegisters r = target.Thread.Registers;
        return new UserRegisters
        {
            R15 = r.R15,
            R14 = r.R14,
            R13 = r.R13,
            R12 = r.R12,
            Rbp = r.Rbp,
            Rbx = r.Rbx,
            R11 = r.R11,
            R10 = r.R10,
            R9 = r.R9,
            R8 = r.R8,
            Rax = r.Rax,
            Rcx = r.Rcx,
            Rdx = r.Rdx,
            Rsi = r.Rsi,
            Rdi = r.Rdi,
            OriginalRax = t.OriginalRax,
            Rip = r.Rip,
            Cs = r.Cs,
            Rflags = r.Rflags,
            Rsp = r.Rsp,
            Ss = r.Ss,
            FsBase = t.FsBase,
            GsBase = t.GsBase,
        };
    }

    /// <summary>EIO for segments that a program cannot have. The rest may be anything: it is the guest's own.</summary>
    private static SysResult WriteRegisters(Task target, Tracing t, in UserRegisters from)
    {
        ulong most = target.Sentry.Platform.MaxAddress;
        ref GuestRegisters r = ref target.Thread.Registers;
        if (from.Cs != r.Cs || from.Ss != r.Ss || from.FsBase >= most || from.GsBase >= most)
            return Errno.EIO;
        (r.R15, r.R14, r.R13, r.R12, r.Rbp, r.Rbx) = (from.R15, from.R14, from.R13, from.R12, from.Rbp, from.Rbx);
        (r.R11, r.R10, r.R9, r.R8, r.Rax, r.Rcx) = (from.R11, from.R10, from.R9, from.R8, from.Rax, from.Rcx);
        (r.Rdx, r.Rsi, r.Rdi, r.Rip, r.Rsp) = (from.Rdx, from.Rsi, from.Rdi, from.Rip, from.Rsp);
        r.Rflags = (r.Rflags & ~Changeable) | (from.Rflags & Changeable);
        t.OriginalRax = from.OriginalRax;
        t.FsBase = from.FsBase;
        t.GsBase = from.GsBase;
        return 0;
    }

    private static SysResult PeekUser(Task task, Task target, Tracing t, ulong offset, ulong data)
    {
        if ((offset & 7) != 0 || offset >= UserBytes)
            return Errno.EIO;
        UserRegisters regs = ReadRegisters(target, t);
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<UserRegisters, ulong>(new ReadOnlySpan<UserRegisters>(in regs));
        return task.Mm.Write(new UserPtr<ulong>(data), offset / 8 < (ulong)words.Length ? words[(int)(offset / 8)] : 0);
    }

    private static SysResult PokeUser(Task target, Tracing t, ulong offset, ulong word)
    {
        if ((offset & 7) != 0 || offset >= UserBytes)
            return Errno.EIO;
        UserRegisters regs = ReadRegisters(target, t);
        Span<ulong> words = MemoryMarshal.Cast<UserRegisters, ulong>(new Span<UserRegisters>(ref regs));
        if (offset / 8 >= (ulong)words.Length)
            return offset >= DebugRegisters && word == 0 ? 0 : Errno.EIO;
        words[(int)(offset / 8)] = word;
        return WriteRegisters(target, t, in regs);
    }

    private static SysResult WriteFpu(Task task, Task target, UserPtr from, int length)
    {
        Span<byte> state = target.Thread.FpuState;
        byte[] changed = state.ToArray();
        Errno error = task.Mm.CopyIn(from, changed.AsSpan(0, Math.Min(length, changed.Length)));
        if (error == Errno.OK)
            target.Thread.RestoreFpuState(changed);
        return error;
    }

    private static SysResult RegisterSet(Task task, Task target, Tracing t, bool writes, ulong set, UserPtr<UserIoVec> address)
    {
        const ulong NT_PRSTATUS = 1, NT_PRFPREG = 2, NT_X86_XSTATE = 0x202;
        Errno error = task.Mm.Read(address, out UserIoVec vector);
        if (error != Errno.OK)
            return error;
        int size = set switch
        {
            NT_PRSTATUS => Unsafe.SizeOf<UserRegisters>(),
            NT_PRFPREG => FpuBytes,
            NT_X86_XSTATE => target.Thread.FpuState.Length,
            _ => 0,
        };
        if (size == 0 || vector.Length % 8 != 0)
            return Errno.EINVAL;
        int length = (int)Math.Min((ulong)size, vector.Length);
        UserPtr there = new(vector.Address);
        UserRegisters regs = ReadRegisters(target, t);
        SysResult result;
        if (set == NT_PRSTATUS)
        {
            Span<byte> bytes = MemoryMarshal.AsBytes(new Span<UserRegisters>(ref regs))[..length];
            result = writes ? task.Mm.CopyIn(there, bytes) : task.Mm.CopyOut(there, bytes);
            if (writes && !result.IsError)
                result = WriteRegisters(target, t, in regs);
        }
        else
        {
            result = writes ? WriteFpu(task, target, there, length) : task.Mm.CopyOut(there, target.Thread.FpuState[..length]);
        }
        vector.Length = (ulong)length;
        return result.IsError ? result : task.Mm.Write(address, vector);
    }

    /// <summary>struct ptrace_syscall_info.</summary>
    private static SysResult SyscallInfo(Task task, Task target, Tracing t, ulong room, UserPtr to)
    {
        const int HeaderBytes = 24, EntryBytes = HeaderBytes + (7 * 8), ExitBytes = HeaderBytes + 9;
        GuestRegisters r = target.Thread.Registers;
        Span<ulong> words = stackalloc ulong[11];
        words.Clear();
        words[0] = (uint)t.Phase | ((ulong)CallFilter.Architecture << 32);
        words[1] = r.Rip;
        words[2] = r.Rsp;
        int size = HeaderBytes;
        if (t.Phase == TracePhase.Entry)
        {
            size = EntryBytes;
            ReadOnlySpan<ulong> call = [t.OriginalRax, r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9];
            call.CopyTo(words[3..]);
        }
        else if (t.Phase == TracePhase.Exit)
        {
            size = ExitBytes;
            words[3] = r.Rax;
            words[4] = (long)r.Rax is < 0 and >= -4095 ? 1UL : 0;
        }
        Errno error = task.Mm.CopyOut(to, MemoryMarshal.AsBytes(words)[..(int)Math.Min((ulong)size, room)]);
        return error != Errno.OK ? error : size;
    }
}
