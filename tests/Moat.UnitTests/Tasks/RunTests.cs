using Iced.Intel;
using Moat.Abi;
using Moat.Kernel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;
using Signal = Moat.Abi.Signal;

namespace Moat.UnitTests.Tasks;

public sealed class RunTests
{
    private const int NR_rt_sigaction = 13, NR_rt_sigreturn = 15, NR_pause = 34, NR_getpid = 39, NR_clone = 56, NR_exit = 60, NR_kill = 62,
        NR_gettid = 186, NR_tkill = 200, NR_futex = 202, NR_exit_group = 231;

    [Fact]
    public void TheExitCodeIsTheProgramsOwn()
        => Assert.Equal(new SentryExit(42, 0, Errno.OK), GuestProcess.Run(a => a.Call(NR_exit_group, 0x12a)));

    [Fact]
    public void TheFirstProcessIsNumberOne() => Assert.Equal(new SentryExit(1, 0, Errno.OK), GuestProcess.Run(a =>
    {
        a.Call(NR_getpid);
        a.ExitWithResult();
    }));

    [Fact]
    public void UnknownCallsAreNotThere() => Assert.Equal(new SentryExit(-(int)Errno.ENOSYS & 0xff, 0, Errno.OK), GuestProcess.Run(a =>
    {
        a.Call(100_000);
        a.ExitWithResult();
    }));

    [Fact]
    public void AFaultKills() => Assert.Equal(new SentryExit(0, Signal.SIGSEGV, Errno.OK), GuestProcess.Run(a =>
    {
        a.mov(rax, 0x1000UL);
        a.mov(eax, __dword_ptr[rax]);
    }));

    [Fact]
    public void AnInvalidInstructionKills()
        => Assert.Equal(new SentryExit(0, Signal.SIGILL, Errno.OK), GuestProcess.Run(a => a.ud2()));

    [Fact]
    public void ASignalFromOutsideReachesARunningGuest() => Assert.Equal(new SentryExit(0, Signal.SIGTERM, Errno.OK), GuestProcess.Run(
        a =>
        {
            Label loop = a.CreateLabel();
            a.Label(ref loop);
            a.jmp(loop);
        },
        sentry => sentry.SendSignal(Signal.SIGTERM)));

    [Fact]
    public void ASignalFromOutsideReachesASleepingGuest() => Assert.Equal(new SentryExit(0, Signal.SIGINT, Errno.OK), GuestProcess.Run(
        a => a.Call(NR_pause),
        sentry =>
        {
            Thread.Sleep(30);
            sentry.SendSignal(Signal.SIGINT);
        }));

    [Fact]
    public void AHandlerRunsAndRegistersComeBack() => Assert.Equal(new SentryExit(7, 0, Errno.OK), GuestProcess.Run(a =>
    {
        Label handler = a.CreateLabel("handler"), restorer = a.CreateLabel("restorer"), bad = a.CreateLabel("bad");
        InstallHandler(a, Signal.SIGUSR1, handler, restorer);
        a.mov(rbx, 0x1122334455667788UL);
        a.mov(r15, 0x99UL);
        a.pcmpeqd(xmm3, xmm3);
        a.Call(NR_kill, 1, Signal.SIGUSR1);
        a.test(rax, rax);
        a.jne(bad);
        a.mov(rcx, 0x1122334455667788UL);
        a.cmp(rbx, rcx);
        a.jne(bad);
        a.cmp(r15, 0x99);
        a.jne(bad);
        a.movq(rcx, xmm3);
        a.cmp(rcx, -1);
        a.jne(bad);
        a.mov(rcx, GuestProcess.Data);
        a.mov(edi, __dword_ptr[rcx]);
        a.mov(eax, NR_exit_group);
        a.syscall();
        a.Label(ref bad);
        a.Call(NR_exit_group, 99);
        a.Label(ref handler);
        a.mov(rcx, GuestProcess.Data);
        a.mov(__dword_ptr[rcx], 7);
        a.xor(ebx, ebx);
        a.xor(r15d, r15d);
        a.pxor(xmm3, xmm3);
        a.ret();
        a.Label(ref restorer);
        a.mov(eax, NR_rt_sigreturn);
        a.syscall();
    }));

    [Fact]
    public void AThreadWakesTheOneThatWaitsForItsEnd() => Assert.Equal(new SentryExit(5, 0, Errno.OK), GuestProcess.Run(a =>
    {
        // CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|PARENT_SETTID|CHILD_CLEARTID
        const ulong Flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x100000 | 0x200000;
        Label child = a.CreateLabel("child"), wait = a.CreateLabel("wait"), done = a.CreateLabel("done");
        a.Call(NR_clone, Flags, GuestProcess.Stack + 0x8000, GuestProcess.Data, GuestProcess.Data, 0);
        a.test(eax, eax);
        a.je(child);
        a.Label(ref wait);
        a.mov(rcx, GuestProcess.Data);
        a.mov(edx, __dword_ptr[rcx]);
        a.test(edx, edx);
        a.je(done);
        a.mov(rdi, GuestProcess.Data);
        a.mov(esi, 0);
        a.xor(r10d, r10d);
        a.mov(eax, NR_futex);
        a.syscall();
        a.jmp(wait);
        a.Label(ref done);
        a.mov(rcx, GuestProcess.Data + 64);
        a.mov(edi, __dword_ptr[rcx]);
        a.mov(eax, NR_exit_group);
        a.syscall();
        a.Label(ref child);
        a.mov(rcx, GuestProcess.Data + 64);
        a.mov(__dword_ptr[rcx], 5);
        a.Call(NR_exit, 3);
    }));

    [Fact]
    public void TheLeadersStatusIsTheProcesssWhoeverIsLast() => Assert.Equal(new SentryExit(9, 0, Errno.OK), GuestProcess.Run(a =>
    {
        const ulong Flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000;
        Label child = a.CreateLabel("child");
        a.Call(NR_clone, Flags, GuestProcess.Stack + 0x8000, 0, 0, 0);
        a.test(eax, eax);
        a.je(child);
        a.Call(NR_exit, 9);
        a.Label(ref child);
        // A wait that ends with a time-out.
        a.mov(rcx, GuestProcess.Data);
        a.mov(__qword_ptr[rcx + 8], 20_000_000);
        a.Call(NR_futex, GuestProcess.Data + 64, 0, 0, GuestProcess.Data);
        a.Call(NR_exit, 4);
    }));

    private static void InstallHandler(Assembler a, int signal, Label handler, Label restorer)
    {
        const ulong Action = GuestProcess.Data + 0x100;
        a.mov(rcx, Action);
        a.lea(rax, __[handler]);
        a.mov(__qword_ptr[rcx], rax);
        a.mov(rax, (ulong)(SigActionFlags.SA_RESTORER | SigActionFlags.SA_SIGINFO | SigActionFlags.SA_RESTART));
        a.mov(__qword_ptr[rcx + 8], rax);
        a.lea(rax, __[restorer]);
        a.mov(__qword_ptr[rcx + 16], rax);
        a.Call(NR_rt_sigaction, (ulong)signal, Action, 0, 8);
    }
}
