using System.Runtime.CompilerServices;
using Moat.Kernel.Futex;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Syscalls;

/// <summary>struct futex_waitv (include/uapi/linux/futex.h).</summary>
internal struct FutexWaitV
{
    public ulong Value, Address;
    public uint Flags, Reserved;
}

/// <summary>futex(2) and its successors.</summary>
internal static class FutexSyscalls
{
    private const int FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_REQUEUE = 3, FUTEX_CMP_REQUEUE = 4, FUTEX_WAKE_OP = 5,
        FUTEX_WAIT_BITSET = 9, FUTEX_WAKE_BITSET = 10, FUTEX_WAIT_REQUEUE_PI = 11, FUTEX_LOCK_PI2 = 13, FUTEX_LOCK_PI = 6,
        FUTEX_UNLOCK_PI = 7, FUTEX_TRYLOCK_PI = 8, FUTEX_CMP_REQUEUE_PI = 12;

    private const int FUTEX_PRIVATE_FLAG = 128, FUTEX_CLOCK_REALTIME = 256;
    private const uint FUTEX2_SIZE_MASK = 3, FUTEX2_SIZE_U32 = 2, FUTEX2_NUMA = 4, FUTEX2_MPOL = 8;

    internal const uint FUTEX2_PRIVATE = 128;
    internal const int FUTEX_WAITV_MAX = 128;

    /// <summary>futex(2). The fourth argument is a time-out for the waits and a number for the rest.</summary>
    [Syscall(202, "futex", Support.Full)]
    public static SysResult Futex(Task task, UserPtr<uint> address, int op, uint value, ulong timeout, UserPtr<uint> second, uint value3)
    {
        bool isPrivate = (op & FUTEX_PRIVATE_FLAG) != 0, realtime = (op & FUTEX_CLOCK_REALTIME) != 0;
        int command = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
        long time = Task.Forever;
        if (timeout != 0 && command is FUTEX_WAIT or FUTEX_WAIT_BITSET or FUTEX_LOCK_PI or FUTEX_LOCK_PI2 or FUTEX_WAIT_REQUEUE_PI)
        {
            Errno error = ReadTime(task, timeout, command == FUTEX_WAIT, out time);
            if (error != Errno.OK)
                return error;
        }
        if (realtime && command is not (FUTEX_WAIT_BITSET or FUTEX_WAIT_REQUEUE_PI or FUTEX_LOCK_PI2))
            return Errno.ENOSYS;
        FutexTable table = task.Sentry.Futexes;
        switch (command)
        {
            case FUTEX_WAIT:
                return task.WaitOnFutex(address, isPrivate, value, FutexTable.AnyBitset, time, HostClock.CLOCK_MONOTONIC);
            case FUTEX_WAIT_BITSET:
                int clock = realtime ? HostClock.CLOCK_REALTIME : HostClock.CLOCK_MONOTONIC;
                return task.WaitOnFutex(address, isPrivate, value, value3, time, clock);
            case FUTEX_WAKE:
                return table.Wake(task.Mm, address, isPrivate, (int)value, FutexTable.AnyBitset);
            case FUTEX_WAKE_BITSET:
                return value3 == 0 ? Errno.EINVAL : table.Wake(task.Mm, address, isPrivate, (int)value, value3);
            case FUTEX_REQUEUE:
                return table.Requeue(task.Mm, address, isPrivate, second, isPrivate, (int)value, (int)timeout, null);
            case FUTEX_CMP_REQUEUE:
                return table.Requeue(task.Mm, address, isPrivate, second, isPrivate, (int)value, (int)timeout, value3);
            case FUTEX_WAKE_OP:
                return table.WakeOp(task.Mm, address, second, isPrivate, (int)value, (int)timeout, new FutexOp(value3));
            case FUTEX_LOCK_PI or FUTEX_LOCK_PI2:
                bool onRealtime = command == FUTEX_LOCK_PI || realtime;
                return task.LockPi(address, isPrivate, tries: false, time, onRealtime ? HostClock.CLOCK_REALTIME : HostClock.CLOCK_MONOTONIC);
            case FUTEX_TRYLOCK_PI:
                return task.LockPi(address, isPrivate, tries: true, time, HostClock.CLOCK_MONOTONIC);
            case FUTEX_UNLOCK_PI:
                return table.UnlockPi(task, address, isPrivate);
            case FUTEX_WAIT_REQUEUE_PI:
                return task.WaitForRequeue(address, second, isPrivate, value, time, realtime ? HostClock.CLOCK_REALTIME : HostClock.CLOCK_MONOTONIC);
            case FUTEX_CMP_REQUEUE_PI:
                return value != 1 ? Errno.EINVAL : table.RequeuePi(task, address, second, isPrivate, (int)timeout, value3);
            default:
                return Errno.ENOSYS;
        }
    }

    /// <summary>futex_waitv(2): waits for any of several words; the time-out is absolute. Returns the index of one that was woken.</summary>
    [Syscall(449, "futex_waitv", Support.Partial, Note = "32-bit words, one NUMA node")]
    public static SysResult FutexWaitV(
        Task task, UserPtr<FutexWaitV> waiters, uint count, uint flags, UserPtr<Timespec> timeout, int clock)
    {
        if (flags != 0 || count is 0 or > FUTEX_WAITV_MAX || waiters.IsNull)
            return Errno.EINVAL;
        long time = Task.Forever;
        if (!timeout.IsNull)
        {
            if (clock is not (HostClock.CLOCK_MONOTONIC or HostClock.CLOCK_REALTIME))
                return Errno.EINVAL;
            Errno error = ReadTime(task, timeout.Address, relative: false, out time);
            if (error != Errno.OK)
                return error;
        }
        Span<FutexWaitV> words = stackalloc FutexWaitV[FUTEX_WAITV_MAX];
        for (uint i = 0; i < count; i++)
        {
            Errno error = ReadWaiter(task.Mm, waiters, i, out words[(int)i]);
            if (error != Errno.OK)
                return error;
        }
        return WaitOnAny(task, words[..(int)count], time, clock);
    }

    private static SysResult WaitOnAny(Task task, ReadOnlySpan<FutexWaitV> words, long time, int clock)
    {
        FutexTable table = task.Sentry.Futexes;
        foreach (ref readonly FutexWaitV word in words)
        {
            Errno wrong = ResolveNode(task.Mm, word.Flags, word.Address);
            if (wrong != Errno.OK)
                return wrong;
        }
        Span<TaskFutexWaiter> queued = task.RentFutexVector(words.Length);
        for (int i = 0; i < words.Length; i++)
        {
            bool isPrivate = (words[i].Flags & FUTEX2_PRIVATE) != 0;
            Errno error = table.Enqueue(
                task.Mm, new UserPtr(words[i].Address), isPrivate, (uint)words[i].Value, FutexTable.AnyBitset, queued[i]);
            if (error == Errno.OK)
                continue;
            int already = CancelAll(table, queued[..i]);
            return already >= 0 ? already : error;
        }
        WaitOutcome outcome;
        do
        {
            outcome = task.BlockUntil(time, clock);
        }
        while (outcome == WaitOutcome.Woken && !AnyWoken(queued));
        int woken = CancelAll(table, queued);
        return woken >= 0 ? woken : outcome == WaitOutcome.TimedOut ? Errno.ETIMEDOUT : Errno.ERESTARTSYS;
    }

    /// <summary>futex_wake(2).</summary>
    [Syscall(454, "futex_wake", Support.Partial, Note = "32-bit words, one NUMA node")]
    public static SysResult FutexWake(Task task, UserPtr<uint> address, ulong mask, int count, uint flags)
    {
        Errno error = CheckFlags(flags, mask);
        if (error != Errno.OK)
            return error;
        if (mask == 0)
            return Errno.EINVAL;
        error = ResolveNode(task.Mm, flags, address.Address);
        if (error != Errno.OK)
            return error;
        bool isPrivate = (flags & FUTEX2_PRIVATE) != 0;
        return count == 0 ? FutexTable.Check(task.Mm, address, isPrivate) : task.Sentry.Futexes.Wake(task.Mm, address, isPrivate, count, (uint)mask);
    }

    /// <summary>futex_wait(2): the time-out is absolute on <paramref name="clock"/>.</summary>
    [Syscall(455, "futex_wait", Support.Partial, Note = "32-bit words, one NUMA node")]
    public static SysResult FutexWait(
        Task task, UserPtr<uint> address, ulong value, ulong mask, uint flags, UserPtr<Timespec> timeout, int clock)
    {
        Errno error = CheckFlags(flags, value);
        if (error == Errno.OK)
            error = CheckFlags(flags, mask);
        if (error != Errno.OK)
            return error;
        long time = Task.Forever;
        if (!timeout.IsNull)
        {
            if (clock is not (HostClock.CLOCK_MONOTONIC or HostClock.CLOCK_REALTIME))
                return Errno.EINVAL;
            error = ReadTime(task, timeout.Address, relative: false, out time);
            if (error != Errno.OK)
                return error;
        }
        error = ResolveNode(task.Mm, flags, address.Address);
        if (error != Errno.OK)
            return error;
        return task.WaitOnFutex(address, (flags & FUTEX2_PRIVATE) != 0, (uint)value, (uint)mask, time, timeout.IsNull ? HostClock.CLOCK_MONOTONIC : clock);
    }

    /// <summary>futex_requeue(2): <paramref name="waiters"/> are two words; the first has to have its value.</summary>
    [Syscall(456, "futex_requeue", Support.Partial, Note = "32-bit words, one NUMA node")]
    public static SysResult FutexRequeue(Task task, UserPtr<FutexWaitV> waiters, uint flags, int wake, int move)
    {
        if (flags != 0 || waiters.IsNull)
            return Errno.EINVAL;
        Errno error = ReadWaiter(task.Mm, waiters, 0, out FutexWaitV from);
        if (error != Errno.OK)
            return error;
        error = ReadWaiter(task.Mm, waiters, 1, out FutexWaitV to);
        if (error == Errno.OK && ((from.Flags ^ to.Flags) & (FUTEX2_NUMA | FUTEX2_MPOL)) != 0)
            error = Errno.EINVAL;
        if (error == Errno.OK)
            error = ResolveNode(task.Mm, from.Flags, from.Address);
        if (error == Errno.OK)
            error = ResolveNode(task.Mm, to.Flags, to.Address);
        if (error != Errno.OK)
            return error;
        return task.Sentry.Futexes.Requeue(
            task.Mm, new UserPtr(from.Address), (from.Flags & FUTEX2_PRIVATE) != 0, new UserPtr(to.Address),
            (to.Flags & FUTEX2_PRIVATE) != 0, wake, move, (uint)from.Value);
    }

    /// <summary>One struct futex_waitv of an array. EFAULT, EINVAL.</summary>
    internal static Errno ReadWaiter(MemoryManager mm, UserPtr<FutexWaitV> array, uint index, out FutexWaitV waiter)
    {
        Errno error = mm.Read(new UserPtr<FutexWaitV>(array.Address + (index * (ulong)Unsafe.SizeOf<FutexWaitV>())), out waiter);
        if (error != Errno.OK)
            return error;
        return waiter.Reserved != 0 ? Errno.EINVAL : CheckFlags(waiter.Flags, waiter.Value);
    }

    /// <summary>FUTEX2_ flags, and a value or mask of the size they say. EINVAL.</summary>
    internal static Errno CheckFlags(uint flags, ulong value)
        => (flags & ~(FUTEX2_SIZE_MASK | FUTEX2_NUMA | FUTEX2_MPOL | FUTEX2_PRIVATE)) != 0 || (flags & FUTEX2_SIZE_MASK) != FUTEX2_SIZE_U32
            || value > uint.MaxValue ? Errno.EINVAL : Errno.OK;

    /// <summary>
    /// The node of a word with FUTEX2_NUMA, which is the word after it: -1 becomes the only node there is, 0. EINVAL: another node, or a
    /// word that is not aligned to both; EFAULT.
    /// </summary>
    internal static Errno ResolveNode(MemoryManager mm, uint flags, ulong address)
    {
        if ((flags & FUTEX2_NUMA) == 0)
            return Errno.OK;
        if (address % (2 * sizeof(uint)) != 0)
            return Errno.EINVAL;
        UserPtr<uint> place = new(address + sizeof(uint));
        Errno error = mm.Read(place, out uint node);
        if (error != Errno.OK || node == 0)
            return error;
        return node == uint.MaxValue ? mm.Write(place, 0u) : Errno.EINVAL;
    }

    private static Errno ReadTime(Task task, ulong address, bool relative, out long time)
    {
        time = Task.Forever;
        Errno error = task.Mm.Read(new UserPtr<Timespec>(address), out Timespec value);
        if (error != Errno.OK)
            return error;
        if (!HostClock.IsValid(in value))
            return Errno.EINVAL;
        time = HostClock.ToNanoseconds(in value);
        if (relative)
            time = HostClock.After(time);
        return Errno.OK;
    }

    private static bool AnyWoken(ReadOnlySpan<TaskFutexWaiter> waiters)
    {
        foreach (TaskFutexWaiter w in waiters)
        {
            if (w.IsWoken)
                return true;
        }
        return false;
    }

    private static int CancelAll(FutexTable table, ReadOnlySpan<TaskFutexWaiter> waiters)
    {
        int woken = -1;
        for (int i = 0; i < waiters.Length; i++)
        {
            if (!table.Cancel(waiters[i]))
                woken = i;
        }
        return woken;
    }
}
