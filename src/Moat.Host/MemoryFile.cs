namespace Moat.Host;

/// <summary>
/// The memory file: one sparse memfd that holds all guest memory, mapped once, whole, into the sentry.
/// Host address = <see cref="Base"/> + file offset. It is sealed against shrinking and never truncated,
/// so touching any byte of it cannot fault. Pages appear when first touched by either side.
/// </summary>
public sealed unsafe class MemoryFile : IDisposable
{
    /// <summary>Bytes reserved: address space, not memory.</summary>
    public const ulong Capacity = 8UL << 40;

    private MemoryFile(int fd, byte* @base)
    {
        Fd = fd;
        Base = @base;
    }

    /// <summary>The memfd. Read-write; never given to a guest.</summary>
    public int Fd { get; }

    /// <summary>Where the sentry sees offset 0.</summary>
    public byte* Base { get; }

    /// <summary>Creates and maps the memory file. Throws <see cref="HostException"/> when the host refuses.</summary>
    public static MemoryFile Create()
    {
        const int MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, F_ADD_SEALS = 1033, F_SEAL_SHRINK = 2, F_SEAL_GROW = 4;
        fixed (byte* name = "moat-memory\0"u8)
        {
            long fd = HostSyscall.Call(319 /* memfd_create */, (long)name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
            HostException.Check(fd, "memfd_create");
            HostException.Check(HostSyscall.Call(77 /* ftruncate */, fd, (long)Capacity), "ftruncate of the memory file");
            HostException.Check(HostSyscall.Call(72 /* fcntl */, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), "sealing the memory file");
            const int PROT_READ = 1, PROT_WRITE = 2, MAP_SHARED = 1, MAP_NORESERVE = 0x4000;
            long address = HostSyscall.Call(9 /* mmap */, 0, (long)Capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
            HostException.Check(address, "mapping the memory file");
            return new MemoryFile((int)fd, (byte*)address);
        }
    }

    /// <summary>Gives the pages of a range back to the host; they read as zero afterwards. Page-aligned bytes.</summary>
    public void Punch(ulong offset, ulong length)
    {
        const int FALLOC_FL_KEEP_SIZE = 1, FALLOC_FL_PUNCH_HOLE = 2;
        long r = HostSyscall.Call(285 /* fallocate */, Fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (long)offset, (long)length);
        if (r < 0)
            new Span<byte>(Base + offset, checked((int)length)).Clear(); // SAFETY: memory-file bytes never fault.
    }

    /// <summary>Unmaps and closes it; nobody may use it any more. A sandbox keeps it until the process ends: tests end earlier.</summary>
    public void Dispose()
    {
        HostSyscall.Call(11 /* munmap */, (long)Base, (long)Capacity);
        HostSyscall.Call(3 /* close */, Fd);
    }
}
