using Moat.Platform;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.UnitTests.Platform;

[Collection(PlatformCollection.Name)]
public class SwitchTests
{
    [Fact]
    public void SystemCallRoundTrip()
    {
        using var program = new GuestProgram(c =>
        {
            c.mov(eax, 1000);
            c.mov(edi, 1);
            c.mov(esi, 2);
            c.mov(edx, 3);
            c.mov(r10d, 4);
            c.mov(r8d, 5);
            c.mov(r9d, 6);
            c.syscall();
            c.mov(rdi, rax);
            c.mov(eax, 1001);
            c.syscall();
        });
        using GuestThread thread = program.Thread();
        Assert.Equal(StopReason.Syscall, thread.Switch());
        GuestRegisters r = thread.Registers;
        Assert.Equal(new ulong[] { 1000, 1, 2, 3, 4, 5, 6 }, new[] { r.Rax, r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9 });
        thread.Registers.Rax = 0x1234_5678_9abc;
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(1001UL, thread.Registers.Rax);
        Assert.Equal(0x1234_5678_9abcUL, thread.Registers.Rdi);
    }

    [Fact]
    public void MemoryIsShared()
    {
        using var program = new GuestProgram(c =>
        {
            c.mov(rax, (long)GuestProgram.DataAddress);
            c.mov(rbx, __qword_ptr[rax]);
            c.add(rbx, 1);
            c.mov(__qword_ptr[rax + 8], rbx);
            c.syscall();
        });
        program.Data(0) = 41;
        using GuestThread thread = program.Thread();
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(42UL, program.Data(1));
    }
}
