namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private int _services;

    /// <summary>Calls and faults served so far: it stands still while one is being served. Wraps around.</summary>
    public int Services => Volatile.Read(ref _services);

    /// <summary>The sentry serves this task, and the task is not asleep in a wait that an event or a signal ends.</summary>
    public bool IsBusyInSentry => !_inGuest && !_blocked && !Group.IsStopped && !HasEnded && Volatile.Read(ref _hostThreadId) != 0;

    /// <summary>Managed id of the sentry thread that runs this task; 0 before it does.</summary>
    public int SentryThread { get; private set; }

    /// <summary>The host's id of that thread; 0 when there is none.</summary>
    public int HostThreadId => Volatile.Read(ref _hostThreadId);
}
