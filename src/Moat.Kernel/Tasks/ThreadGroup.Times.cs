namespace Moat.Kernel.Tasks;

internal sealed partial class ThreadGroup
{
    private long _endedUser, _endedSystem, _endedFaults, _endedSleeps;

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
    internal void AddEnded((long User, long System) times, UsageCounts counts)
    {
        Interlocked.Add(ref _endedUser, times.User);
        Interlocked.Add(ref _endedSystem, times.System);
        Interlocked.Add(ref _endedFaults, counts.Faults);
        Interlocked.Add(ref _endedSleeps, counts.Sleeps);
    }

    /// <summary>Faults and sleeps of all threads, ended ones included.</summary>
    public UsageCounts GetCounts()
    {
        UsageCounts counts = new(Volatile.Read(ref _endedFaults), Volatile.Read(ref _endedSleeps));
        foreach (Task task in GetTasks())
            counts += task.Counts;
        return counts;
    }
}
