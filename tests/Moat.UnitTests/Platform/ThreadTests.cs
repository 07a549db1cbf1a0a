using Iced.Intel;
using Moat.Platform;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.UnitTests.Platform;

[Collection(PlatformCollection.Name)]
public class ThreadTests
{
    [Fact]
    public void RegistersSurviveInBothDirections()
    {
        using var program = new GuestProgram(c =>
        {
            Label loop = c.CreateLabel();
            c.Label(ref loop);
            c.syscall();
            c.jmp(loop);
        });
        using GuestThread thread = program.Thread();
        for (ulong round = 1; round < 50; round++)
        {
            ref GuestRegisters r = ref thread.Registers;
            GuestRegisters set = r;
            (set.R8, set.R9, set.R10, set.R12, set.R13, set.R14, set.R15) = (round, 2, 3, 4, round << 40, 6, 7);
            (set.Rdi, set.Rsi, set.Rbp, set.Rbx, set.Rdx, set.Rax, set.Rsp) = (8, 9, 10, 11 * round, 12, 13, 0x1234_5678);
            set.Rflags = 0x202 | 0xcd5; // carry, parity, adjust, zero, sign, direction, overflow
            r = set;
            Assert.Equal(StopReason.Syscall, thread.Switch());
            GuestRegisters got = thread.Registers;
            Assert.Equal(set.Rflags, got.Rflags & 0xfd7);
            Assert.Equal(GuestProgram.CodeAddress + 2, got.Rip);
            (got.Rip, got.Rcx, got.R11, got.Rflags) = (set.Rip, set.Rcx, set.R11, set.Rflags);
            (got.Err, got.TrapNo, got.OldMask, got.Cr2) = (set.Err, set.TrapNo, set.OldMask, set.Cr2);
            Assert.Equal(set, got);
        }
    }

    [Fact]
    public void NewThreadsStartBlank()
    {
        using var program = new GuestProgram(c => c.syscall());
        using GuestThread thread = program.Space.CreateThread();
        GuestRegisters r = thread.Registers;
        Assert.Equal(0UL, r.R8 | r.R9 | r.R10 | r.R11 | r.R12 | r.R13 | r.R14 | r.R15 | r.Rdi | r.Rsi | r.Rbp | r.Rbx | r.Rdx
            | r.Rax | r.Rcx | r.Rsp | r.Rip);
        Assert.Equal(0UL, thread.FsBase | thread.GsBase);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void SegmentBases(bool instructions)
    {
        using var platform = new Moat.Platform.Trap.TrapPlatform(GuestProgram.Shared().Memory, instructions);
        using var program = new GuestProgram(platform, c =>
        {
            c.mov(rax, __qword_ptr.fs[8]);
            c.mov(rbx, __qword_ptr.gs[8]);
            c.syscall();
            c.mov(rax, __qword_ptr.fs[8]);
            c.mov(rbx, __qword_ptr.gs[8]);
            c.syscall();
            c.mov(rcx, (long)GuestProgram.DataAddress + 0x300);
            c.wrfsbase(rcx);
            c.syscall();
        });
        program.Data(0x21) = 21;
        program.Data(0x41) = 41;
        program.Data(0x31) = 31;
        using GuestThread thread = program.Thread();
        thread.FsBase = GuestProgram.DataAddress + 0x100;
        thread.GsBase = GuestProgram.DataAddress + 0x200;
        Assert.Equal(GuestProgram.DataAddress + 0x100, thread.FsBase);
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal((21UL, 41UL), (thread.Registers.Rax, thread.Registers.Rbx));
        thread.FsBase = GuestProgram.DataAddress + 0x180;
        program.Data(0x31) = 33;
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal((33UL, 41UL), (thread.Registers.Rax, thread.Registers.Rbx));
        Assert.Equal(GuestProgram.DataAddress + 0x200, thread.GsBase);
        Assert.Equal(StopReason.Syscall, thread.Switch());
        if (instructions)
            Assert.Equal(GuestProgram.DataAddress + 0x300, thread.FsBase);
    }

    [Fact]
    public void TwoThreadsShareMemory()
    {
        const int rounds = 2000;
        using var program = new GuestProgram(c =>
        {
            Label loop = c.CreateLabel();
            c.mov(rbx, (long)GuestProgram.DataAddress);
            c.Label(ref loop);
            c.@lock.add(__qword_ptr[rbx], 1);
            c.syscall();
            c.jmp(loop);
        });
        var workers = new Thread[4];
        var reasons = new StopReason[workers.Length];
        for (var i = 0; i < workers.Length; i++)
        {
            int me = i;
            workers[i] = new Thread(() =>
            {
                using GuestThread thread = program.Thread();
                for (var n = 0; n < rounds && reasons[me] == StopReason.Syscall; n++)
                    reasons[me] = thread.Switch();
            });
            workers[i].Start();
        }

        foreach (Thread worker in workers)
            worker.Join();
        Assert.All(reasons, r => Assert.Equal(StopReason.Syscall, r));
        Assert.Equal((ulong)(rounds * workers.Length), program.Data(0));
    }

    [Fact]
    public void SlotsAreRecycled()
    {
        using var program = new GuestProgram(c => c.syscall());
        var used = new HashSet<int>();
        for (var i = 0; i < 300; i++)
        {
            using GuestThread thread = program.Thread();
            Assert.Equal(StopReason.Syscall, thread.Switch());
            used.Add(((Moat.Platform.Trap.TrapThread)thread).Index);
        }

        Assert.InRange(used.Count, 1, 32);
    }
}
