using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Host;

/// <summary>
/// Fetches cache lines ahead of their use, for memory that another core writes too. Addresses are hints: nothing faults, nothing is read.
/// </summary>
public static unsafe class CacheLines
{
    /// <summary>Bytes of a line.</summary>
    public const int Size = 64;

    /// <summary>Lines that so many bytes take from the start of a line on.</summary>
    public static uint Of(uint bytes) => (bytes + Size - 1) / Size;

    // SAFETY: installed code that is never freed. It runs for less than a microsecond, so the runtime may wait for it.
    private static readonly delegate* unmanaged[SuppressGCTransition]<byte*, uint, void> s_fetch = Install(forWriting: false);
    private static readonly delegate* unmanaged[SuppressGCTransition]<byte*, uint, void> s_fetchToWrite = Install(forWriting: true);

    /// <summary>Fetches <paramref name="count"/> lines, at least one, to be read.</summary>
    public static void Fetch(void* first, uint count) => s_fetch((byte*)first, count);

    /// <summary>Fetches <paramref name="count"/> lines, at least one, to be written: no other core keeps them.</summary>
    public static void FetchToWrite(void* first, uint count) => s_fetchToWrite((byte*)first, count);

    private static delegate* unmanaged[SuppressGCTransition]<byte*, uint, void> Install(bool forWriting)
    {
        var c = new Assembler(64);
        EmitLoop(c, rdi, esi, forWriting);
        c.ret();
        return (delegate* unmanaged[SuppressGCTransition]<byte*, uint, void>)MachineCode.Install(c);
    }

    /// <summary>Code that fetches <paramref name="count"/> lines, at least one, from <paramref name="first"/> on; both registers are lost, and the flags.</summary>
    public static void EmitLoop(Assembler code, AssemblerRegister64 first, AssemblerRegister32 count, bool forWriting)
    {
        ArgumentNullException.ThrowIfNull(code);
        Label next = code.CreateLabel();
        code.Label(ref next);
        if (forWriting)
            code.prefetchw(__[first]);
        else
            code.prefetcht0(__[first]);
        code.add(first, Size);
        code.dec(count);
        code.jnz(next);
    }
}
