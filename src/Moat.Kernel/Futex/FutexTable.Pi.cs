using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Futex;

/// <summary>
/// Lock words: the word holds its owner's thread id, and the kernel hands it on (futex(2), priority-inheritance futexes). All guests have
/// one priority, so waiters are served in order of arrival.
/// </summary>
internal sealed partial class FutexTable
{
    /// <summary>Parts of a lock word (FUTEX_WAITERS, FUTEX_OWNER_DIED, FUTEX_TID_MASK).</summary>
    public const uint Waiters = 0x80000000, OwnerDied = 0x40000000, TidMask = 0x3fffffff;

    /// <summary>Longest chain of locks that is followed to find a deadlock.</summary>
    private const int LongestChain = 1024;

    // How many tasks wait for locks; exits need not look while there are none.
    private int _piWaiters;

    /// <summary>
    /// Takes the lock (OK), or queues <paramref name="waiter"/> for it (EAGAIN), unless that is null. EDEADLK, ESRCH (the owner is gone),
    /// EFAULT, EINVAL.
    /// </summary>
    public Errno LockPi(Task task, UserPtr address, bool isPrivate, PiWaiter? waiter)
    {
        MemoryManager mm = task.Mm;
        Errno error = GetKey(mm, address, isPrivate, out FutexKey key);
        if (error != Errno.OK)
            return error;
        FutexBucket bucket = Find(key);
        Interlocked.Increment(ref bucket.Count);
        lock (bucket.Lock)
        {
            error = TryLock(task, address, FirstPi(bucket, key), out int owner);
            if (error == Errno.EAGAIN && waiter is not null)
            {
                waiter.Key = key;
                waiter.Address = address;
                waiter.Owner = owner;
                waiter.IsWoken = false;
                waiter.IsOnLock = true;
                waiter.Target = default;
                Interlocked.Increment(ref _piWaiters);
                bucket.Add(waiter);
                return Errno.EAGAIN;
            }
        }
        Interlocked.Decrement(ref bucket.Count);
        return error;
    }

    /// <summary>Takes a waiter for a lock out. False: it has got the lock.</summary>
    public bool CancelPi(PiWaiter waiter)
    {
        if (!Cancel(waiter))
            return false;
        if (waiter.IsOnLock)
            Interlocked.Decrement(ref _piWaiters);
        return true;
    }

    /// <summary>Hands the lock to the first waiter, or frees it. EPERM for others than its owner, EFAULT, EINVAL.</summary>
    public Errno UnlockPi(Task task, UserPtr address, bool isPrivate)
    {
        MemoryManager mm = task.Mm;
        Errno error = GetKey(mm, address, isPrivate, out FutexKey key);
        if (error != Errno.OK)
            return error;
        FutexBucket bucket = Find(key);
        PiWaiter? next;
        lock (bucket.Lock)
        {
            next = FirstPi(bucket, key);
            error = mm.Load32(address, out uint value);
            while (error == Errno.OK)
            {
                if ((value & TidMask) != (uint)task.Tid)
                    return Errno.EPERM;
                error = mm.CompareExchange32(address, value, next is null ? 0 : Waiters | (uint)next.Task.Tid, out uint seen);
                if (seen == value)
                    break;
                value = seen;
            }
            if (error == Errno.OK && next is not null)
                HandOver(bucket, next);
        }
        if (error == Errno.OK)
            next?.Task.Wake();
        return error;
    }

    /// <summary>A thread has ended: locks that it held and others wait for go to the first of those, marked OwnerDied.</summary>
    public void ReleasePi(Task dead)
    {
        if (Volatile.Read(ref _piWaiters) == 0)
            return;
        foreach (FutexBucket bucket in _buckets)
        {
            lock (bucket.Lock)
            {
                while (FirstOwnedBy(bucket, dead.Tid) is { } next)
                {
                    HandOver(bucket, next);
                    MarkDied(next);
                    next.Task.Wake();
                }
            }
        }
    }

    private Errno TryLock(Task task, UserPtr address, PiWaiter? first, out int owner)
    {
        MemoryManager mm = task.Mm;
        owner = 0;
        Errno error = mm.Load32(address, out uint value);
        while (error == Errno.OK)
        {
            owner = (int)(value & TidMask);
            if (owner == task.Tid)
                return Errno.EDEADLK;
            bool isFree = owner == 0 && first is null;
            uint wanted = isFree ? (value & OwnerDied) | (uint)task.Tid : value | Waiters;
            error = mm.CompareExchange32(address, value, wanted, out uint seen);
            if (error != Errno.OK || seen != value)
            {
                value = seen;
                continue;
            }
            if (isFree)
                return Errno.OK;
            if (first is not null)
                owner = first.Owner;
            return task.Sentry.Tasks.Find(owner) is null or { HasEnded: true } ? Errno.ESRCH
                : LeadsTo(task, owner) ? Errno.EDEADLK : Errno.EAGAIN;
        }
        return error;
    }

    /// <summary>True when the owner waits, directly or through others, for a lock that <paramref name="task"/> holds.</summary>
    private static bool LeadsTo(Task task, int owner)
    {
        for (int i = 0; i < LongestChain; i++)
        {
            if (task.Sentry.Tasks.Find(owner)?.WaitsForLock is not { IsQueued: true } blocked)
                return false;
            owner = blocked.Owner;
            if (owner == task.Tid)
                return true;
        }
        return false;
    }

    private void HandOver(FutexBucket bucket, PiWaiter next)
    {
        Interlocked.Decrement(ref _piWaiters);
        bucket.Remove(next);
        for (FutexWaiter? w = bucket.Head; w is not null; w = w.Next)
        {
            if (w is PiWaiter { IsOnLock: true } other && other.Key == next.Key)
                other.Owner = next.Task.Tid;
        }
        next.IsWoken = true;
    }

    private static void MarkDied(PiWaiter next)
    {
        MemoryManager mm = next.Task.Mm;
        uint wanted = Waiters | OwnerDied | (uint)next.Task.Tid;
        // A word that is not there any more is the waiter's own loss.
        if (mm.Load32(next.Address, out uint value) != Errno.OK)
            return;
        while (mm.CompareExchange32(next.Address, value, wanted, out uint seen) == Errno.OK && seen != value)
            value = seen;
    }

    private static PiWaiter? FirstPi(FutexBucket bucket, FutexKey key)
    {
        for (FutexWaiter? w = bucket.Head; w is not null; w = w.Next)
        {
            if (w is PiWaiter { IsOnLock: true } waiter && w.Key == key)
                return waiter;
        }
        return null;
    }

    private static PiWaiter? FirstOwnedBy(FutexBucket bucket, int owner)
    {
        for (FutexWaiter? w = bucket.Head; w is not null; w = w.Next)
        {
            if (w is PiWaiter { IsOnLock: true } waiter && waiter.Owner == owner)
                return waiter;
        }
        return null;
    }
}
