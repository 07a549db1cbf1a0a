using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Kernel.Memory;

namespace Moat.Kernel.Syscalls;

/// <summary>Structures that grew with kernel versions and come with their size (clone3, openat2, sched_setattr).</summary>
internal static class StructArgument
{
    /// <summary>
    /// Reads a structure of <paramref name="size"/> bytes in the guest: what is missing is zero, and bytes beyond
    /// <typeparamref name="T"/> have to be zero (E2BIG). EFAULT.
    /// </summary>
    public static Errno Read<T>(MemoryManager mm, UserPtr address, nuint size, out T value)
        where T : unmanaged
    {
        value = default;
        int known = Unsafe.SizeOf<T>();
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<T>(ref value));
        Errno error = mm.CopyIn(address, bytes[..(int)Math.Min(size, (nuint)known)]);
        if (error != Errno.OK)
            return error;
        Span<byte> rest = stackalloc byte[64];
        for (nuint at = (nuint)known; at < size;)
        {
            Span<byte> piece = rest[..(int)Math.Min(64, size - at)];
            error = mm.CopyIn(address + at, piece);
            if (error != Errno.OK)
                return error;
            if (piece.ContainsAnyExcept((byte)0))
                return Errno.E2BIG;
            at += (nuint)piece.Length;
        }
        return Errno.OK;
    }
}
