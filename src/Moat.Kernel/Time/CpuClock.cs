using Moat.Kernel.Tasks;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Time;

/// <summary>
/// What guests have used of processors. The guest's own code runs in its stub, which counts as user time; the sentry's work
/// for it, on the sentry threads of its tasks, counts as system time. Waiting for each other by spinning counts, too.
/// </summary>
internal static class CpuClock
{
    private const int CPUCLOCK_VIRT = 1, CPUCLOCK_SCHED = 2, CPUCLOCK_PERTHREAD = 4;

    /// <summary>
    /// The time of a CPU clock, nanoseconds: CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, or one of clock_getcpuclockid(3).
    /// EINVAL for what is none.
    /// </summary>
    public static SysResult Get(Task task, int clock)
    {
        Errno error = Find(task, clock, out Task? thread, out ThreadGroup? process, out int kind);
        if (error != Errno.OK)
            return error;
        (long user, long system) = thread is not null ? thread.GetTimes() : process!.GetTimes();
        return kind == CPUCLOCK_VIRT ? user : user + system;
    }

    /// <summary>EINVAL unless the clock is a CPU clock that the task may look at.</summary>
    public static Errno Check(Task task, int clock) => Find(task, clock, out _, out _, out _);

    private static Errno Find(Task task, int clock, out Task? thread, out ThreadGroup? process, out int kind)
    {
        thread = null;
        process = null;
        kind = CPUCLOCK_SCHED;
        switch (clock)
        {
            case HostClock.CLOCK_PROCESS_CPUTIME_ID:
                process = task.Group;
                return Errno.OK;
            case HostClock.CLOCK_THREAD_CPUTIME_ID:
                thread = task;
                return Errno.OK;
        }
        kind = clock & 3;
        int id = ~(clock >> 3);
        if (clock >= 0 || kind > CPUCLOCK_SCHED)
            return Errno.EINVAL;
        if ((clock & CPUCLOCK_PERTHREAD) != 0)
        {
            thread = id == 0 ? task : task.Sentry.Tasks.Find(id);
            return thread?.Group == task.Group ? Errno.OK : Errno.EINVAL;
        }
        process = id == 0 ? task.Group : task.Sentry.Tasks.FindGroup(id);
        return process is not null ? Errno.OK : Errno.EINVAL;
    }
}
