using System.Diagnostics;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Host;

/// <summary>
/// The waiting half of a shared-memory hand-off, in machine code: a bounded spin that leaves the runtime free
/// to collect (the thread counts as being outside managed code).
/// </summary>
public static unsafe class Handoff
{
    // SAFETY: installed code that is never freed.
    private static readonly delegate* unmanaged<uint*, uint, uint, uint> s_spin = InstallSpin();

    /// <summary>Length of one spin step on this processor, picoseconds; measured once.</summary>
    public static int SpinStepPicoseconds { get; } = Measure();

    /// <summary>How many spin steps fill so many nanoseconds.</summary>
    public static uint Steps(int nanoseconds) => (uint)Math.Max(1L, nanoseconds * 1000L / SpinStepPicoseconds);

    /// <summary>Spins until the word differs from <paramref name="old"/>, at most <paramref name="steps"/> times. Returns the word.</summary>
    public static uint Spin(uint* word, uint old, uint steps) => s_spin(word, old, steps);

    private static delegate* unmanaged<uint*, uint, uint, uint> InstallSpin()
    {
        var c = new Assembler(64);
        var again = c.CreateLabel();
        var done = c.CreateLabel();
        c.Label(ref again);
        c.mov(eax, __dword_ptr[rdi]);
        c.cmp(eax, esi);
        c.jne(done);
        c.sub(edx, 1);
        c.jbe(done);
        c.pause();
        c.jmp(again);
        c.Label(ref done);
        c.ret();
        return (delegate* unmanaged<uint*, uint, uint, uint>)MachineCode.Install(c);
    }

    private static int Measure()
    {
        const uint steps = 256;
        uint word = 0;
        long best = long.MaxValue;
        for (var i = 0; i < 4; i++)
        {
            long start = Stopwatch.GetTimestamp();
            // SAFETY: word lives on this stack.
            s_spin(&word, 0, steps);
            best = Math.Min(best, Stopwatch.GetTimestamp() - start);
        }

        return (int)Math.Clamp(best * (1e12 / Stopwatch.Frequency) / steps, 200, 1_000_000);
    }
}
