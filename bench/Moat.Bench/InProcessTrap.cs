using System.Buffers.Binary;
using Iced.Intel;
using Moat.Host;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Bench;

/// <summary>
/// The yardstick: a program that traps its own system calls (seccomp RET_TRAP), handles SIGSYS in place and returns. Its
/// cost is what the host charges for any trap; what the hand-off adds is the platform's own.
/// </summary>
internal static class InProcessTrap
{
    private const ulong Address = 0x40_0000;
    private const int CodeAt = 0x200, SigactionAt = 0x800, ProgramAt = 0x840, MaskAt = 0x870, FilterAt = 0x880;
    private const int SYS_write = 1, SYS_rt_sigaction = 13, SYS_rt_sigprocmask = 14, SYS_rt_sigreturn = 15, SYS_exit = 60, SYS_getppid = 110,
        SYS_prctl = 157, SYS_clock_gettime = 228, SYS_seccomp = 317;

    /// <summary>Nanoseconds of one trap and return.</summary>
    public static double Measure(int rounds)
    {
        var image = new byte[0x1000];
        var code = new Assembler(64);
        Label handler = Assemble(code, rounds);
        using var stream = new MemoryStream();
        AssemblerResult result = code.Assemble(
            new StreamCodeWriter(stream), Address + CodeAt, BlockEncoderOptions.ReturnNewInstructionOffsets);
        stream.ToArray().CopyTo(image, CodeAt);
        ulong handlerAddress = result.GetLabelRIP(handler);
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(SigactionAt), handlerAddress);
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(SigactionAt + 8), 0x0400_0004); // SA_RESTORER | SA_SIGINFO
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(SigactionAt + 16), handlerAddress);
        byte[] filter = new BpfBuilder().Load(SeccompData.Nr).Equal(SYS_getppid, "trap")
            .Return(SeccompAction.Allow).Label("trap").Return(SeccompAction.Trap).Build();
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(ProgramAt), (ushort)(filter.Length / 8));
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(ProgramAt + 8), Address + FilterAt);
        filter.CopyTo(image, FilterAt);
        StaticElf.WriteHeaders(image, Address, Address + CodeAt);

        int program = StaticElf.CreateFile("trap\0"u8, image);
        int output = HostSyscall.MoveHigh(HostSyscall.MemfdCreate("times\0"u8, 1));
        int pid = ChildProcess.Spawn(program, output, output, output, "trap\0"u8, out int pidfd);
        HostException.Check(pid, "the yardstick");
        HostSyscall.WaitPidfd(pidfd, block: true);
        Span<byte> times = stackalloc byte[32];
        HostSyscall.Call(8 /* lseek */, output, 0, 0);
        long n = HostSyscall.Read(output, times);
        foreach (int fd in (ReadOnlySpan<int>)[program, output, pidfd])
            HostSyscall.Close(fd);
        if (n != times.Length)
            throw new HostException("the yardstick did not run");
        return (Time(times[16..]) - Time(times)) / rounds;
    }

    private static double Time(ReadOnlySpan<byte> timespec)
        => BinaryPrimitives.ReadInt64LittleEndian(timespec) * 1e9 + BinaryPrimitives.ReadInt64LittleEndian(timespec[8..]);

    private static Label Assemble(Assembler c, int rounds)
    {
        Label handler = c.CreateLabel(), loop = c.CreateLabel();
        c.sub(rsp, 64);
        Call(c, SYS_rt_sigaction, 31, (long)Address + SigactionAt, 0, 8);
        Call(c, SYS_rt_sigprocmask, 2, (long)Address + MaskAt, 0, 8); // Children start with every signal blocked.
        Call(c, SYS_prctl, 38, 1, 0, 0);
        Call(c, SYS_seccomp, 1, 0, (long)Address + ProgramAt, 0);
        Clock(c, 0);
        c.mov(r12d, rounds);
        c.Label(ref loop);
        c.mov(eax, SYS_getppid);
        c.syscall();
        c.dec(r12d);
        c.jnz(loop);
        Clock(c, 16);
        c.mov(edi, 1);
        c.mov(rsi, rsp);
        c.mov(edx, 32);
        c.mov(eax, SYS_write);
        c.syscall();
        Call(c, SYS_exit, 0, 0, 0, 0);
        c.Label(ref handler);
        c.mov(__qword_ptr[rdx + 40 + 13 * 8], 1); // rax of the frame
        c.lea(rsp, __[rsp + 8]);
        c.mov(eax, SYS_rt_sigreturn);
        c.syscall();
        return handler;
    }

    private static void Clock(Assembler c, int at)
    {
        c.mov(edi, 1); // CLOCK_MONOTONIC
        c.lea(rsi, __[rsp + at]);
        c.mov(eax, SYS_clock_gettime);
        c.syscall();
    }

    private static void Call(Assembler c, int nr, long a0, long a1, long a2, long a3)
    {
        c.mov(rdi, a0);
        c.mov(rsi, a1);
        c.mov(rdx, a2);
        c.mov(r10, a3);
        c.mov(eax, nr);
        c.syscall();
    }
}
