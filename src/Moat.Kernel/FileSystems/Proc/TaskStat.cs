using System.Globalization;
using System.Text;
using Moat.Kernel.IoUring;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Terminals;
using Moat.Kernel.Time;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>/proc/PID/stat (man 5 proc_pid_stat): 52 fields on one line.</summary>
internal static class TaskStat
{
    /// <summary>Nanoseconds of a clock tick (sysconf(_SC_CLK_TCK) is 100).</summary>
    public const long Tick = HostClock.Second / 100;

    public static Errno Write(Task task, bool isProcess, in Caller reader, StringBuilder text) => Write(task, null, isProcess, in reader, text);

    public static Errno Write(IoThread thread, Task leader, in Caller reader, StringBuilder text) => Write(leader, thread, false, in reader, text);

    private static Errno Write(Task task, IoThread? thread, bool isProcess, in Caller reader, StringBuilder text)
    {
        ThreadGroup group = task.Group;
        (long user, long system) = thread is not null ? default : isProcess ? group.GetTimes() : task.GetTimes();
        string name = thread?.Name ?? TaskEntries.Text(task.Name);
        long startTime = thread?.StartTime ?? (isProcess ? group.StartTime : task.StartTime);
        ulong pending = thread is null ? task.Pending.Bits | group.Pending.Bits : 0, blocked = thread is null ? task.Blocked : IoThread.Blocked;
        MemoryManager mm = task.Mm;
        bool hasMemory = !task.HasEnded;
        MemoryUsage use = hasMemory ? mm.GetUsage() : default;
        ProgramArea program = hasMemory && ProcAccess.IsAllowed(in reader, task) ? mm.Program : new ProgramArea();
        group.Actions.GetSets(out ulong ignored, out ulong caught);
        TerminalSession? terminal = group.Terminal;
        ulong limit = group.Limits.Get(Resource.RLIMIT_RSS).Current;
        text.Append(CultureInfo.InvariantCulture, $"{thread?.Id ?? task.Tid} ({name}) {thread?.StateLetter ?? task.StateLetter} {group.ParentId} {group.ProcessGroupId} {group.SessionId} ")
            // tty_nr, tpgid, flags, minflt, cminflt, majflt, cmajflt
            .Append(CultureInfo.InvariantCulture, $"{(int)(terminal?.Device ?? 0)} {terminal?.ForegroundGroup ?? -1} {(thread is null ? 0x400000 : IoThread.ProcessFlags)} {(isProcess ? group.GetCounts() : task.Counts).Faults} {group.ChildCounts.Faults} 0 0 ")
            // utime, stime, cutime, cstime, priority, nice, num_threads, itrealvalue, starttime
            .Append(CultureInfo.InvariantCulture, $"{user / Tick} {system / Tick} {group.ChildTimes.User / Tick} {group.ChildTimes.System / Tick} {20 + task.Nice} {task.Nice} {group.ShownThreadCount} 0 {StartTicks(startTime)} ")
            // vsize, rss, rsslim, startcode, endcode, startstack, kstkesp, kstkeip
            .Append(CultureInfo.InvariantCulture, $"{use.Size} {use.Resident / MemoryManager.PageSize} {limit} {program.CodeStart} {program.CodeEnd} {program.StackStart} 0 0 ")
            // signal, blocked, sigignore, sigcatch (the first 31 only), wchan, nswap, cnswap, exit_signal, processor
            .Append(CultureInfo.InvariantCulture, $"{pending & int.MaxValue} {blocked & int.MaxValue} {ignored & int.MaxValue} {caught & int.MaxValue} 0 0 0 {(task.IsLeader && thread is null ? group.ExitSignal : -1)} 0 ")
            // rt_priority, policy, delayacct_blkio_ticks, guest_time, cguest_time, start_data, end_data, start_brk
            .Append(CultureInfo.InvariantCulture, $"0 {task.SchedulerPolicy} 0 0 0 {program.DataStart} {program.DataEnd} {(hasMemory ? mm.BreakStart : 0)} ")
            // arg_start, arg_end, env_start, env_end, exit_code
            .Append(CultureInfo.InvariantCulture, $"{program.ArgumentStart} {program.ArgumentEnd} {program.EnvironmentStart} {program.EnvironmentEnd} {(task.HasEnded ? group.ExitStatus : 0)}\n");
        return Errno.OK;
    }

    /// <summary>Ticks between the machine's start and a time on CLOCK_MONOTONIC; sleep of the machine counts.</summary>
    private static long StartTicks(long start) => (start + HostClock.Get(HostClock.CLOCK_BOOTTIME) - HostClock.Now) / Tick;
}
