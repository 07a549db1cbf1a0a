namespace Moat.Kernel.Tasks;

/// <summary>
/// What an interrupted call with a relative time-out needs to go on (restart_syscall(2)). A task keeps one of each kind.
/// </summary>
internal abstract class RestartBlock
{
    /// <summary>Goes on with the call.</summary>
    public abstract SysResult Restart(Task task);
}
