using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Futex;

/// <summary>Waiting on a plain word until somebody moves the waiter to a lock word: condition variables with priority inheritance (futex(2)).</summary>
internal sealed partial class FutexTable
{
    /// <summary>
    /// Queues a waiter on a word that still has the value <paramref name="expected"/>, to be moved to the lock <paramref name="target"/>. EAGAIN,
    /// EFAULT, EINVAL.
    /// </summary>
    public Errno EnqueueForLock(Task task, UserPtr address, UserPtr target, bool isPrivate, uint expected, PiWaiter waiter)
    {
        Errno error = GetKey(task.Mm, target, isPrivate, out FutexKey key);
        if (error != Errno.OK)
            return error;
        waiter.Target = key;
        waiter.TargetAddress = target;
        waiter.Owner = 0;
        waiter.IsOnLock = false;
        error = GetKey(task.Mm, address, isPrivate, out FutexKey own);
        if (error != Errno.OK)
            return error;
        return own == key ? Errno.EINVAL : Enqueue(task.Mm, address, isPrivate, expected, AnyBitset, waiter);
    }

    /// <summary>
    /// FUTEX_CMP_REQUEUE_PI: the first waiter gets the lock if it is free; the others, up to <paramref name="move"/>, wait for it from now on. How
    /// many that were; EAGAIN, EINVAL (they wait for something else), ESRCH, EDEADLK, EFAULT.
    /// </summary>
    public SysResult RequeuePi(Task task, UserPtr from, UserPtr to, bool isPrivate, int move, uint expected)
    {
        MemoryManager mm = task.Mm;
        if (move < 0)
            return Errno.EINVAL;
        Errno error = GetKey(mm, from, isPrivate, out FutexKey key);
        if (error != Errno.OK)
            return error;
        error = GetKey(mm, to, isPrivate, out FutexKey target);
        if (error != Errno.OK || key == target)
            return error != Errno.OK ? error : Errno.EINVAL;
        FutexBucket bucket = Find(key), other = Find(target);
        PiWaiter? locked = null;
        long done = 0;
        EnterBoth(bucket, other);
        error = mm.Load32(from, out uint now);
        if (error == Errno.OK && now != expected)
            error = Errno.EAGAIN;
        FutexWaiter? last = other == bucket ? Last(bucket) : null;
        for (FutexWaiter? w = bucket.Head; error == Errno.OK && w is not null && done <= move;)
        {
            FutexWaiter? next = w == last ? null : w.Next;
            if (w.Key == key)
            {
                if (w is not PiWaiter { IsOnLock: false } waiter || waiter.Target != target)
                    error = Errno.EINVAL;
                else
                    error = MoveToLock(mm, to, bucket, other, waiter, isFirst: done == 0, ref locked);
                if (error == Errno.OK)
                    done++;
            }
            w = next;
        }
        ExitBoth(bucket, other);
        locked?.Task.Wake();
        return done != 0 || error == Errno.OK ? done : error;
    }

    private Errno MoveToLock(MemoryManager mm, UserPtr to, FutexBucket bucket, FutexBucket other, PiWaiter waiter, bool isFirst, ref PiWaiter? locked)
    {
        PiWaiter? before = FirstPi(other, waiter.Target);
        Errno error = mm.Load32(to, out uint value);
        while (error == Errno.OK)
        {
            int owner = (int)(value & TidMask);
            bool isFree = isFirst && owner == 0 && before is null;
            if (owner == waiter.Task.Tid)
                return Errno.EDEADLK;
            if (!isFree && owner != 0 && waiter.Task.Sentry.Tasks.Find(owner) is null or { HasEnded: true })
                return Errno.ESRCH;
            error = mm.CompareExchange32(to, value, isFree ? (value & OwnerDied) | (uint)waiter.Task.Tid : value | Waiters, out uint seen);
            if (error != Errno.OK || seen != value)
            {
                value = seen;
                continue;
            }
            if (isFree)
            {
                bucket.Remove(waiter);
                waiter.IsWoken = true;
                locked = waiter;
                return Errno.OK;
            }
            waiter.Owner = before?.Owner ?? (owner != 0 ? owner : locked?.Task.Tid ?? 0);
            waiter.Key = waiter.Target;
            waiter.Address = waiter.TargetAddress;
            waiter.IsOnLock = true;
            Interlocked.Increment(ref _piWaiters);
            bucket.MoveTo(other, waiter);
            return Errno.OK;
        }
        return error;
    }
}
