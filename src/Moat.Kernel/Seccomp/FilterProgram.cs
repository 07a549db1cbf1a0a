using System.Runtime.InteropServices;

namespace Moat.Kernel.Seccomp;

/// <summary>struct sock_filter: one instruction of a classic BPF program.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FilterInstruction
{
    public ushort Code;
    public byte JumpTrue, JumpFalse;
    public uint K;
}

/// <summary>struct seccomp_data: the call that a filter judges.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CallData
{
    public int Number;
    public uint Architecture;
    public ulong InstructionPointer;
    public ulong A0, A1, A2, A3, A4, A5;
}

/// <summary>
/// A checked program of classic BPF over struct seccomp_data (man 2 seccomp). It cannot be changed, jumps forward only and ends
/// with a return on every way, so running it takes at most as many steps as it has instructions.
/// </summary>
internal sealed class FilterProgram
{
    /// <summary>BPF_MAXINSNS: instructions in one program.</summary>
    public const int MaxInstructions = 4096;

    private const int BPF_LD = 0x00, BPF_LDX = 0x01, BPF_ST = 0x02, BPF_STX = 0x03, BPF_ALU = 0x04, BPF_JMP = 0x05, BPF_RET = 0x06,
        BPF_MISC = 0x07;
    private const int BPF_IMM = 0x00, BPF_ABS = 0x20, BPF_MEM = 0x60, BPF_LEN = 0x80;
    private const int BPF_ADD = 0x00, BPF_SUB = 0x10, BPF_MUL = 0x20, BPF_DIV = 0x30, BPF_OR = 0x40, BPF_AND = 0x50, BPF_LSH = 0x60,
        BPF_RSH = 0x70, BPF_NEG = 0x80, BPF_XOR = 0xa0;
    private const int BPF_JA = 0x00, BPF_JEQ = 0x10, BPF_JGT = 0x20, BPF_JGE = 0x30, BPF_JSET = 0x40;
    private const int BPF_X = 0x08, BPF_A = 0x10, BPF_TAX = 0x00, BPF_TXA = 0x80;
    private const int Prologue = 3;
    private const int MemoryWords = 16, DataSize = 64, PointerLow = 8, PointerHigh = 12;

    private readonly FilterInstruction[] _code;

    private FilterProgram(FilterInstruction[] code)
    {
        _code = code;
        Cost = Prologue + code.Length;
        foreach (FilterInstruction i in code)
        {
            Cost += (i.Code & 0x07) == BPF_RET ? 1 : 0;
            ReadsPointer |= i.Code == (BPF_LD | BPF_ABS) && i.K is PointerLow or PointerHigh;
        }
    }

    /// <summary>About how many instructions Linux makes of it: a return becomes two.</summary>
    public int Cost { get; }

    /// <summary>It looks at the instruction pointer, which costs more to find out than the rest.</summary>
    public bool ReadsPointer { get; }

    /// <summary>The program, or null: an instruction that filters may not have, a way without an end, a word that nobody has stored.</summary>
    public static FilterProgram? Check(FilterInstruction[] code)
    {
        if (code.Length is 0 or > MaxInstructions || (code[^1].Code & 0x07) != BPF_RET)
            return null;
        // The words that are stored on every way to an instruction; ways only lead forward.
        Span<ushort> stored = stackalloc ushort[code.Length];
        stored.Fill(ushort.MaxValue);
        stored[0] = 0;
        for (int at = 0; at < code.Length; at++)
        {
            ref readonly FilterInstruction i = ref code[at];
            if (!IsAllowed(in i))
                return null;
            ushort now = stored[at];
            int kind = i.Code & 0x07;
            if (kind is BPF_ST or BPF_STX)
                now |= (ushort)(1 << (int)i.K);
            else if (i.Code is (BPF_LD | BPF_MEM) or (BPF_LDX | BPF_MEM) && (now & (1 << (int)i.K)) == 0)
                return null;
            if (kind == BPF_RET)
                continue;
            if (kind != BPF_JMP)
            {
                stored[at + 1] &= now;
                continue;
            }
            bool always = (i.Code & 0xf0) == BPF_JA;
            ulong yes = (ulong)at + 1 + (always ? i.K : i.JumpTrue), no = (ulong)at + 1 + (always ? i.K : i.JumpFalse);
            if (Math.Max(yes, no) >= (ulong)code.Length)
                return null;
            stored[(int)yes] &= now;
            stored[(int)no] &= now;
        }
        return new FilterProgram(code);
    }

    private static bool IsAllowed(in FilterInstruction i)
    {
        switch (i.Code)
        {
            case BPF_LD | BPF_ABS:
                return i.K < DataSize && (i.K & 3) == 0;
            case BPF_LD | BPF_MEM or BPF_LDX | BPF_MEM or BPF_ST or BPF_STX:
                return i.K < MemoryWords;
            case BPF_LD | BPF_IMM or BPF_LDX | BPF_IMM or BPF_LD | BPF_LEN or BPF_LDX | BPF_LEN:
            case BPF_RET or BPF_RET | BPF_A:
            case BPF_MISC | BPF_TAX or BPF_MISC | BPF_TXA:
            case BPF_JMP | BPF_JA:
            case BPF_ALU | BPF_NEG:
                return true;
            case BPF_ALU | BPF_DIV:
                return i.K != 0;
            case BPF_ALU | BPF_LSH or BPF_ALU | BPF_RSH:
                return i.K < 32;
        }
        int operation = i.Code & 0xf0;
        return (i.Code & ~(0xf0 | BPF_X)) switch
        {
            BPF_ALU => operation is BPF_ADD or BPF_SUB or BPF_MUL or BPF_DIV or BPF_OR or BPF_AND or BPF_LSH or BPF_RSH or BPF_XOR,
            BPF_JMP => operation is BPF_JEQ or BPF_JGT or BPF_JGE or BPF_JSET,
            _ => false,
        };
    }

    /// <summary>Judges a call. <paramref name="onlyNumber"/>: nothing but number and architecture was looked at.</summary>
    public uint Run(in CallData data, out bool onlyNumber)
    {
        const int NumberAndArchitecture = 8;
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<CallData, uint>(new ReadOnlySpan<CallData>(in data));
        Span<uint> memory = stackalloc uint[MemoryWords];
        uint a = 0, x = 0;
        onlyNumber = true;
        int at = 0;
        while (true)
        {
            ref readonly FilterInstruction i = ref _code[at++];
            uint operand = (i.Code & BPF_X) != 0 ? x : i.K;
            switch (i.Code)
            {
                case BPF_LD | BPF_ABS:
                    onlyNumber &= i.K < NumberAndArchitecture;
                    a = words[(int)i.K / 4];
                    break;
                case BPF_LD | BPF_LEN: a = DataSize; break;
                case BPF_LDX | BPF_LEN: x = DataSize; break;
                case BPF_LD | BPF_IMM: a = i.K; break;
                case BPF_LDX | BPF_IMM: x = i.K; break;
                case BPF_LD | BPF_MEM: a = memory[(int)i.K]; break;
                case BPF_LDX | BPF_MEM: x = memory[(int)i.K]; break;
                case BPF_ST: memory[(int)i.K] = a; break;
                case BPF_STX: memory[(int)i.K] = x; break;
                case BPF_MISC | BPF_TAX: x = a; break;
                case BPF_MISC | BPF_TXA: a = x; break;
                case BPF_RET: return i.K;
                case BPF_RET | BPF_A: return a;
                case BPF_ALU | BPF_NEG: a = 0 - a; break;
                case BPF_ALU | BPF_ADD or BPF_ALU | BPF_ADD | BPF_X: a += operand; break;
                case BPF_ALU | BPF_SUB or BPF_ALU | BPF_SUB | BPF_X: a -= operand; break;
                case BPF_ALU | BPF_MUL or BPF_ALU | BPF_MUL | BPF_X: a *= operand; break;
                case BPF_ALU | BPF_DIV or BPF_ALU | BPF_DIV | BPF_X:
                    // As everywhere in BPF, who divides by zero has returned zero.
                    if (operand == 0)
                        return 0;
                    a /= operand;
                    break;
                case BPF_ALU | BPF_OR or BPF_ALU | BPF_OR | BPF_X: a |= operand; break;
                case BPF_ALU | BPF_AND or BPF_ALU | BPF_AND | BPF_X: a &= operand; break;
                case BPF_ALU | BPF_XOR or BPF_ALU | BPF_XOR | BPF_X: a ^= operand; break;
                case BPF_ALU | BPF_LSH or BPF_ALU | BPF_LSH | BPF_X: a <<= (int)operand; break;
                case BPF_ALU | BPF_RSH or BPF_ALU | BPF_RSH | BPF_X: a >>= (int)operand; break;
                case BPF_JMP | BPF_JA: at += (int)i.K; break;
                case BPF_JMP | BPF_JEQ or BPF_JMP | BPF_JEQ | BPF_X: at += a == operand ? i.JumpTrue : i.JumpFalse; break;
                case BPF_JMP | BPF_JGT or BPF_JMP | BPF_JGT | BPF_X: at += a > operand ? i.JumpTrue : i.JumpFalse; break;
                case BPF_JMP | BPF_JGE or BPF_JMP | BPF_JGE | BPF_X: at += a >= operand ? i.JumpTrue : i.JumpFalse; break;
                case BPF_JMP | BPF_JSET or BPF_JMP | BPF_JSET | BPF_X: at += (a & operand) != 0 ? i.JumpTrue : i.JumpFalse; break;
            }
        }
    }
}
