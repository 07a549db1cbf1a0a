namespace Moat.Kernel.Syscalls;

/// <summary>A file descriptor number as the guest passed it: any value.</summary>
internal readonly record struct Fd(int Value)
{
    /// <summary>AT_FDCWD: the current directory in place of a directory descriptor.</summary>
    public const int AT_FDCWD = -100;
}

/// <summary>An address in guest memory: any value. Only the memory manager looks behind it.</summary>
internal readonly record struct UserPtr(ulong Address)
{
    public bool IsNull => Address == 0;

    public static UserPtr operator +(UserPtr p, ulong bytes) => new(p.Address + bytes);
}

/// <summary>The address of a <typeparamref name="T"/> in guest memory: any value.</summary>
internal readonly record struct UserPtr<T>(ulong Address)
    where T : unmanaged
{
    public bool IsNull => Address == 0;

    public static implicit operator UserPtr(UserPtr<T> p) => new(p.Address);
}

/// <summary>The address of a NUL-terminated path in guest memory: any value.</summary>
internal readonly record struct UserPath(ulong Address)
{
    public bool IsNull => Address == 0;
}
