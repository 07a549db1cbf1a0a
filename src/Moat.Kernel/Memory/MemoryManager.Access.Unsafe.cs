using Moat.Kernel.Syscalls;
using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed unsafe partial class MemoryManager
{
    /// <summary>Copies guest memory into <paramref name="destination"/>: all of it, or EFAULT.</summary>
    public Errno CopyIn(UserPtr source, Span<byte> destination) => throw new NotSupportedException();

    /// <summary>Copies <paramref name="source"/> into guest memory: all of it, or EFAULT (a prefix may be written).</summary>
    public Errno CopyOut(UserPtr destination, ReadOnlySpan<byte> source) => throw new NotSupportedException();

    /// <summary>Reads one <typeparamref name="T"/> from guest memory, once.</summary>
    public Errno Read<T>(UserPtr<T> source, out T value)
        where T : unmanaged
    {
        value = default;
        fixed (T* p = &value)
            return CopyIn(source, new Span<byte>(p, sizeof(T))); // SAFETY: value lives on the caller's frame; fixed pins it.
    }

    /// <summary>Writes one <typeparamref name="T"/> to guest memory.</summary>
    public Errno Write<T>(UserPtr<T> destination, in T value)
        where T : unmanaged
    {
        fixed (T* p = &value)
            return CopyOut(destination, new ReadOnlySpan<byte>(p, sizeof(T))); // SAFETY: as above.
    }

    /// <summary>
    /// Copies a NUL-terminated string. Returns its length without the NUL, EFAULT, or ENAMETOOLONG when no NUL is within
    /// <paramref name="destination"/>.
    /// </summary>
    public SysResult CopyInString(UserPtr source, Span<byte> destination) => throw new NotSupportedException();

    /// <summary>
    /// Begins access by translation: until <see cref="EndAccess"/> spans got by <see cref="Translate"/> stay this guest's memory.
    /// Short, never around a wait. Nests in one task.
    /// </summary>
    public void BeginAccess() => throw new NotSupportedException();

    /// <summary>Ends what <see cref="BeginAccess"/> began; spans are invalid from here on.</summary>
    public void EndAccess() => throw new NotSupportedException();

    /// <summary>
    /// Appends the host spans of a guest range to <paramref name="into"/>, as far as it is mapped with
    /// <paramref name="access"/>. Returns the bytes translated, fewer than <paramref name="length"/> when a page in the
    /// range is not accessible: the caller answers EFAULT when it gets none of a range that is not empty.
    /// </summary>
    public ulong Translate(UserPtr address, ulong length, MapAccess access, IoVector into) => throw new NotSupportedException();

    /// <summary>
    /// Translates a guest array of struct iovec, at most 1024 entries and MAX_RW_COUNT bytes in all. Stops at the first
    /// inaccessible byte. EFAULT when the array cannot be read or nothing is accessible, EINVAL for bad counts and lengths.
    /// </summary>
    public Errno TranslateVector(UserPtr iovec, int count, MapAccess access, IoVector into) => throw new NotSupportedException();
}
