using System.Runtime.CompilerServices;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Futex;

/// <summary>
/// Tasks to wake once the bucket's lock is free: waking is a host call, and the woken go for the same lock. What does not
/// fit is woken at once.
/// </summary>
internal struct WakeBatch
{
    private Tasks _tasks;
    private int _count;

    [InlineArray(16)]
    private struct Tasks
    {
        private Task? _first;
    }

    /// <summary>Takes a waiter out of its bucket, whose lock is held, as woken.</summary>
    public void Wake(FutexBucket bucket, FutexWaiter waiter)
    {
        waiter.IsWoken = true;
        bucket.Remove(waiter);
        // From here on a task's waiter may be in use again; the task itself is safe to wake at any time.
        if (waiter is TaskFutexWaiter { Task: var task } && _count < 16)
            _tasks[_count++] = task;
        else
            waiter.OnWoken();
    }

    /// <summary>Wakes them; no lock is held.</summary>
    public void Flush()
    {
        for (int i = 0; i < _count; i++)
            _tasks[i]!.Wake();
    }
}
