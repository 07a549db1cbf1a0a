using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>struct iovec as a guest has it.</summary>
internal struct UserIoVec
{
    public ulong Address, Length;
}

/// <summary>Calls on the memory of another process, or sealing one's own.</summary>
internal static class ProcessMemorySyscalls
{
    private const int MaxEntries = 1024;

    /// <summary>process_vm_readv(2).</summary>
    [Syscall(310, "process_vm_readv", Support.Full)]
    public static SysResult ProcessVmReadV(
        Task task, int pid, UserPtr<UserIoVec> local, ulong localCount, UserPtr<UserIoVec> remote, ulong remoteCount, ulong flags)
        => Transfer(task, pid, local, localCount, remote, remoteCount, flags, writes: false);

    /// <summary>process_vm_writev(2).</summary>
    [Syscall(311, "process_vm_writev", Support.Full)]
    public static SysResult ProcessVmWriteV(
        Task task, int pid, UserPtr<UserIoVec> local, ulong localCount, UserPtr<UserIoVec> remote, ulong remoteCount, ulong flags)
        => Transfer(task, pid, local, localCount, remote, remoteCount, flags, writes: true);

    private static SysResult Transfer(
        Task task, int pid, UserPtr<UserIoVec> local, ulong localCount, UserPtr<UserIoVec> remote, ulong remoteCount, ulong flags, bool writes)
    {
        if (flags != 0 || localCount > MaxEntries || remoteCount > MaxEntries)
            return Errno.EINVAL;
        Errno error = Check(task.Mm, local, (int)localCount, out ulong room);
        if (error != Errno.OK)
            return error;
        if (room == 0)
            return 0;
        error = Check(task.Mm, remote, (int)remoteCount, out ulong wanted);
        if (error != Errno.OK)
            return error;
        if (wanted == 0)
            return 0;
        Task? target = task.Sentry.Tasks.Find(pid);
        if (target is null)
            return Errno.ESRCH;
        if (target.Group != task.Group && !MayAccess(task, target))
            return Errno.EPERM;
        MemoryManager theirs = target.Mm;
        if (!theirs.TryAddUser())
            return Errno.ESRCH;
        SysResult result = Copy(task.Mm, theirs, new Cursor(task.Mm, local, (int)localCount), new Cursor(task.Mm, remote, (int)remoteCount), writes);
        theirs.DropUser();
        return result;
    }

    /// <summary>Who may look into another process: the same user, unless it does not want to be looked into, or CAP_SYS_PTRACE.</summary>
    internal static bool MayAccess(Task task, Task target)
    {
        Credentials mine = task.Credentials, theirs = target.Credentials;
        if (mine.Has(Capability.CAP_SYS_PTRACE))
            return true;
        return mine.Uid == theirs.EffectiveUid && mine.Uid == theirs.SavedUid && mine.Uid == theirs.Uid && mine.Gid == theirs.EffectiveGid
            && mine.Gid == theirs.SavedGid && mine.Gid == theirs.Gid && target.Group.Dumpable == 1 && (theirs.Permitted & ~mine.Permitted) == 0;
    }

    /// <summary>Adds up the lengths. EFAULT, EINVAL for negative ones.</summary>
    private static Errno Check(MemoryManager mm, UserPtr<UserIoVec> vector, int count, out ulong total)
    {
        Cursor entries = new(mm, vector, count);
        total = 0;
        while (true)
        {
            Errno error = entries.Next(out UserIoVec entry);
            if (error != Errno.OK)
                return error == Errno.ENODATA ? Errno.OK : error;
            if ((long)entry.Length < 0)
                return Errno.EINVAL;
            total = Math.Min(total + entry.Length, MemoryManager.MAX_RW_COUNT);
        }
    }

    // Page by page through the sentry's stack: the locks of two address spaces are never held together.
    private static SysResult Copy(MemoryManager mine, MemoryManager theirs, Cursor local, Cursor remote, bool writes)
    {
        Span<byte> buffer = stackalloc byte[(int)MemoryManager.PageSize];
        UserIoVec here = default, there = default;
        long done = 0;
        while (done < (long)MemoryManager.MAX_RW_COUNT)
        {
            Errno error = Errno.OK;
            while (error == Errno.OK && here.Length == 0)
                error = local.Next(out here);
            while (error == Errno.OK && there.Length == 0)
                error = remote.Next(out there);
            if (error != Errno.OK)
                return error == Errno.ENODATA || done > 0 ? done : error;
            ulong toPageEnd = MemoryManager.PageSize - (there.Address & (MemoryManager.PageSize - 1));
            Span<byte> piece = buffer[..(int)Math.Min(Math.Min(here.Length, there.Length), toPageEnd)];
            (MemoryManager from, MemoryManager to) = writes ? (mine, theirs) : (theirs, mine);
            (ulong source, ulong destination) = writes ? (here.Address, there.Address) : (there.Address, here.Address);
            error = from.CopyIn(new UserPtr(source), piece);
            if (error == Errno.OK)
                error = to.CopyOut(new UserPtr(destination), piece);
            if (error != Errno.OK)
                return done > 0 ? done : error;
            done += piece.Length;
            here.Address += (ulong)piece.Length;
            here.Length -= (ulong)piece.Length;
            there.Address += (ulong)piece.Length;
            there.Length -= (ulong)piece.Length;
        }
        return done;
    }

    /// <summary>Goes through an array of struct iovec in guest memory.</summary>
    private struct Cursor(MemoryManager mm, UserPtr<UserIoVec> array, int count)
    {
        private const ulong EntrySize = 16;
        private int _next;

        /// <summary>The next entry. ENODATA behind the last one, EFAULT.</summary>
        public Errno Next(out UserIoVec entry)
        {
            entry = default;
            if (_next == count)
                return Errno.ENODATA;
            Errno error = mm.Read(new UserPtr<UserIoVec>(array.Address + ((ulong)_next * EntrySize)), out entry);
            _next++;
            return error;
        }
    }

    /// <summary>process_madvise(2). Returns the bytes advised.</summary>
    [Syscall(440, "process_madvise", Support.Full)]
    public static SysResult ProcessMadvise(
        Task task, Fd process, UserPtr<UserIoVec> vector, ulong count, MemoryAdvice advice, uint flags)
    {
        const int PIDFD_SELF_THREAD = -10000, PIDFD_SELF_THREAD_GROUP = -10001;
        if (flags != 0 || count > MaxEntries)
            return Errno.EINVAL;
        Errno error = Check(task.Mm, vector, (int)count, out _);
        if (error != Errno.OK)
            return error;
        MemoryManager mm = task.Mm;
        bool isOwn = process.Value is PIDFD_SELF_THREAD or PIDFD_SELF_THREAD_GROUP;
        if (!isOwn)
        {
            error = PidFdSyscalls.Get(task, process.Value, out PidFd? file);
            if (error != Errno.OK)
                return error;
            Task target = file!.Task;
            file.DropReference();
            if (target.HasEnded)
                return Errno.ESRCH;
            isOwn = target.Mm == task.Mm;
            mm = target.Mm;
            if (!isOwn && !MayAccess(task, target))
                return Errno.EPERM;
            if (!isOwn && advice is not (MemoryAdvice.MADV_COLD or MemoryAdvice.MADV_PAGEOUT or MemoryAdvice.MADV_WILLNEED or MemoryAdvice.MADV_COLLAPSE))
                return Errno.EINVAL;
            if (!isOwn && !task.Credentials.Has(Capability.CAP_SYS_NICE))
                return Errno.EPERM;
            if (!mm.TryAddUser())
                return Errno.ESRCH;
        }
        else
        {
            mm.AddUser();
        }
        Cursor entries = new(task.Mm, vector, (int)count);
        long done = 0;
        while (true)
        {
            error = entries.Next(out UserIoVec entry);
            if (error == Errno.OK)
                error = MemorySyscalls.Advise(mm, entry.Address, entry.Length, advice);
            if (error != Errno.OK)
                break;
            done += (long)entry.Length;
        }
        mm.DropUser();
        return error == Errno.ENODATA || done > 0 ? done : error;
    }

    /// <summary>mseal(2).</summary>
    [Syscall(462, "mseal", Support.Full)]
    public static SysResult MSeal(Task task, ulong address, ulong length, ulong flags)
    {
        ulong rounded = MemoryManager.PageUp(length);
        if (flags != 0 || (address & (MemoryManager.PageSize - 1)) != 0 || (length != 0 && rounded == 0) || address + rounded < address)
            return Errno.EINVAL;
        return rounded == 0 ? 0 : task.Mm.Seal(address, address + rounded);
    }
}
