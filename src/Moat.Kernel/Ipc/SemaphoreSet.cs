namespace Moat.Kernel.Ipc;

/// <summary>struct sembuf.</summary>
internal struct SemaphoreOperation
{
    public const short SEM_UNDO = 0x1000;

    public ushort Number;
    public short Change;
    public short Flags;

    public readonly bool DoesNotWait => (Flags & IpcFlags.IPC_NOWAIT) != 0;

    public readonly bool IsUndone => (Flags & SEM_UNDO) != 0;
}

/// <summary>A set of semaphores (semop(2)). Its lock guards all of it but what the table guards.</summary>
internal sealed class SemaphoreSet(int count) : IpcObject
{
    /// <summary>SEMVMX.</summary>
    public const int MaxValue = 32767;

    private readonly int[] _pids = new int[count];
    private Chain<SemaphoreWaiter> _waiters;

    public Lock Lock { get; } = new();

    public int Count => Values.Length;

    public ushort[] Values { get; } = new ushort[count];

    /// <summary>Last semop(2), seconds since the epoch; 0: none.</summary>
    public long OperationTime { get; private set; }

    /// <summary>Who changed a semaphore last (GETPID).</summary>
    public int PidOf(int number) => _pids[number];

    /// <summary>
    /// Does all operations, or none: EAGAIN when they would have to wait, with the one that has to in <paramref name="blocking"/>;
    /// EFBIG for a number that is not there, ERANGE. Under the lock.
    /// </summary>
    public Errno TryAll(ReadOnlySpan<SemaphoreOperation> operations, SemaphoreUndo? undo, int pid, out int blocking)
    {
        Errno error = Errno.OK;
        int done = 0;
        blocking = -1;
        for (; done < operations.Length; done++)
        {
            SemaphoreOperation op = operations[done];
            int value = Values[op.Number], result = value + op.Change;
            if ((op.Change == 0 && value != 0) || result < 0)
            {
                blocking = done;
                error = Errno.EAGAIN;
                break;
            }
            if (result > MaxValue || (op.IsUndone && !undo!.Fits(this, op.Number, -op.Change)))
            {
                error = Errno.ERANGE;
                break;
            }
            if (op.IsUndone)
                undo!.Add(this, op.Number, -op.Change);
            Values[op.Number] = (ushort)result;
        }
        if (error == Errno.OK)
        {
            foreach (SemaphoreOperation op in operations)
                _pids[op.Number] = pid;
            OperationTime = IpcClock.Seconds;
            return Errno.OK;
        }
        while (--done >= 0)
        {
            SemaphoreOperation op = operations[done];
            Values[op.Number] = (ushort)(Values[op.Number] - op.Change);
            if (op.IsUndone)
                undo!.Add(this, op.Number, op.Change);
        }
        return error;
    }

    /// <summary>Sets a value (SETVAL, an undo). Under the lock; <see cref="WakeReady"/> follows.</summary>
    public void Set(int number, int value, int pid)
    {
        Values[number] = (ushort)value;
        _pids[number] = pid;
    }

    /// <summary>Ends the waits that can end now, oldest first. Under the lock.</summary>
    public void WakeReady()
    {
        for (SemaphoreWaiter? w = _waiters.First; w is not null;)
        {
            Errno error = TryAll(w.Operations, w.Undo, w.Pid, out int blocking);
            if (error == Errno.EAGAIN && !w.Operations[blocking].DoesNotWait)
            {
                w.Blocking = w.Operations[blocking];
                w = w.Next;
                continue;
            }
            SemaphoreWaiter? next = w.Next;
            Finish(w, error);
            // What changed may let an older one go.
            w = error == Errno.OK && w.Alters ? _waiters.First : next;
        }
    }

    /// <summary>Ends all waits with EIDRM. Under the lock.</summary>
    public void WakeRemoved()
    {
        while (_waiters.First is { } w)
            Finish(w, Errno.EIDRM);
    }

    /// <summary>Queues a waiter. Under the lock.</summary>
    public void Enqueue(SemaphoreWaiter w)
    {
        w.IsQueued = true;
        _waiters.Add(w);
    }

    /// <summary>Out of the queue. Under the lock.</summary>
    public void Dequeue(SemaphoreWaiter w)
    {
        _waiters.Remove(w);
        w.IsQueued = false;
    }

    /// <summary>How many wait for a semaphore to become zero, or to grow (GETZCNT, GETNCNT). Under the lock.</summary>
    public int CountWaiters(int number, bool forZero)
    {
        int found = 0;
        for (SemaphoreWaiter? w = _waiters.First; w is not null; w = w.Next)
        {
            if (w.Blocking.Number == number && (w.Blocking.Change == 0) == forZero)
                found++;
        }
        return found;
    }

    private void Finish(SemaphoreWaiter w, Errno error)
    {
        Dequeue(w);
        w.Finish(error);
    }
}
