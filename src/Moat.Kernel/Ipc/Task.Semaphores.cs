using Moat.Kernel.Ipc;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private SemaphoreWaiter? _semaphoreWaiter;

    /// <summary>This task's place in the queue of a semaphore set.</summary>
    internal SemaphoreWaiter SemaphoreWaiter => _semaphoreWaiter ??= new SemaphoreWaiter(this);
}

internal sealed partial class ThreadGroup
{
    private SemaphoreUndo? _semaphoreUndo;

    /// <summary>What SEM_UNDO operations of this process are to take back.</summary>
    internal SemaphoreUndo SemaphoreUndo => LazyInitializer.EnsureInitialized(ref _semaphoreUndo);

    /// <summary>As above, without making it.</summary>
    internal SemaphoreUndo? KnownSemaphoreUndo => Volatile.Read(ref _semaphoreUndo);

    /// <summary>The process has ended: semaphores get back what it took with SEM_UNDO.</summary>
    internal void UndoSemaphores() => KnownSemaphoreUndo?.Apply(Id);
}
