using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.Futex;

/// <summary>
/// Who waits on which futex word (futex(2)): hashed buckets with a lock each. A waiter reads the word under its bucket's
/// lock, and a waker takes that lock after the word was changed, so no wake-up is lost. Bucket locks come before the
/// memory manager's.
/// </summary>
internal sealed partial class FutexTable
{
    /// <summary>FUTEX_BITSET_MATCH_ANY.</summary>
    public const uint AnyBitset = uint.MaxValue;

    private const int Buckets = 256;
    private readonly FutexBucket[] _buckets = new FutexBucket[Buckets];

    public FutexTable()
    {
        for (int i = 0; i < Buckets; i++)
            _buckets[i] = new FutexBucket(i);
    }

    /// <summary>How many waiters there are in all; for tests and statistics.</summary>
    public int WaiterCount => _buckets.Sum(b => Volatile.Read(ref b.Count));

    /// <summary>
    /// Queues a waiter if the word still has the value <paramref name="expected"/>. OK: it is queued, until <see cref="Cancel"/> or a
    /// wake-up. EAGAIN: another value. EFAULT, EINVAL: the address.
    /// </summary>
    public Errno Enqueue(MemoryManager mm, UserPtr address, bool isPrivate, uint expected, uint bitset, FutexWaiter waiter)
    {
        Errno error = GetKey(mm, address, isPrivate, out waiter.Key);
        if (error != Errno.OK)
            return error;
        waiter.Bitset = bitset;
        waiter.IsWoken = false;
        FutexBucket bucket = Find(waiter.Key);
        Interlocked.Increment(ref bucket.Count);
        lock (bucket.Lock)
        {
            error = mm.Load32(address, out uint value);
            if (error == Errno.OK && value == expected)
            {
                bucket.Add(waiter);
                return Errno.OK;
            }
        }
        Interlocked.Decrement(ref bucket.Count);
        return error != Errno.OK ? error : Errno.EAGAIN;
    }

    /// <summary>Takes a waiter out. False: a wake-up took it before.</summary>
    public bool Cancel(FutexWaiter waiter)
    {
        while (Volatile.Read(ref waiter.Bucket) is { } bucket)
        {
            lock (bucket.Lock)
            {
                // It may have been requeued meanwhile.
                if (waiter.Bucket != bucket)
                    continue;
                bucket.Remove(waiter);
                return true;
            }
        }
        return false;
    }

    /// <summary>
    /// As <see cref="Cancel"/>, and whatever it returns, no <see cref="FutexWaiter.OnWoken"/> runs any more or will.
    /// </summary>
    public bool CancelAndSettle(FutexWaiter waiter)
    {
        if (Cancel(waiter))
            return true;
        if (waiter.LastBucket is { } bucket)
        {
            bucket.Lock.Enter();
            bucket.Lock.Exit();
        }
        return false;
    }

    /// <summary>
    /// Wakes at most <paramref name="count"/> waiters of a word whose bitsets meet <paramref name="bitset"/>; at least one,
    /// as FUTEX_WAKE does even when asked for none. Returns how many, or EFAULT, EINVAL.
    /// </summary>
    public SysResult Wake(MemoryManager mm, UserPtr address, bool isPrivate, int count, uint bitset)
    {
        Errno error = GetKey(mm, address, isPrivate, out FutexKey key);
        if (error != Errno.OK)
            return error;
        FutexBucket bucket = Find(key);
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref bucket.Count) == 0)
            return 0;
        WakeBatch batch = default;
        int woken;
        lock (bucket.Lock)
            woken = WakeLocked(bucket, key, count, bitset, ref batch);
        batch.Flush();
        return woken;
    }

    /// <summary>
    /// Wakes <paramref name="wake"/> waiters of the first word and moves up to <paramref name="move"/> others to the second;
    /// with <paramref name="expected"/> only if the first word has that value (EAGAIN). Returns how many were woken or moved.
    /// </summary>
    public SysResult Requeue(
        MemoryManager mm, UserPtr from, bool fromPrivate, UserPtr to, bool toPrivate, int wake, int move, uint? expected)
    {
        if (wake < 0 || move < 0)
            return Errno.EINVAL;
        Errno error = GetKey(mm, from, fromPrivate, out FutexKey key);
        if (error != Errno.OK)
            return error;
        error = GetKey(mm, to, toPrivate, out FutexKey target);
        if (error != Errno.OK)
            return error;
        FutexBucket bucket = Find(key), other = Find(target);
        WakeBatch batch = default;
        long done = 0;
        EnterBoth(bucket, other);
        if (expected is { } value)
        {
            error = mm.Load32(from, out uint now);
            if (error == Errno.OK && now != value)
                error = Errno.EAGAIN;
        }
        if (error == Errno.OK)
        {
            FutexWaiter? last = other == bucket ? Last(bucket) : null;
            for (FutexWaiter? w = bucket.Head; w is not null && done - wake < move;)
            {
                FutexWaiter? next = w == last ? null : w.Next;
                if (w.Key == key && w is PiWaiter)
                {
                    error = Errno.EINVAL;
                    break;
                }
                if (w.Key == key)
                {
                    if (++done <= wake)
                    {
                        batch.Wake(bucket, w);
                    }
                    else
                    {
                        w.Key = target;
                        bucket.MoveTo(other, w);
                    }
                }
                w = next;
            }
        }
        ExitBoth(bucket, other);
        batch.Flush();
        return error != Errno.OK ? error : done;
    }

    /// <summary>FUTEX_WAKE_OP: changes the second word, wakes waiters of the first, and of the second if its old value compares.</summary>
    public SysResult WakeOp(MemoryManager mm, UserPtr first, UserPtr second, bool isPrivate, int wake, int wakeSecond, FutexOp op)
    {
        Errno error = GetKey(mm, first, isPrivate, out FutexKey key);
        if (error != Errno.OK)
            return error;
        error = GetKey(mm, second, isPrivate, out FutexKey other);
        if (error != Errno.OK)
            return error;
        FutexBucket bucket = Find(key), otherBucket = Find(other);
        WakeBatch batch = default;
        int woken = 0;
        EnterBoth(bucket, otherBucket);
        error = op.Apply(mm, second, out bool alsoSecond);
        if (error == Errno.OK)
        {
            woken = WakeLocked(bucket, key, wake, AnyBitset, ref batch);
            if (alsoSecond && woken >= 0)
                woken += WakeLocked(otherBucket, other, wakeSecond, AnyBitset, ref batch);
        }
        ExitBoth(bucket, otherBucket);
        batch.Flush();
        return error != Errno.OK ? error : woken;
    }

    /// <summary>Returns how many, or -EINVAL when somebody waits for a lock there.</summary>
    private static int WakeLocked(FutexBucket bucket, FutexKey key, int count, uint bitset, ref WakeBatch batch)
    {
        int woken = 0;
        for (FutexWaiter? w = bucket.Head; w is not null;)
        {
            FutexWaiter? next = w.Next;
            if (w is PiWaiter && w.Key == key)
                return -(int)Errno.EINVAL;
            if (w.Key == key && (w.Bitset & bitset) != 0)
            {
                batch.Wake(bucket, w);
                if (++woken >= count)
                    break;
            }
            w = next;
        }
        return woken;
    }

    private static FutexWaiter? Last(FutexBucket bucket)
    {
        FutexWaiter? w = bucket.Head;
        while (w?.Next is { } next)
            w = next;
        return w;
    }

    private static void EnterBoth(FutexBucket a, FutexBucket b)
    {
        if (a.Index > b.Index)
            (a, b) = (b, a);
        a.Lock.Enter();
        if (a != b)
            b.Lock.Enter();
    }

    private static void ExitBoth(FutexBucket a, FutexBucket b)
    {
        a.Lock.Exit();
        if (a != b)
            b.Lock.Exit();
    }

    /// <summary>What any call on a word fails with: EFAULT, EINVAL.</summary>
    public static Errno Check(MemoryManager mm, UserPtr address, bool isPrivate) => GetKey(mm, address, isPrivate, out _);

    private static Errno GetKey(MemoryManager mm, UserPtr address, bool isPrivate, out FutexKey key)
    {
        key = default;
        if ((address.Address & 3) != 0)
            return Errno.EINVAL;
        return mm.TryGetFutexKey(address, !isPrivate, out key) ? Errno.OK : Errno.EFAULT;
    }

    private FutexBucket Find(in FutexKey key)
    {
        ulong hash = ((key.Offset >> 2) ^ (key.Inode << 17) ^ (key.Space << 40)) * 0x9E3779B97F4A7C15;
        return _buckets[hash >> 56];
    }
}
