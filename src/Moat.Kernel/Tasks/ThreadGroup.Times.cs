namespace Moat.Kernel.Tasks;

internal sealed partial class ThreadGroup
{
    private long _endedUser, _endedSystem;

    /// <summary>Processor time of all threads, ended ones included, nanoseconds.</summary>
    public (long User, long System) GetTimes()
    {
        long user = Volatile.Read(ref _endedUser), system = Volatile.Read(ref _endedSystem);
        foreach (Task task in GetTasks())
        {
            (long u, long s) = task.GetTimes();
            user += u;
            system += s;
        }
        return (user, system);
    }

    /// <summary>Keeps what an ending thread has used.</summary>
    internal void AddEndedTimes((long User, long System) times)
    {
        Interlocked.Add(ref _endedUser, times.User);
        Interlocked.Add(ref _endedSystem, times.System);
    }
}
