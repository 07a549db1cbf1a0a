namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    /// <summary>True when a signal that is not blocked, or the end of the task, is pending: waits end, calls restart or fail.</summary>
    public bool HasDeliverableSignal => false;
}
