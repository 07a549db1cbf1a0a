namespace Moat.Kernel.Tasks;

internal sealed partial class ThreadGroup
{
    /// <summary>Threads that threads of this process trace. Under the lock of <see cref="ProcessTree"/>.</summary>
    public List<Task> Tracees { get; } = [];

    /// <summary>Those that have ended and have not been waited for, unless they are children. Under the same lock.</summary>
    public List<ChildReport> EndedTracees { get; } = [];

    /// <summary>The signal that stopped the process.</summary>
    public int StopSignal { get; private set; } = Signal.SIGSTOP;
}
