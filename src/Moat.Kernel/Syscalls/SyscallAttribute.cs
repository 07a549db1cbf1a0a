namespace Moat.Kernel.Syscalls;

/// <summary>How much of a system call works.</summary>
internal enum Support
{
    /// <summary>As Linux 6.18 documents it.</summary>
    Full,

    /// <summary>Works but for what <see cref="SyscallAttribute.Note"/> says.</summary>
    Partial,

    /// <summary>Answers with an errno by design; the note says which and why.</summary>
    ErrnoOnly,
}

/// <summary>
/// Declares a system call: the only place to edit when one is added. The method is static, takes the calling
/// <see cref="Tasks.Task"/> and up to six typed arguments (<see cref="Fd"/>, <see cref="UserPtr"/>,
/// <see cref="UserPtr{T}"/>, <see cref="UserPath"/>, integers, enums) and returns <see cref="SysResult"/>. The
/// generator makes dispatch, argument decoding, trace text, names and the support table from it.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SyscallAttribute(int number, string name, Support support) : Attribute
{
    public int Number { get; } = number;

    public string Name { get; } = name;

    public Support Support { get; } = support;

    /// <summary>Why support is partial, or which errno and why. One short sentence.</summary>
    public string Note { get; init; } = "";
}

/// <summary>The raw registers of one system call, read once.</summary>
internal struct SyscallArgs
{
    public long Number;
    public ulong A0, A1, A2, A3, A4, A5;
}
