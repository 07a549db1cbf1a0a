using Iced.Intel;
using Moat.Host;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Platform.Trap;

/// <summary>
/// What a guest thread runs between its events: the signal handler, the wait for the sentry, the way back. The guest
/// can jump anywhere into it with any registers; it can do nothing here that it could not do itself, and its filter
/// holds for the host calls.
/// </summary>
internal sealed partial class StubGuestCode
{
    private const int SYS_rt_sigreturn = 15, SYS_exit = 60, SYS_arch_prctl = 158, SYS_futex = 202;
    private const int ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002;

    private readonly bool _useFsGsBase, _tellsCore = HostCpu.HasRdpid;

    public StubGuestCode(bool useFsGsBase)
    {
        _useFsGsBase = useFsGsBase;
        Code = new Assembler(64);
        CreateFastLabels();
        Assemble();
    }

    /// <summary>The code; the signal handler is its first instruction.</summary>
    public Assembler Code { get; }

    // rbx: slot. r12d: number of the event that waits for its reply.
    private void Assemble()
    {
        Assembler c = Code;
        Label signal = c.CreateLabel(), publish = c.CreateLabel(), wait = c.CreateLabel(), spin = c.CreateLabel();
        Label sleep = c.CreateLabel(), again = c.CreateLabel(), awake = c.CreateLabel(), reply = c.CreateLabel();
        Label number = c.CreateLabel(), resume = c.CreateLabel(), bases = c.CreateLabel(), other = c.CreateLabel();
        Label result = c.CreateLabel(), exit = c.CreateLabel(), interrupt = c.CreateLabel(), fault = c.CreateLabel();

        // rdi: signal, rsi: siginfo_t, rdx: ucontext. The host leaves the guest's AC flag set: every access is aligned.
        c.mov(rbx, rsp);
        c.and(rbx, -(int)Slot.Size);
        c.mov(__qword_ptr[rbx + Slot.Context], rdx);
        if (_useFsGsBase)
        {
            c.rdfsbase(rax);
            c.mov(__qword_ptr[rbx + Slot.FsBase], rax);
            c.rdgsbase(rax);
            c.mov(__qword_ptr[rbx + Slot.GsBase], rax);
        }

        c.mov(eax, __dword_ptr[rsi + Slot.InfoCode]);
        c.mov(ecx, __dword_ptr[rsi + 28]); // si_arch
        c.cmp(edi, 31); // SIGSYS
        c.jne(interrupt);
        c.cmp(eax, 1); // SYS_SECCOMP
        c.jne(signal);
        c.cmp(ecx, unchecked((int)SeccompData.AuditArchX86_64));
        c.jne(signal);
        // rax, rdi, rsi, rdx, r10, r8, r9 of the frame: positions in mcontext_t.
        ReadOnlySpan<int> call = [13, 8, 9, 12, 2, 0, 1];
        AssemblerRegister64[] copies = [rax, rcx, rsi, rdi, r8, r9, r10];
        for (var i = 0; i < call.Length; i++)
            c.mov(copies[i], __qword_ptr[rdx + Slot.ContextRegisters + 8 * call[i]]);
        c.mov(__dword_ptr[rbx + Slot.Number], eax);
        c.mov(ebp, Slot.KindCall);
        for (var i = 1; i < call.Length; i++)
            c.mov(__qword_ptr[rbx + Slot.Arguments + 8 * (i - 1)], copies[i]);
        c.jmp(publish);

        c.Label(ref interrupt);
        c.cmp(edi, TrapThread.InterruptSignal);
        c.jne(fault);
        CheckFastPath(signal);
        c.Label(ref fault);
        CheckGatherFault(signal);

        c.Label(ref signal);
        c.mov(__dword_ptr[rbx + Slot.SignalNumber], edi);
        c.mov(__dword_ptr[rbx + Slot.SignalCode], eax);
        c.mov(__qword_ptr[rbx + Slot.SignalInfo], rsi);
        c.mov(__dword_ptr[rbx + Slot.SignalArch], ecx);
        c.mov(ebp, Slot.KindSignal);

        // ebp: kind.
        c.Label(ref publish);
        if (_tellsCore)
        {
            c.rdpid(r13);
            c.shl(r13d, Slot.CoreShift);
            c.or(ebp, r13d);
        }

        c.mov(__word_ptr[rbx + Slot.Kind], bp);
        c.mov(r12d, __dword_ptr[rbx + Slot.Event]);
        c.inc(r12d);
        c.jnz(number);
        c.inc(r12d);
        c.Label(ref number);
        c.mov(eax, r12d);
        c.xchg(__dword_ptr[rbx + Slot.Event], eax);
        c.cmp(__dword_ptr[rbx + Slot.SentrySleeps], 0);
        c.je(wait);
        Futex(Slot.Event, operation: 1, 1);

        c.Label(ref wait);
        SleepBesideSentry(__word_ptr[rbx + Slot.Kind], __word_ptr[rbx + Slot.Operation], sleep);
        c.xor(ecx, ecx);
        c.Label(ref spin);
        c.cmp(__dword_ptr[rbx + Slot.Command], r12d);
        c.je(reply);
        // The sentry withdraws the permission to spin at any time.
        c.cmp(ecx, __dword_ptr[rbx + Slot.Spins]);
        c.jae(sleep);
        c.pause();
        c.inc(ecx);
        c.jmp(spin);

        c.Label(ref sleep);
        c.mov(eax, 1);
        c.xchg(__dword_ptr[rbx + Slot.StubSleeps], eax);
        c.Label(ref again);
        c.mov(edx, __dword_ptr[rbx + Slot.Command]);
        c.cmp(edx, r12d);
        c.je(awake);
        Futex(Slot.Command, operation: 0, null);
        c.jmp(again);
        c.Label(ref awake);
        c.mov(__dword_ptr[rbx + Slot.StubSleeps], 0);

        c.Label(ref reply);
        c.mov(rsp, __qword_ptr[rbx + Slot.Context]);
        c.movzx(eax, __word_ptr[rbx + Slot.Operation]);
        c.and(eax, Slot.KindMask);
        c.cmp(eax, Slot.OpResult);
        c.jne(result);
        c.mov(rcx, __qword_ptr[rbx + Slot.Result]);
        c.mov(__qword_ptr[rsp + Slot.ContextRax], rcx);
        c.mov(eax, Slot.OpResume);
        c.Label(ref result);
        c.cmp(eax, Slot.OpResume);
        c.jne(other);
        c.mov(r13d, __dword_ptr[rbx + Slot.CommandArguments]);
        c.test(r13d, r13d);
        c.jnz(bases);
        c.Label(ref resume);
        c.mov(eax, SYS_rt_sigreturn);
        c.syscall();
        c.hlt();

        c.Label(ref bases);
        SetBases(resume);

        c.Label(ref other);
        c.cmp(eax, Slot.OpSystemCall);
        c.jne(exit);
        c.mov(eax, __dword_ptr[rbx + Slot.Result]);
        AssemblerRegister64[] arguments = [rdi, rsi, rdx, r10, r8, r9];
        for (var i = 0; i < arguments.Length; i++)
            c.mov(arguments[i], __qword_ptr[rbx + Slot.CommandArguments + 8 * i]);
        c.syscall();
        c.mov(__qword_ptr[rbx + Slot.HostResult], rax);
        c.mov(ebp, Slot.KindDone);
        c.jmp(publish);

        c.Label(ref exit);
        c.xor(edi, edi);
        c.mov(eax, SYS_exit);
        c.syscall();
        c.hlt();
        FastPath();
    }

    // A sentry thread that ran on this core, by its last reply, cannot run while this thread spins. ecx is lost.
    private void SleepBesideSentry(AssemblerMemoryOperand kind, AssemblerMemoryOperand operation, Label sleep)
    {
        if (!_tellsCore)
            return;
        Assembler c = Code;
        c.movzx(ecx, kind);
        c.xor(cx, operation);
        c.shr(cx, Slot.CoreShift);
        c.jz(sleep);
    }

    private void SetBases(Label resume)
    {
        Assembler c = Code;
        Label noFs = c.CreateLabel();
        c.test(r13d, 1);
        c.jz(noFs);
        SetBase(ARCH_SET_FS, Slot.CommandArguments + 8);
        c.Label(ref noFs);
        c.test(r13d, 2);
        c.jz(resume);
        SetBase(ARCH_SET_GS, Slot.CommandArguments + 16);
        c.jmp(resume);
    }

    private void SetBase(int code, int field)
    {
        Assembler c = Code;
        c.mov(rsi, __qword_ptr[rbx + field]);
        if (_useFsGsBase)
        {
            if (code == ARCH_SET_FS)
                c.wrfsbase(rsi);
            else
                c.wrgsbase(rsi);
            return;
        }

        c.mov(edi, code);
        c.mov(eax, SYS_arch_prctl);
        c.syscall();
    }

    // The value is in edx already when it is null.
    private void Futex(int word, int operation, int? value)
    {
        Assembler c = Code;
        c.lea(rdi, __[rbx + word]);
        c.mov(esi, operation);
        if (value is { } v)
            c.mov(edx, v);
        c.xor(r10d, r10d);
        c.mov(eax, SYS_futex);
        c.syscall();
    }
}
