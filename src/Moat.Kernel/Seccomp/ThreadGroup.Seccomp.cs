namespace Moat.Kernel.Tasks;

internal sealed partial class ThreadGroup
{
    /// <summary>Under the signal lock: a thread whose filters are not among those of <paramref name="task"/>, or null.</summary>
    internal Task? FindStranger(Task task)
    {
        foreach (Task other in _tasks)
        {
            if (other != task && (other.SeccompMode == Seccomp.SeccompModes.SECCOMP_MODE_STRICT
                || (other.Filter is { } filter && task.Filter?.Extends(filter) != true)))
                return other;
        }
        return null;
    }

    /// <summary>Under the signal lock: gives all threads the filters of one, and its promise to gain no privileges.</summary>
    internal void ShareFilter(Task task)
    {
        foreach (Task other in _tasks)
        {
            if (other != task)
                other.ShareConfinement(task);
        }
    }
}
