using System.Buffers.Binary;
using Iced.Intel;
using Moat.Platform;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.UnitTests.Platform;

[Collection(PlatformCollection.Name)]
public class FpuTests
{
    // Puts xmm0, ymm1's halves and the control words into memory at each call.
    private static void Show(Assembler c)
    {
        Label loop = c.CreateLabel();
        c.mov(rbx, (long)GuestProgram.DataAddress);
        c.vmovdqu(ymm1, __ymmword_ptr[rbx]);
        c.movdqu(xmm0, __xmmword_ptr[rbx]);
        c.Label(ref loop);
        c.syscall();
        c.movdqu(__xmmword_ptr[rbx + 64], xmm0);
        c.vmovdqu(__ymmword_ptr[rbx + 96], ymm1);
        c.stmxcsr(__dword_ptr[rbx + 128]);
        c.fnstcw(__word_ptr[rbx + 136]);
        c.jmp(loop);
    }

    [Fact]
    public void SurvivesSwitches()
    {
        using var program = new GuestProgram(Show);
        for (var i = 0; i < 4; i++)
            program.Data(i) = 0x1111_1111_1111_1111UL * (ulong)(i + 1);
        using GuestThread thread = program.Thread();
        for (var i = 0; i < 3; i++)
            Assert.Equal(StopReason.Syscall, thread.Switch());
        for (var i = 0; i < 4; i++)
            Assert.Equal(program.Data(i), program.Data(12 + i));
        Assert.Equal(program.Data(0), program.Data(8));
        Assert.Equal(0x1f80U, (uint)program.Data(16));

        // In place: xmm0 follows the 160 bytes of control words and x87 registers.
        BinaryPrimitives.WriteUInt64LittleEndian(thread.FpuState[160..], 0xabcdef);
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(0xabcdefUL, program.Data(8));
    }

    [Fact]
    public void ResetAndRestore()
    {
        using var program = new GuestProgram(Show);
        program.Data(0) = 77;
        using GuestThread thread = program.Thread();
        Assert.Equal(StopReason.Syscall, thread.Switch());
        byte[] saved = thread.FpuState.ToArray();
        thread.ResetFpuState();
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal((0UL, 0UL), (program.Data(8), program.Data(12)));
        Assert.Equal((0x1f80U, 0x37f), ((uint)program.Data(16), (int)(ushort)program.Data(17)));
        Assert.True(thread.RestoreFpuState(saved));
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal((77UL, 77UL), (program.Data(8), program.Data(12)));

        // Legacy state alone: the wide halves become initial.
        Assert.True(thread.RestoreFpuState(saved.AsSpan(0, 512)));
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal((77UL, 0UL), (program.Data(8), program.Data(14)));
    }

    [Fact]
    public void NoStateCanKill()
    {
        using var program = new GuestProgram(Show);
        program.Data(0) = 77;
        using GuestThread thread = program.Thread();
        Assert.Equal(StopReason.Syscall, thread.Switch());
        byte[] good = thread.FpuState.ToArray();
        var random = new Random(7);
        int rejected = 0;
        for (var i = 0; i < 2000; i++)
        {
            byte[] bad = (byte[])good.Clone();
            if (i % 3 == 0)
                random.NextBytes(bad);
            else
                for (var n = 0; n < 4; n++)
                    bad[random.Next(464, 600)] = (byte)random.Next(256);
            if (i % 5 == 0)
                BinaryPrimitives.WriteUInt32LittleEndian(bad.AsSpan(24), 0xffff_ffff);
            if (!thread.RestoreFpuState(bad.AsSpan(0, random.Next(2) == 0 ? bad.Length : random.Next(bad.Length))))
                rejected++;
            Assert.Equal(StopReason.Syscall, thread.Switch());
        }

        Assert.NotEqual(0, rejected);
        Assert.True(thread.RestoreFpuState(good));
        Assert.Equal(StopReason.Syscall, thread.Switch());
        Assert.Equal(77UL, program.Data(8));
    }
}
