using Iced.Intel;
using Moat.Platform;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.UnitTests.Platform;

[Collection(PlatformCollection.Name)]
public class CallTests
{
    private static void CallAgain(Assembler c)
    {
        Label loop = c.CreateLabel();
        c.Label(ref loop);
        c.syscall();
        c.mov(rdi, rax);
        c.inc(rsi);
        c.jmp(loop);
    }

    [Fact]
    public void CallIsWhatTheRegistersHold()
    {
        using var program = new GuestProgram(CallAgain);
        using GuestThread thread = program.Thread();
        ref GuestRegisters r = ref thread.Registers;
        (r.Rax, r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9) = (0x1_0000_0001, 2, 3, 4, 5, 6, 7);
        Assert.Equal(StopReason.Syscall, thread.Switch());
        GuestCall call = thread.Call;
        Assert.Equal(
            new GuestCall { Number = 1, A0 = 2, A1 = 3, A2 = 4, A3 = 5, A4 = 6, A5 = 7 }, call);
        Assert.Equal(call.A3, thread.Registers.R10);
    }

    [Fact]
    public void TheResultReachesTheGuestAndTheRegisters()
    {
        using var program = new GuestProgram(CallAgain);
        using GuestThread thread = program.Thread();
        Assert.Equal(StopReason.Syscall, thread.Switch());
        thread.SetResult(ulong.MaxValue - 37);
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(ulong.MaxValue - 37, thread.Call.A0);

        // Seen through the registers before the switch, and replaced there.
        thread.SetResult(5);
        Assert.Equal(5UL, thread.Registers.Rax);
        thread.Registers.Rax = 6;
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(6UL, thread.Call.A0);

        // An interrupt in between takes nothing away.
        thread.SetResult(7);
        thread.Interrupt();
        Assert.Equal(StopReason.Interrupted, thread.Switch());
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal((7UL, 3UL), (thread.Call.A0, thread.Call.A1));

        // Nothing set: rax stays.
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(7UL, thread.Call.A0);
    }
}
