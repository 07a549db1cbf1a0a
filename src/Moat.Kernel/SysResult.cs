using System.Runtime.CompilerServices;

namespace Moat.Kernel;

/// <summary>
/// What a system call or an operation yields: a value that is not negative, or <c>-errno</c>. Addresses that
/// look negative do not occur on x86-64 user space.
/// </summary>
internal readonly record struct SysResult(long Value)
{
    /// <summary>Zero: done, nothing to tell.</summary>
    public static SysResult Ok => default;

    /// <summary>True when this is an error.</summary>
    public bool IsError => Value < 0;

    /// <summary>The error, or <see cref="Errno.OK"/>.</summary>
    public Errno Error => Value < 0 ? (Errno)(-Value) : Errno.OK;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static implicit operator SysResult(Errno error) => new(-(long)error);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static implicit operator SysResult(long value) => new(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static implicit operator SysResult(int value) => new(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static implicit operator SysResult(uint value) => new(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static implicit operator SysResult(ulong value) => new((long)value);
}
