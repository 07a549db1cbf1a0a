using Moat.Kernel.Syscalls;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Futex;

/// <summary>A task that waits for a lock word (FUTEX_LOCK_PI): a wake-up hands it the lock. Guarded by its bucket's lock while queued.</summary>
internal sealed class PiWaiter(Task task) : FutexWaiter
{
    /// <summary>The task that waits.</summary>
    public Task Task { get; } = task;

    /// <summary>The word, in the task's own memory.</summary>
    public UserPtr Address { get; set; }

    /// <summary>The thread that holds the lock.</summary>
    public int Owner { get; set; }

    /// <summary>True while it waits.</summary>
    public bool IsQueued => Volatile.Read(ref Bucket) is not null;

    protected internal override void OnWoken() => Task.Wake();
}
