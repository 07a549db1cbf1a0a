namespace Moat.Host;

/// <summary>
/// Addresses of this process that nobody can read or write: what stands for memory that a guest names and does not have. Host calls answer
/// EFAULT for it when they get as far as touching it, and <see cref="SafeCopy"/> copies nothing.
/// </summary>
public static unsafe class NoAccess
{
    /// <summary>Bytes from <see cref="Start"/> on: as many as one call moves at most (MAX_RW_COUNT).</summary>
    public const ulong Length = 0x7ffff000;

    /// <summary>The first of them.</summary>
    public static readonly byte* Start = Reserve();

    private static byte* Reserve()
    {
        const int PROT_NONE = 0, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20, MAP_NORESERVE = 0x4000;
        // SAFETY: a mapping of its own, which is never unmapped and never touched.
        long address = HostSyscall.Mmap(null, Length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (address is < 0 and >= -4095)
            throw new InvalidOperationException($"no address space for what cannot be accessed: errno {-address}");
        return (byte*)address;
    }
}
