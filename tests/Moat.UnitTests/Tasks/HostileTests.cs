using Moat.Abi;
using Moat.Kernel;
using Moat.Kernel.Syscalls;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.UnitTests.Tasks;

public sealed class HostileTests
{
    private const int NR_open = 2, NR_rt_sigreturn = 15, NR_exit_group = 231;

    /// <summary>A forged frame ends the guest or resumes it somewhere; the sentry survives all of them.</summary>
    [Fact]
    public void ForgedFramesHarmOnlyTheGuest()
    {
        Random random = new(1);
        for (int round = 0; round < 40; round++)
        {
            byte[] frame = new byte[4096];
            random.NextBytes(frame);
            if (round % 2 == 0)
            {
                // Close to a real one: code segment, an address that can be read for the FPU state.
                BitConverter.TryWriteBytes(frame.AsSpan(8 + 40 + 144), (ushort)0x33);
                BitConverter.TryWriteBytes(frame.AsSpan(8 + 40 + 184), GuestProcess.Stack + (ulong)(round * 64));
                BitConverter.TryWriteBytes(frame.AsSpan(8 + 40 + 128), round % 4 == 0 ? GuestProcess.Code : 0xdead_beef_dead_beefUL);
                BitConverter.TryWriteBytes(frame.AsSpan(8 + 40 + 120), GuestProcess.Stack + 0x2000);
            }
            SentryExit exit = GuestProcess.Run(
                a =>
                {
                    a.mov(rsp, GuestProcess.Stack + 8);
                    a.mov(eax, NR_rt_sigreturn);
                    a.syscall();
                    a.Call(NR_exit_group, 1);
                },
                before: mm => Assert.Equal(Errno.OK, mm.CopyOut(new UserPtr(GuestProcess.Stack), frame)));
            Assert.NotEqual(0, exit.Signal);
        }
    }

    /// <summary>What a handler throws ends the guest with a report, and nothing else. Without a file tree, opening is such a case.</summary>
    [Fact]
    public void AFailureOfMoatEndsTheGuestWithAReport()
    {
        List<string> reports = [];
        SentryExit exit = GuestProcess.Run(
            a =>
            {
                a.Call(NR_open, GuestProcess.Data, 0, 0);
                a.Call(NR_exit_group, 1);
            },
            before: mm => mm.CopyOut(new UserPtr(GuestProcess.Data), "/x"u8),
            report: reports.Add);
        Assert.Equal(new SentryExit(128, 0, Errno.OK), exit);
        Assert.Contains("system call 2", reports[0], StringComparison.Ordinal);
    }
}
