using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Platform;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>Flags of mmap(2), Linux names and values.</summary>
[Flags]
internal enum MapFlags : uint
{
    None = 0,
    MAP_SHARED = 0x1,
    MAP_PRIVATE = 0x2,
    MAP_SHARED_VALIDATE = 0x3,
    MAP_DROPPABLE = 0x8,
    MAP_TYPE = 0xf,
    MAP_FIXED = 0x10,
    MAP_ANONYMOUS = 0x20,
    MAP_32BIT = 0x40,
    MAP_ABOVE4G = 0x80,
    MAP_GROWSDOWN = 0x100,
    MAP_DENYWRITE = 0x800,
    MAP_EXECUTABLE = 0x1000,
    MAP_LOCKED = 0x2000,
    MAP_NORESERVE = 0x4000,
    MAP_POPULATE = 0x8000,
    MAP_NONBLOCK = 0x10000,
    MAP_STACK = 0x20000,
    MAP_HUGETLB = 0x40000,
    MAP_SYNC = 0x80000,
    MAP_FIXED_NOREPLACE = 0x100000,
}

/// <summary>Protection bits of mmap(2) and mprotect(2), Linux names and values.</summary>
[Flags]
internal enum Protection : uint
{
    PROT_NONE = 0,
    PROT_READ = 1,
    PROT_WRITE = 2,
    PROT_EXEC = 4,
    PROT_SEM = 8,
    PROT_GROWSDOWN = 0x1000000,
    PROT_GROWSUP = 0x2000000,
}

/// <summary>System calls that change mappings (mmap(2), munmap(2), mprotect(2), brk(2)).</summary>
internal static partial class MemorySyscalls
{
    private const ulong PageMask = MemoryManager.PageSize - 1;

    /// <summary>What MAP_SHARED_VALIDATE knows; MAP_SHARED ignores the rest (LEGACY_MAP_MASK).</summary>
    private const MapFlags KnownFlags = MapFlags.MAP_TYPE | MapFlags.MAP_FIXED | MapFlags.MAP_ANONYMOUS | MapFlags.MAP_32BIT
        | MapFlags.MAP_ABOVE4G | MapFlags.MAP_GROWSDOWN | MapFlags.MAP_DENYWRITE | MapFlags.MAP_EXECUTABLE | MapFlags.MAP_LOCKED
        | MapFlags.MAP_NORESERVE | MapFlags.MAP_POPULATE | MapFlags.MAP_NONBLOCK | MapFlags.MAP_STACK | MapFlags.MAP_HUGETLB;

    /// <summary>mmap(2).</summary>
    [Syscall(9, "mmap", Support.Partial, Note = "no huge pages")]
    public static SysResult Mmap(Task task, ulong address, ulong length, Protection prot, MapFlags flags, Fd fd, ulong offset)
    {
        if ((offset & PageMask) != 0)
            return Errno.EINVAL;
        FileDescription? file = null;
        if ((flags & MapFlags.MAP_ANONYMOUS) == 0)
        {
            file = task.Files.Get(fd.Value);
            if (file is null)
                return Errno.EBADF;
        }
        SysResult result = (flags & MapFlags.MAP_HUGETLB) != 0
            ? (file is null ? Errno.ENOMEM : Errno.EINVAL)
            : Mmap(task, address, length, prot, flags, file, offset);
        file?.DropReference();
        return result;
    }

    private static SysResult Mmap(
        Task task, ulong address, ulong length, Protection prot, MapFlags flags, FileDescription? file, ulong offset)
    {
        MemoryManager mm = task.Mm;
        bool isFixed = (flags & (MapFlags.MAP_FIXED | MapFlags.MAP_FIXED_NOREPLACE)) != 0;
        if (length == 0 || (file is not null && (file.Flags & OpenFlags.O_PATH) != 0))
            return length == 0 ? Errno.EINVAL : Errno.EBADF;
        ulong rounded = (length + PageMask) & ~PageMask;
        if (rounded == 0)
            return Errno.ENOMEM;
        if (file is not null && offset + rounded < offset)
            return Errno.EOVERFLOW;
        if (rounded > mm.MaxAddress || (isFixed && address > mm.MaxAddress - rounded))
            return Errno.ENOMEM;
        if (isFixed && (address & PageMask) != 0)
            return Errno.EINVAL;
        if (ReadingExecutes(task, prot) && (file?.Path.Mount.Flags & MountFlags.NoExec) is null or MountFlags.None)
            prot |= Protection.PROT_EXEC;
        MapRequest request = new()
        {
            Address = address & ~PageMask,
            Length = rounded,
            Access = (MapAccess)(prot & (Protection.PROT_READ | Protection.PROT_WRITE | Protection.PROT_EXEC)),
            MaxAccess = MapRequest.All,
            Fixed = isFixed,
            NoReplace = (flags & MapFlags.MAP_FIXED_NOREPLACE) != 0,
            MayBeLow = task.Credentials.Has(Capability.CAP_SYS_RAWIO),
            CopiesNow = (flags & MapFlags.MAP_DENYWRITE) != 0, // a dynamic linker's: it relocates what it maps
            Low32 = (flags & MapFlags.MAP_32BIT) != 0 && !isFixed,
            Populate = (flags & (MapFlags.MAP_POPULATE | MapFlags.MAP_NONBLOCK)) == MapFlags.MAP_POPULATE
                || (flags & MapFlags.MAP_LOCKED) != 0,
        };
        if ((flags & MapFlags.MAP_LOCKED) != 0)
            request.Flags |= VmaFlags.Locked;
        if ((flags & MapFlags.MAP_NORESERVE) != 0)
            request.Flags |= VmaFlags.NoReserve;
        // What chooses its place itself takes no other, free or not.
        if (file is IMappable { IsSpecial: true } && request.Address != 0)
            return Errno.EINVAL;
        // Before the file is looked at: an address that is taken outranks what the file forbids.
        Errno error = isFixed ? mm.CheckFixed(in request) : Errno.OK;
        if (error != Errno.OK)
            return error;
        error = file is null ? AnonymousType(flags, ref request) : FileType(flags, prot, file, offset, ref request);
        if (error != Errno.OK)
            return error;
        return mm.Map(in request);
    }

    private static bool ReadingExecutes(Task task, Protection prot)
        => (task.Group.Personality & Personalities.READ_IMPLIES_EXEC) != 0 && (prot & Protection.PROT_READ) != 0;

    private static Errno AnonymousType(MapFlags flags, ref MapRequest request)
    {
        switch (flags & MapFlags.MAP_TYPE)
        {
            case MapFlags.MAP_PRIVATE:
                if ((flags & MapFlags.MAP_GROWSDOWN) != 0)
                    request.Flags |= VmaFlags.GrowsDown;
                return Errno.OK;
            case MapFlags.MAP_DROPPABLE:
                // Memory that may be dropped under pressure; there is none here.
                request.Flags |= VmaFlags.NoReserve | VmaFlags.WipeOnFork | VmaFlags.DontDump;
                return Errno.OK;
            case MapFlags.MAP_SHARED when (flags & MapFlags.MAP_GROWSDOWN) == 0:
                request.Flags |= VmaFlags.Shared;
                return Errno.OK;
            default:
                return Errno.EINVAL;
        }
    }

    private static Errno FileType(MapFlags flags, Protection prot, FileDescription file, ulong offset, ref MapRequest request)
    {
        if (file.IsRegular && offset > long.MaxValue - request.Length)
            return Errno.EOVERFLOW;
        // Only files that are memory themselves (DAX) know MAP_SYNC.
        if ((flags & MapFlags.MAP_SYNC) != 0)
            return Errno.EOPNOTSUPP;
        switch (flags & MapFlags.MAP_TYPE)
        {
            case MapFlags.MAP_SHARED_VALIDATE when (flags & ~KnownFlags) != 0:
                return Errno.EOPNOTSUPP;
            case MapFlags.MAP_SHARED_VALIDATE or MapFlags.MAP_SHARED:
                if ((prot & Protection.PROT_WRITE) != 0 && !file.CanWrite)
                    return Errno.EACCES;
                if (!file.CanRead)
                    return Errno.EACCES;
                request.Flags |= VmaFlags.Shared;
                if (!file.CanWrite)
                    request.MaxAccess &= ~MapAccess.Write;
                break;
            case MapFlags.MAP_PRIVATE:
                if (!file.CanRead)
                    return Errno.EACCES;
                break;
            default:
                return Errno.EINVAL;
        }
        bool isShared = (request.Flags & VmaFlags.Shared) != 0;
        Errno error = file.GetMappable(isShared, (prot & Protection.PROT_WRITE) != 0, ref request.MaxAccess, out IMappable? mappable);
        if (error != Errno.OK)
            return error;
        if ((flags & MapFlags.MAP_GROWSDOWN) != 0)
            return Errno.EINVAL;
        request.File = mappable;
        request.FileOffset = offset;
        return mappable!.CheckMapping(ref request);
    }

    /// <summary>munmap(2).</summary>
    [Syscall(11, "munmap", Support.Full)]
    public static SysResult Munmap(Task task, ulong address, ulong length) => task.Mm.Unmap(address, length);

    /// <summary>mprotect(2).</summary>
    [Syscall(10, "mprotect", Support.Full)]
    public static SysResult Mprotect(Task task, ulong address, ulong length, Protection prot)
    {
        const Protection Grows = Protection.PROT_GROWSDOWN | Protection.PROT_GROWSUP;
        Protection grows = prot & Grows;
        prot &= ~Grows;
        if (grows == Grows || (address & PageMask) != 0)
            return Errno.EINVAL;
        if (length == 0)
            return SysResult.Ok;
        ulong rounded = (length + PageMask) & ~PageMask;
        if (address + rounded <= address)
            return Errno.ENOMEM;
        if ((prot & ~(Protection.PROT_READ | Protection.PROT_WRITE | Protection.PROT_EXEC | Protection.PROT_SEM)) != 0)
            return Errno.EINVAL;
        if (grows == Protection.PROT_GROWSUP)
            return Errno.EINVAL;
        if (ReadingExecutes(task, prot))
            prot |= Protection.PROT_EXEC;
        if (grows == Protection.PROT_GROWSDOWN)
        {
            Errno error = task.Mm.FindGrowingStart(ref address, ref rounded);
            if (error != Errno.OK)
                return error;
        }
        return task.Mm.Protect(address, rounded, (MapAccess)(prot & (Protection)MapRequest.All));
    }

    /// <summary>brk(2): the new break, or the old one when it cannot move.</summary>
    [Syscall(12, "brk", Support.Full)]
    public static SysResult Brk(Task task, ulong address) => task.Mm.SetBreak(address);
}
