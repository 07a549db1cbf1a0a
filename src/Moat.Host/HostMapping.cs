namespace Moat.Host;

/// <summary>Mappings of host files in the sentry, and host calls on them. Results: values or -errno.</summary>
public static unsafe class HostMapping
{
    /// <summary>
    /// Maps bytes of a host file shared, readable and, when asked for, writable. Touch them by <see cref="SafeCopy"/> only: somebody may
    /// truncate the file. Returns the address or -errno. Offset and length: whole pages.
    /// </summary>
    public static long MapFile(int fd, ulong offset, ulong length, bool writable)
    {
        const int PROT_READ = 1, PROT_WRITE = 2, MAP_SHARED = 1;
        return HostSyscall.Call(9 /* mmap */, 0, (long)length, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, (long)offset);
    }

    /// <summary>Reserves address space; nothing is there yet. The address or -errno.</summary>
    public static long Reserve(ulong length)
    {
        const int MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20, MAP_NORESERVE = 0x4000;
        return HostSyscall.Call(9 /* mmap */, 0, (long)length, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }

    /// <summary>Maps bytes of the memory file, which never fault, into a part of a reserved range. 0 or -errno.</summary>
    public static long MapInto(long address, int fd, ulong offset, ulong length)
    {
        const int PROT_READ = 1, PROT_WRITE = 2, MAP_SHARED = 1, MAP_FIXED = 0x10;
        long result = HostSyscall.Call(9 /* mmap */, address, (long)length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (long)offset);
        return result == address ? 0 : result;
    }

    /// <summary>Removes a mapping made by <see cref="MapFile"/>.</summary>
    public static void Unmap(long address, ulong length) => HostSyscall.Call(11 /* munmap */, address, (long)length);

    /// <summary>msync(2) with MS_SYNC: waits until the file's bytes are on the disk. 0 or -errno.</summary>
    public static long Sync(long address, ulong length) => HostSyscall.Call(26 /* msync */, address, (long)length, 4);

    /// <summary>mincore(2): one byte a page. 0 or -errno.</summary>
    public static long Residency(void* address, ulong length, byte* pages)
        => HostSyscall.Call(27 /* mincore */, (long)address, (long)length, (long)pages);

    /// <summary>pwrite(2) from sentry memory that cannot fault. Bytes or -errno.</summary>
    public static long Write(int fd, void* source, ulong length, ulong offset)
        => HostSyscall.Call(18 /* pwrite64 */, fd, (long)source, (long)length, (long)offset);

    /// <summary>
    /// The next bytes of a file that are there, within [offset, end): lseek(2) with SEEK_DATA and SEEK_HOLE. False: none. What the file's
    /// position is does not matter to anybody.
    /// </summary>
    public static bool FindData(int fd, ulong offset, ulong end, out ulong dataStart, out ulong dataEnd)
    {
        const int SEEK_HOLE = 4;
        dataEnd = end;
        if (!FindData(fd, offset, end, out dataStart))
            return false;
        long hole = HostSyscall.Call(8 /* lseek */, fd, (long)dataStart, SEEK_HOLE);
        if (hole > 0)
            dataEnd = Math.Min(end, (ulong)hole);
        return true;
    }

    /// <summary>Where in [offset, end) of a file the next bytes are that are there. False: none.</summary>
    public static bool FindData(int fd, ulong offset, ulong end, out ulong start)
    {
        const int SEEK_DATA = 3;
        long found = HostSyscall.Call(8 /* lseek */, fd, (long)offset, SEEK_DATA);
        start = (ulong)found;
        return found >= 0 && start < end;
    }

    /// <summary>pread(2) into sentry memory that cannot fault. Bytes or -errno.</summary>
    public static long Read(int fd, void* destination, ulong length, ulong offset)
        => HostSyscall.Call(17 /* pread64 */, fd, (long)destination, (long)length, (long)offset);
}
