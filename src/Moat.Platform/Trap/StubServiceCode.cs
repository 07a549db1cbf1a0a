using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Platform.Trap;

/// <summary>
/// The service thread: the stub's first thread, which makes the host calls that guest threads may not make. The guest
/// shares its memory, so it keeps its state in registers, uses no stack, takes its orders from pages that the guest
/// can only read, and answers through a descriptor with bytes from such pages.
/// </summary>
internal sealed class StubServiceCode
{
    private const int SYS_write = 1, SYS_close = 3, SYS_mmap = 9, SYS_rt_sigprocmask = 14, SYS_pwrite64 = 18, SYS_dup2 = 33, SYS_clone = 56, SYS_exit = 60,
        SYS_getppid = 110, SYS_sigaltstack = 131, SYS_prctl = 157, SYS_futex = 202, SYS_exit_group = 231, SYS_seccomp = 317;

    private const int MapSharedFixedNoReplace = 0x100001, MapSharedFixed = 0x11;
    private const int CLONE_VM = 0x100;

    private readonly int _sentryPid;

    public StubServiceCode(int sentryPid)
    {
        _sentryPid = sentryPid;
        Code = new Assembler(64);
        Assemble();
    }

    /// <summary>The code; the program begins at its first instruction.</summary>
    public Assembler Code { get; }

    private void Assemble()
    {
        Assembler c = Code;
        Label loop = c.CreateLabel(), thread = c.CreateLabel(), process = c.CreateLabel();
        Boot(loop);
        Loop(loop, thread, process);
        NewThread(thread);
        NewProcess(process, loop);
    }

    private void Boot(Label loop)
    {
        Assembler c = Code;
        Label die = c.CreateLabel(), environment = c.CreateLabel(), auxiliary = c.CreateLabel();
        Label next = c.CreateLabel();
        c.mov(rcx, __qword_ptr[rsp]);
        c.lea(rsi, __[rsp + rcx * 8 + 16]); // past argc, argv and its zero
        c.Label(ref environment);
        c.lodsq();
        c.test(rax, rax);
        c.jnz(environment);
        c.xor(r13d, r13d);
        c.Label(ref auxiliary);
        c.lodsq();
        c.mov(rdx, rax);
        c.lodsq();
        c.cmp(rdx, 33); // AT_SYSINFO_EHDR
        c.jne(next);
        c.mov(r13, rax);
        c.Label(ref next);
        c.test(rdx, rdx);
        c.jnz(auxiliary);

        DieWithSentry(die);
        MapSlots(StubLayout.SlotsFd, MapSharedFixedNoReplace, die);
        c.mov(rbp, (long)StubLayout.Slots);
        c.mov(__qword_ptr[rbp + Control.BootVdso], r13);
        c.xor(r12d, r12d); // The sentry has left request 1, which is empty.
        c.jmp(loop);
        Die(die);
    }

    // rbp: control area. r12d: last request. rbx: call. r13d: calls left. r14d: first error.
    private void Loop(Label loop, Label thread, Label process)
    {
        Assembler c = Code;
        Label have = c.CreateLabel(), call = c.CreateLabel();
        Label run = c.CreateLabel(), next = c.CreateLabel(), done = c.CreateLabel(), ok = c.CreateLabel();
        Label error = c.CreateLabel(), notClone = c.CreateLabel(), poke = c.CreateLabel();
        c.Label(ref loop);
        c.mov(eax, __dword_ptr[rbp + Control.Request]);
        c.cmp(eax, r12d);
        c.jne(have);
        c.lea(rdi, __[rbp + Control.Request]);
        c.xor(esi, esi); // FUTEX_WAIT
        c.mov(edx, r12d);
        c.xor(r10d, r10d);
        c.mov(eax, SYS_futex);
        c.syscall();
        c.jmp(loop);

        c.Label(ref have);
        c.mov(r12d, eax);
        c.xor(r14d, r14d);
        c.mov(r13d, __dword_ptr[rbp + Control.Count]);
        c.lea(rbx, __[rbp + Control.Calls]);
        c.Label(ref call);
        c.test(r13d, r13d);
        c.jz(done);
        c.test(r14d, r14d);
        c.jz(run);
        c.test(__dword_ptr[rbx + 4], (int)Control.Always);
        c.jz(next);
        c.Label(ref run);
        AssemblerRegister64[] arguments = [rdi, rsi, rdx, r10, r8, r9];
        for (var i = 0; i < arguments.Length; i++)
            c.mov(arguments[i], __qword_ptr[rbx + 16 + 8 * i]);
        c.mov(eax, __dword_ptr[rbx]);
        c.cmp(eax, (int)Control.Poke);
        c.je(poke);
        c.mov(r15d, eax);
        c.syscall();
        c.cmp(r15d, SYS_clone);
        c.jne(notClone);
        c.test(rax, rax);
        c.jnz(notClone);
        c.test(edi, CLONE_VM);
        c.jnz(thread);
        c.jmp(process);
        c.Label(ref notClone);
        c.cmp(rax, -4095);
        c.jb(next);
        c.test(__dword_ptr[rbx + 4], (int)Control.IgnoreError);
        c.jnz(next);
        c.test(r14d, r14d);
        c.jnz(next);
        c.mov(r14d, eax);
        c.neg(r14d);
        c.Label(ref next);
        c.add(rbx, Control.CallSize);
        c.dec(r13d);
        c.jmp(call);

        // The sentry has made the page writable; should it be gone, the stub dies of it.
        c.Label(ref poke);
        c.mov(__qword_ptr[rdi], rsi);
        c.jmp(next);

        c.Label(ref done);
        c.test(r14d, r14d);
        c.jz(ok);
        c.cmp(r14d, StubLayout.ErrorCount - 1);
        c.jbe(error);
        c.mov(r14d, StubLayout.ErrorCount - 1);
        c.Label(ref error);
        c.mov(rsi, (long)(StubLayout.Data + StubLayout.ErrorTable));
        c.lea(rsi, __[rsi + r14 * 4]);
        Report(Control.Error);
        c.Label(ref ok);
        c.lea(rsi, __[rbp + Control.Request]);
        Report(Control.Done);
        c.lea(rdi, __[rbp + Control.Done]);
        c.mov(esi, 1); // FUTEX_WAKE
        c.mov(edx, 1);
        c.xor(r10d, r10d);
        c.mov(eax, SYS_futex);
        c.syscall();
        c.jmp(loop);
    }

    // A new guest thread, at the end of its boot stack, which it never touches: other guest threads can write it.
    private void NewThread(Label thread)
    {
        Assembler c = Code;
        Label die = c.CreateLabel();
        c.Label(ref thread);
        c.lea(rdi, __[rbp + Control.StackT]);
        c.xor(esi, esi);
        c.mov(eax, SYS_sigaltstack);
        c.syscall();
        c.test(rax, rax);
        c.jnz(die);
        Call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)(StubLayout.Data + StubLayout.EmptyMask), 0, 8);
        c.test(rax, rax);
        c.jnz(die);
        Call(SYS_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, 0, (long)(StubLayout.Data + StubLayout.GuestFilter), 0);
        c.test(rax, rax);
        c.jnz(die);
        // The trap makes the frame that the sentry fills for the first resume.
        c.mov(rcx, (long)(StubLayout.Data + StubLayout.TrapInstruction));
        c.jmp(rcx);
        c.Label(ref die);
        c.mov(edi, 1);
        c.mov(eax, SYS_exit);
        c.syscall();
        c.hlt();
    }

    // A copy of this process. The descriptors of its own slot file and socket were received just before; what it says on the socket
    // carries its process id, which nobody can forge.
    private void NewProcess(Label process, Label loop)
    {
        Assembler c = Code;
        Label die = c.CreateLabel();
        c.Label(ref process);
        DieWithSentry(die);
        MapSlots(StubLayout.ReceivedFd, MapSharedFixed, die);
        Map(StubLayout.ReceivedFd, MapSharedFixed, StubLayout.PatchTable, 0x1000, 1 /* PROT_READ */, Control.PatchTable);
        DieIfNegative(die);
        Map(StubLayout.ReceivedFd, MapSharedFixed, StubLayout.PatchCode, Control.PatchEnd - Control.PatchEntries, 5 /* PROT_READ | PROT_EXEC */,
            Control.PatchEntries);
        DieIfNegative(die);
        Call(SYS_dup2, StubLayout.ReceivedFd, StubLayout.SlotsFd);
        DieIfNegative(die);
        Call(SYS_dup2, StubLayout.ReceivedFd + 1, StubLayout.SocketFd);
        DieIfNegative(die);
        Call(SYS_close, StubLayout.ReceivedFd);
        Call(SYS_close, StubLayout.ReceivedFd + 1);
        c.xor(r12d, r12d);
        Call(SYS_write, StubLayout.SocketFd, (long)StubLayout.Data, 1);
        c.jmp(loop);
        Die(die);
    }

    // The sentry may have died before the signal was armed.
    private void DieWithSentry(Label die)
    {
        Assembler c = Code;
        Call(SYS_prctl, 1 /* PR_SET_PDEATHSIG */, 9 /* SIGKILL */, 0, 0);
        Call(SYS_getppid);
        c.cmp(eax, _sentryPid);
        c.jne(die);
    }

    private void DieIfNegative(Label die)
    {
        Code.test(rax, rax);
        Code.js(die);
    }

    private void Die(Label die)
    {
        Assembler c = Code;
        c.Label(ref die);
        c.mov(edi, 1);
        c.mov(eax, SYS_exit_group);
        c.syscall();
        c.hlt();
    }

    // The control area's first half can only be read.
    private void MapSlots(int fd, int flags, Label die)
    {
        Map(fd, flags, StubLayout.Slots, Control.Scratch, 1 /* PROT_READ */, 0);
        DieIfNegative(die);
        Map(fd, flags, StubLayout.Slots + Control.Scratch, StubLayout.SlotsSize - Control.Scratch, 3, Control.Scratch);
        DieIfNegative(die);
    }

    // pwrite of four bytes at rsi to a word of the control area.
    private void Report(int word)
    {
        Assembler c = Code;
        c.mov(edi, StubLayout.SlotsFd);
        c.mov(edx, 4);
        c.mov(r10d, word);
        c.mov(eax, SYS_pwrite64);
        c.syscall();
    }

    private void Map(int fd, int flags, ulong address, ulong length, int prot, ulong offset)
    {
        Assembler c = Code;
        c.mov(r8d, fd);
        c.mov(r9d, (int)offset);
        Call(SYS_mmap, (long)address, (long)length, prot, flags);
    }

    private void Call(int nr, params ReadOnlySpan<long> arguments)
    {
        Assembler c = Code;
        AssemblerRegister64[] registers = [rdi, rsi, rdx, r10];
        for (var i = 0; i < arguments.Length; i++)
            c.mov(registers[i], arguments[i]);
        c.mov(eax, nr);
        c.syscall();
    }
}
