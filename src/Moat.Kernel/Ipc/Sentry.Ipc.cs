using Moat.Kernel.Ipc;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    private SharedSegments? _segments;

    /// <summary>System V shared memory.</summary>
    public SharedSegments Segments => LazyInitializer.EnsureInitialized(ref _segments, () => new SharedSegments(Frames));

    /// <summary>System V semaphores.</summary>
    public SemaphoreSets Semaphores { get; } = new();

    /// <summary>System V message queues.</summary>
    public MessageQueues MessageQueues { get; } = new();

    /// <summary>POSIX message queues.</summary>
    public PosixQueues PosixQueues { get; } = new();
}
