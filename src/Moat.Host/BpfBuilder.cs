using System.Buffers.Binary;

namespace Moat.Host;

/// <summary>What a seccomp filter answers (man 2 seccomp).</summary>
public enum SeccompAction : uint
{
    /// <summary>SECCOMP_RET_KILL_PROCESS.</summary>
    KillProcess = 0x8000_0000,

    /// <summary>SECCOMP_RET_TRAP: SIGSYS to the thread.</summary>
    Trap = 0x0003_0000,

    /// <summary>SECCOMP_RET_ALLOW.</summary>
    Allow = 0x7fff_0000,
}

/// <summary>Fields of struct seccomp_data, bytes.</summary>
public static class SeccompData
{
    /// <summary>The system call number.</summary>
    public const uint Nr = 0;

    /// <summary>AUDIT_ARCH_ of the call.</summary>
    public const uint Arch = 4;

    /// <summary>Low and high half of the address after the instruction.</summary>
    public const uint InstructionPointerLow = 8, InstructionPointerHigh = 12;

    /// <summary>AUDIT_ARCH_X86_64.</summary>
    public const uint AuditArchX86_64 = 0xC000003E;

    /// <summary>Low half of an argument; the high half follows at +4.</summary>
    public static uint Argument(int index) => 16 + 8 * (uint)index;
}

/// <summary>
/// Builds a classic BPF program over struct seccomp_data. Branches go forward to named labels, each bound once.
/// </summary>
public sealed class BpfBuilder
{
    private const ushort LdAbs = 0x20, JeqK = 0x15, JgeK = 0x35, JsetK = 0x45, RetK = 0x06;

    private readonly List<(ushort Code, string? True, string? False, uint K)> _code = [];
    private readonly Dictionary<string, int> _labels = new(StringComparer.Ordinal);

    /// <summary>Loads a 32-bit field of struct seccomp_data.</summary>
    public BpfBuilder Load(uint offset) => Add(LdAbs, null, null, offset);

    /// <summary>Branches on equality with a constant; a null label falls through.</summary>
    public BpfBuilder Equal(uint value, string? then, string? otherwise = null) => Add(JeqK, then, otherwise, value);

    /// <summary>Branches on unsigned greater-or-equal; a null label falls through.</summary>
    public BpfBuilder AtLeast(uint value, string? then, string? otherwise = null) => Add(JgeK, then, otherwise, value);

    /// <summary>Branches when any bit of the mask is set; a null label falls through.</summary>
    public BpfBuilder AnyBit(uint mask, string? then, string? otherwise = null) => Add(JsetK, then, otherwise, mask);

    /// <summary>Ends the program with an answer.</summary>
    public BpfBuilder Return(SeccompAction action) => Add(RetK, null, null, (uint)action);

    /// <summary>Names the next instruction.</summary>
    public BpfBuilder Label(string name)
    {
        _labels.Add(name, _code.Count);
        return this;
    }

    /// <summary>The program as an array of struct sock_filter. Throws when a label is missing or too far away.</summary>
    public byte[] Build()
    {
        var bytes = new byte[_code.Count * 8];
        for (var i = 0; i < _code.Count; i++)
        {
            var (code, whenTrue, whenFalse, k) = _code[i];
            Span<byte> entry = bytes.AsSpan(i * 8, 8);
            BinaryPrimitives.WriteUInt16LittleEndian(entry, code);
            entry[2] = Distance(i, whenTrue);
            entry[3] = Distance(i, whenFalse);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], k);
        }

        return bytes;
    }

    private BpfBuilder Add(ushort code, string? whenTrue, string? whenFalse, uint k)
    {
        _code.Add((code, whenTrue, whenFalse, k));
        return this;
    }

    private byte Distance(int from, string? label) => label is null ? (byte)0 : checked((byte)(_labels[label] - from - 1));
}
