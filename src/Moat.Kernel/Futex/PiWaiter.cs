using Moat.Kernel.Memory;
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

    /// <summary>
    /// The lock word that FUTEX_CMP_REQUEUE_PI may move it to, from a plain word where it waits first (FUTEX_WAIT_REQUEUE_PI); default: it waits for a
    /// lock from the start.
    /// </summary>
    public FutexKey Target { get; set; }

    /// <summary>The same in the task's own memory.</summary>
    public UserPtr TargetAddress { get; set; }

    /// <summary>It waits for a lock, or has got it: not, or no longer, on the plain word.</summary>
    public bool IsOnLock { get; set; }

    /// <summary>True while it waits.</summary>
    public bool IsQueued => Volatile.Read(ref Bucket) is not null;

    protected internal override void OnWoken() => Task.Wake();
}
