using Moat.Kernel.Memory;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Futex;

/// <summary>
/// One wait for one futex word. Its owner keeps and reuses it; waiting allocates nothing. Derived classes say what a
/// wake-up does: wake a task, or complete an io_uring request.
/// </summary>
internal abstract class FutexWaiter : Link<FutexWaiter>
{
    internal FutexBucket? Bucket;

    /// <summary>The bucket that it is or was in last: who wakes it holds its lock.</summary>
    internal FutexBucket? LastBucket;
    internal FutexKey Key;
    internal uint Bitset;
    private volatile bool _woken;

    /// <summary>True once a wake-up took this waiter. Set before <see cref="OnWoken"/>.</summary>
    public bool IsWoken
    {
        get => _woken;
        internal set => _woken = value;
    }

    /// <summary>A wake-up took this waiter, which is in no queue any more. Runs under the bucket's lock: queues work, wakes.</summary>
    protected internal abstract void OnWoken();
}

/// <summary>A task's own waiter: wakes the task.</summary>
internal sealed class TaskFutexWaiter(Task task) : FutexWaiter
{
    /// <summary>The task that waits.</summary>
    public Task Task { get; } = task;

    protected internal override void OnWoken() => Task.Wake();
}
