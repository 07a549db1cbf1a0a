using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Platform;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>Advice of madvise(2), Linux names and values.</summary>
internal enum MemoryAdvice
{
    MADV_NORMAL = 0,
    MADV_RANDOM = 1,
    MADV_SEQUENTIAL = 2,
    MADV_WILLNEED = 3,
    MADV_DONTNEED = 4,
    MADV_FREE = 8,
    MADV_REMOVE = 9,
    MADV_DONTFORK = 10,
    MADV_DOFORK = 11,
    MADV_MERGEABLE = 12,
    MADV_UNMERGEABLE = 13,
    MADV_HUGEPAGE = 14,
    MADV_NOHUGEPAGE = 15,
    MADV_DONTDUMP = 16,
    MADV_DODUMP = 17,
    MADV_WIPEONFORK = 18,
    MADV_KEEPONFORK = 19,
    MADV_COLD = 20,
    MADV_PAGEOUT = 21,
    MADV_POPULATE_READ = 22,
    MADV_POPULATE_WRITE = 23,
    MADV_DONTNEED_LOCKED = 24,
    MADV_COLLAPSE = 25,
    MADV_HWPOISON = 100,
    MADV_SOFT_OFFLINE = 101,
    MADV_GUARD_INSTALL = 102,
    MADV_GUARD_REMOVE = 103,
}

internal static partial class MemorySyscalls
{
    /// <summary>madvise(2).</summary>
    [Syscall(28, "madvise", Support.Partial, Note = "advice about caching has no effect; MADV_REMOVE of host files: EOPNOTSUPP")]
    public static SysResult Madvise(Task task, ulong address, ulong length, MemoryAdvice advice) => Advise(task.Mm, address, length, advice);

    /// <summary>What madvise(2) and IORING_OP_MADVISE do.</summary>
    internal static Errno Advise(MemoryManager mm, ulong address, ulong length, MemoryAdvice advice)
    {
        ulong rounded = (length + PageMask) & ~PageMask;
        if (!Enum.IsDefined(advice) || (address & PageMask) != 0 || (length != 0 && rounded == 0) || address + rounded < address)
            return Errno.EINVAL;
        if (advice is MemoryAdvice.MADV_HWPOISON or MemoryAdvice.MADV_SOFT_OFFLINE)
            return Errno.EPERM;
        if (rounded == 0)
            return Errno.OK;
        ulong end = address + rounded;
        switch (advice)
        {
            case MemoryAdvice.MADV_DONTNEED:
                return mm.DontNeed(address, end, locked: false);
            case MemoryAdvice.MADV_DONTNEED_LOCKED:
                return mm.DontNeed(address, end, locked: true);
            case MemoryAdvice.MADV_FREE:
                return mm.Free(address, end);
            case MemoryAdvice.MADV_REMOVE:
                return mm.Remove(address, end);
            case MemoryAdvice.MADV_DONTFORK:
                return mm.ChangeFlags(address, end, VmaFlags.DontFork, VmaFlags.None, privateMemoryOnly: false);
            case MemoryAdvice.MADV_DOFORK:
                return mm.ChangeFlags(address, end, VmaFlags.None, VmaFlags.DontFork, privateMemoryOnly: false);
            case MemoryAdvice.MADV_DONTDUMP:
                return mm.ChangeFlags(address, end, VmaFlags.DontDump, VmaFlags.None, privateMemoryOnly: false);
            case MemoryAdvice.MADV_DODUMP:
                return mm.ChangeFlags(address, end, VmaFlags.None, VmaFlags.DontDump, privateMemoryOnly: false);
            case MemoryAdvice.MADV_WIPEONFORK:
                return mm.ChangeFlags(address, end, VmaFlags.WipeOnFork, VmaFlags.None, privateMemoryOnly: true);
            case MemoryAdvice.MADV_KEEPONFORK:
                return mm.ChangeFlags(address, end, VmaFlags.None, VmaFlags.WipeOnFork, privateMemoryOnly: false);
            case MemoryAdvice.MADV_GUARD_INSTALL:
                return mm.InstallGuard(address, end);
            case MemoryAdvice.MADV_GUARD_REMOVE:
                return mm.RemoveGuard(address, end);
            case MemoryAdvice.MADV_COLLAPSE:
                return Errno.EINVAL;
            case MemoryAdvice.MADV_POPULATE_READ or MemoryAdvice.MADV_POPULATE_WRITE:
                return Populate(mm, address, end, advice == MemoryAdvice.MADV_POPULATE_WRITE);
            default:
                return mm.ChangeFlags(address, end, VmaFlags.None, VmaFlags.None, privateMemoryOnly: false);
        }
    }

    private static Errno Populate(MemoryManager mm, ulong start, ulong end, bool write)
    {
        Errno error = end > mm.MaxAddress ? Errno.ENOMEM : mm.CheckPopulate(start, end, write);
        if (error != Errno.OK)
            return error;
        if (write)
            mm.MakeOwn(start, end - start);
        int result = mm.Space.Populate(start, end - start, write);
        return result >= 0 ? Errno.OK : result == -(int)Errno.EFAULT ? Errno.EFAULT : Errno.ENOMEM;
    }

    /// <summary>msync(2).</summary>
    [Syscall(26, "msync", Support.Full)]
    public static SysResult Msync(Task task, ulong address, ulong length, int flags)
    {
        const int MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4;
        if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) != 0 || (address & PageMask) != 0
            || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
        {
            return Errno.EINVAL;
        }
        ulong end = address + ((length + PageMask) & ~PageMask);
        if (end < address)
            return Errno.ENOMEM;
        return task.Mm.Sync(address, end, (flags & MS_SYNC) != 0, (flags & MS_INVALIDATE) != 0);
    }

    /// <summary>mincore(2).</summary>
    [Syscall(27, "mincore", Support.Full)]
    public static SysResult Mincore(Task task, ulong address, ulong length, UserPtr vector)
    {
        if ((address & PageMask) != 0)
            return Errno.EINVAL;
        if (length > task.Mm.MaxAddress || address > task.Mm.MaxAddress - length)
            return Errno.ENOMEM;
        Span<byte> chunk = stackalloc byte[1024];
        ulong pages = (length + PageMask) / MemoryManager.PageSize;
        for (ulong done = 0; done < pages;)
        {
            Span<byte> part = chunk[..(int)Math.Min((ulong)chunk.Length, pages - done)];
            Errno error = task.Mm.GetResidency(address + (done * MemoryManager.PageSize), part);
            if (error == Errno.OK)
                error = task.Mm.CopyOut(vector + done, part);
            if (error != Errno.OK)
                return error;
            done += (ulong)part.Length;
        }
        return SysResult.Ok;
    }

    /// <summary>mlock(2).</summary>
    [Syscall(149, "mlock", Support.Full)]
    public static SysResult Mlock(Task task, ulong address, ulong length) => Lock(task, address, length, populate: true);

    /// <summary>mlock2(2).</summary>
    [Syscall(325, "mlock2", Support.Full)]
    public static SysResult Mlock2(Task task, ulong address, ulong length, int flags)
    {
        const int MLOCK_ONFAULT = 1;
        return (flags & ~MLOCK_ONFAULT) != 0 ? Errno.EINVAL : Lock(task, address, length, (flags & MLOCK_ONFAULT) == 0);
    }

    /// <summary>munlock(2).</summary>
    [Syscall(150, "munlock", Support.Full)]
    public static SysResult Munlock(Task task, ulong address, ulong length)
    {
        Errno error = LockedRange(ref address, length, out ulong end);
        return error != Errno.OK || address == end ? error
            : task.Mm.ChangeFlags(address, end, VmaFlags.None, VmaFlags.Locked, privateMemoryOnly: false);
    }

    /// <summary>mlockall(2).</summary>
    [Syscall(151, "mlockall", Support.Full)]
    public static SysResult Mlockall(Task task, int flags)
    {
        const int MCL_CURRENT = 1, MCL_FUTURE = 2, MCL_ONFAULT = 4;
        if ((flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) != 0 || (flags & (MCL_CURRENT | MCL_FUTURE)) == 0)
            return Errno.EINVAL;
        ulong limit = LockLimit(task);
        if (limit == 0)
            return Errno.EPERM;
        if ((flags & MCL_CURRENT) != 0 && task.Mm.TotalBytes > limit)
            return Errno.ENOMEM;
        task.Mm.LocksFuture = (flags & MCL_FUTURE) != 0;
        if ((flags & MCL_CURRENT) != 0)
            task.Mm.LockAll(locks: true, (flags & MCL_ONFAULT) == 0);
        return SysResult.Ok;
    }

    /// <summary>munlockall(2).</summary>
    [Syscall(152, "munlockall", Support.Full)]
    public static SysResult Munlockall(Task task)
    {
        task.Mm.LocksFuture = false;
        task.Mm.LockAll(locks: false, populate: false);
        return SysResult.Ok;
    }

    private static SysResult Lock(Task task, ulong address, ulong length, bool populate)
    {
        ulong limit = LockLimit(task);
        if (limit == 0)
            return Errno.EPERM;
        Errno error = LockedRange(ref address, length, out ulong end);
        if (error != Errno.OK)
            return error;
        if (end - address > limit || task.Mm.LockedBytes > limit - (end - address))
            return Errno.ENOMEM;
        return address == end ? SysResult.Ok : task.Mm.LockRange(address, end, populate);
    }

    /// <summary>RLIMIT_MEMLOCK; root has none (CAP_IPC_LOCK).</summary>
    private static ulong LockLimit(Task task)
        => task.Credentials.Has(Capability.CAP_IPC_LOCK) ? ulong.MaxValue : task.Group.Limits.Get(Resource.RLIMIT_MEMLOCK).Current;

    private static Errno LockedRange(ref ulong address, ulong length, out ulong end)
    {
        length = (length + (address & PageMask) + PageMask) & ~PageMask;
        address &= ~PageMask;
        end = address + length;
        return end < address ? Errno.EINVAL : Errno.OK;
    }
}
