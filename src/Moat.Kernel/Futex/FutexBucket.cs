namespace Moat.Kernel.Futex;

/// <summary>The waiters of all words with one hash, oldest first. Guarded by its lock.</summary>
internal sealed class FutexBucket(int index)
{
    private Chain<FutexWaiter> _waiters;

    /// <summary>Order among buckets when two are locked.</summary>
    public int Index { get; } = index;

    public Lock Lock { get; } = new();

    /// <summary>The first waiter.</summary>
    public FutexWaiter? Head => _waiters.First;

    /// <summary>
    /// Waiters that are queued here or about to be. Counted before the word is read, so that a waker who changed the word and
    /// then sees none need not take the lock.
    /// </summary>
    public int Count;

    public void Add(FutexWaiter waiter)
    {
        _waiters.Add(waiter);
        waiter.LastBucket = this;
        Volatile.Write(ref waiter.Bucket, this);
    }

    /// <summary>Takes a waiter out that then belongs to no bucket.</summary>
    public void Remove(FutexWaiter waiter)
    {
        _waiters.Remove(waiter);
        Volatile.Write(ref waiter.Bucket, null);
        Interlocked.Decrement(ref Count);
    }

    /// <summary>Moves a waiter to another bucket; both are locked. It never seems to be in none, which would mean woken.</summary>
    public void MoveTo(FutexBucket other, FutexWaiter waiter)
    {
        _waiters.Remove(waiter);
        Interlocked.Increment(ref other.Count);
        other.Add(waiter);
        Interlocked.Decrement(ref Count);
    }
}
