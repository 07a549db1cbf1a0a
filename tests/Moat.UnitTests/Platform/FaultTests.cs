using Iced.Intel;
using Moat.Platform;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.UnitTests.Platform;

[Collection(PlatformCollection.Name)]
public class FaultTests
{
    private const int SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11;
    private const int SEGV_MAPERR = 1, SEGV_ACCERR = 2, ILL_ILLOPN = 2, FPE_INTDIV = 1, SI_KERNEL = 0x80;
    private const ulong NoAddress = 0x1234_5000;

    [Fact]
    public void Unmapped() => Check(c => c.mov(__byte_ptr[(long)NoAddress], 1), SIGSEGV, SEGV_MAPERR, NoAddress, trap: 14);

    [Fact]
    public void WriteToCode()
        => Check(c => c.mov(__byte_ptr[(long)GuestProgram.CodeAddress], 1), SIGSEGV, SEGV_ACCERR, GuestProgram.CodeAddress, trap: 14);

    [Fact]
    public void ExecuteData()
        => Check(
            c =>
            {
                c.mov(rax, (long)GuestProgram.DataAddress);
                c.jmp(rax);
            },
            SIGSEGV, SEGV_ACCERR, GuestProgram.DataAddress, trap: 14, rip: GuestProgram.DataAddress);

    [Fact]
    public void NonCanonical()
        => Check(
            c =>
            {
                c.mov(rax, 0x1234_5678_9abc_def0);
                c.mov(rbx, __qword_ptr[rax]);
            },
            SIGSEGV, SI_KERNEL, 0, trap: 13, rip: GuestProgram.CodeAddress + 10);

    [Fact]
    public void Divide()
        => Check(
            c =>
            {
                c.xor(ecx, ecx);
                c.div(ecx);
            },
            SIGFPE, FPE_INTDIV, GuestProgram.CodeAddress + 2, trap: 0, rip: GuestProgram.CodeAddress + 2);

    [Fact]
    public void InvalidInstruction() => Check(c => c.ud2(), SIGILL, ILL_ILLOPN, GuestProgram.CodeAddress, trap: 6);

    [Fact]
    public void Breakpoint() => Check(c => c.int3(), SIGTRAP, SI_KERNEL, 0, trap: 3, rip: GuestProgram.CodeAddress + 1);

    [Fact]
    public void Privileged() => Check(c => c.hlt(), SIGSEGV, SI_KERNEL, 0, trap: 13);

    [Fact]
    public void Int80() => Check(c => c.@int(0x80), SIGSEGV, SI_KERNEL, 0, trap: 13);

    // One line of the host's memory file beyond its mapping's file end: SIGBUS.
    [Fact]
    public unsafe void BeyondTheEndOfAHostFile()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, [1, 2, 3]);
            using var program = new GuestProgram(c => c.mov(rax, __qword_ptr[0x90_1000]));
            using (FileStream file = File.OpenRead(path))
            {
                int fd = (int)file.SafeFileHandle.DangerousGetHandle();
                Assert.Equal(0, program.Space.MapHostFile(0x90_0000, 0x2000, fd, 0, MapAccess.Read, shared: false));
            }

            using GuestThread thread = program.Thread();
            Assert.Equal(StopReason.Fault, thread.Switch());
            Assert.Equal((SIGBUS, 0x90_1000UL), (thread.Fault.Signal, thread.Fault.Address));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void X32IsAnOrdinaryUnknownCall()
    {
        using var program = new GuestProgram(c =>
        {
            c.mov(eax, 0x4000_0000 + 39);
            c.syscall();
        });
        using GuestThread thread = program.Thread();
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(0x4000_0000UL + 39, thread.Registers.Rax);
    }

    [Fact]
    public void ProtectAndUnmap()
    {
        using var program = new GuestProgram(c =>
        {
            Label loop = c.CreateLabel();
            c.mov(rbx, (long)GuestProgram.DataAddress + 0x1000);
            c.Label(ref loop);
            c.mov(__dword_ptr[rbx], 7);
            c.syscall();
            c.jmp(loop);
        });
        const ulong address = GuestProgram.DataAddress + 0x1000;
        using GuestThread thread = program.Thread();
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(0, program.Space.Protect(address, 0x1000, MapAccess.Read));
        Assert.Equal(StopReason.Fault, thread.Switch());
        Assert.Equal((SIGSEGV, SEGV_ACCERR, address), (thread.Fault.Signal, thread.Fault.Code, thread.Fault.Address));
        Assert.Equal(0, program.Space.Protect(address, 0x1000, MapAccess.Read | MapAccess.Write));
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(0, program.Space.Unmap(address, 0x1000));
        Assert.Equal(StopReason.Fault, thread.Switch());
        Assert.Equal((SIGSEGV, SEGV_MAPERR, address), (thread.Fault.Signal, thread.Fault.Code, thread.Fault.Address));
        Assert.Equal(-12, program.Space.Protect(address, 0x1000, MapAccess.Read)); // ENOMEM
        Assert.Equal(0, program.Space.MapMemory(address, 0x1000, program.DataFileOffset + 0x1000, MapAccess.Read | MapAccess.Write));
        Assert.Equal(0, program.Space.Populate(address, 0x1000, write: true));
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(7UL, program.Data(0x200));
    }

    [Theory]
    [InlineData(0x6_0000UL, 0x1000UL)]
    [InlineData(0x40_0001UL, 0x1000UL)]
    [InlineData(0x40_0000UL, 0UL)]
    [InlineData(0x40_0000UL, 0xffff_ffff_ffff_f000UL)]
    [InlineData(0x7000_0000_0000UL, 0x4000UL)]
    [InlineData(0x6fff_0000_0000UL - 0x1000, 0x2000UL)]
    public void TheStubIsOutOfReach(ulong address, ulong length)
    {
        using var program = new GuestProgram(c => c.syscall());
        Assert.Equal(-22, program.Space.Unmap(address, length));
        Assert.Equal(-22, program.Space.MapMemory(address, length, 0, MapAccess.Read));
        Assert.Equal(-22, program.Space.Protect(address, length, MapAccess.Read));
        Assert.Equal(-22, program.Space.Populate(address, length, write: false));
        Assert.Equal(-22, program.Space.MapHostFile(address, length, 0, 0, MapAccess.Read, shared: false));
    }

    private static void Check(Action<Assembler> code, int signal, int si_code, ulong address, ulong trap, ulong rip = GuestProgram.CodeAddress)
    {
        using var program = new GuestProgram(code);
        using GuestThread thread = program.Thread();
        Assert.Equal(StopReason.Fault, thread.Switch());
        GuestFault fault = thread.Fault;
        Assert.Equal((signal, si_code, address, trap), (fault.Signal, fault.Code, fault.Address, fault.TrapNumber));
        Assert.Equal(rip, thread.Registers.Rip);
    }
}
