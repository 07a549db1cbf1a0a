using Moat.Kernel.Memory;

namespace Moat.Kernel.Tasks;

/// <summary>A process: the threads that share an id, signal handlers and limits.</summary>
internal sealed partial class ThreadGroup(Sentry sentry, int id)
{
    public Sentry Sentry { get; } = sentry;

    /// <summary>The process id: the leader's thread id.</summary>
    public int Id { get; } = id;
}
