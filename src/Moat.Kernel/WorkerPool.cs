namespace Moat.Kernel;

/// <summary>Work for a sentry thread other than the caller's. Owners keep and reuse it; queuing allocates nothing.</summary>
internal abstract class WorkItem
{
    internal WorkItem? NextWork;

    /// <summary>Does the work. May block. Throws nothing.</summary>
    public abstract void Run();
}
