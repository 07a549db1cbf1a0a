using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>The small files of /proc/PID.</summary>
internal static class TaskSettings
{
    private static readonly (Resource Limit, string Name, string Unit)[] s_limits =
    [
        (Resource.RLIMIT_CPU, "Max cpu time", "seconds"),
        (Resource.RLIMIT_FSIZE, "Max file size", "bytes"),
        (Resource.RLIMIT_DATA, "Max data size", "bytes"),
        (Resource.RLIMIT_STACK, "Max stack size", "bytes"),
        (Resource.RLIMIT_CORE, "Max core file size", "bytes"),
        (Resource.RLIMIT_RSS, "Max resident set", "bytes"),
        (Resource.RLIMIT_NPROC, "Max processes", "processes"),
        (Resource.RLIMIT_NOFILE, "Max open files", "files"),
        (Resource.RLIMIT_MEMLOCK, "Max locked memory", "bytes"),
        (Resource.RLIMIT_AS, "Max address space", "bytes"),
        (Resource.RLIMIT_LOCKS, "Max file locks", "locks"),
        (Resource.RLIMIT_SIGPENDING, "Max pending signals", "signals"),
        (Resource.RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes"),
        (Resource.RLIMIT_NICE, "Max nice priority", ""),
        (Resource.RLIMIT_RTPRIO, "Max realtime priority", ""),
        (Resource.RLIMIT_RTTIME, "Max realtime timeout", "us"),
    ];

    public static Errno Limits(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        text.Append("Limit                     Soft Limit           Hard Limit           Units     \n");
        foreach ((Resource limit, string name, string unit) in s_limits)
        {
            ResourceLimit value = task.Group.Limits.Get(limit);
            text.Append(CultureInfo.InvariantCulture, $"{name,-25} {Value(value.Current),-20} {Value(value.Maximum),-20} ");
            if (unit.Length > 0)
                text.Append(CultureInfo.InvariantCulture, $"{unit,-10}");
            text.Append('\n');
        }
        return Errno.OK;

        static string Value(ulong value)
            => value == ResourceLimit.RLIM_INFINITY ? "unlimited" : value.ToString(CultureInfo.InvariantCulture);
    }

    public static Errno Name(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        text.Append(TaskEntries.Text(task.Name)).Append('\n');
        return Errno.OK;
    }

    /// <summary>comm: a thread may name the threads of its own process, others nobody (EINVAL).</summary>
    public static SysResult SetName(Task task, in Caller writer, ReadOnlySpan<byte> name)
    {
        if (writer.Task?.Group != task.Group)
            return Errno.EINVAL;
        ReadOnlySpan<byte> line = name.Length > 0 && name[^1] == '\n' ? name[..^1] : name;
        task.SetName(line);
        return name.Length;
    }

    public static Errno Cgroup(Task task, bool isProcess, in Caller reader, StringBuilder text) => Constant(text, "0::/\n");

    public static Errno CpuSet(Task task, bool isProcess, in Caller reader, StringBuilder text) => Constant(text, "/\n");

    public static Errno CoreDumpFilter(Task task, bool isProcess, in Caller reader, StringBuilder text) => Constant(text, "00000033\n");

    public static Errno IdMap(Task task, bool isProcess, in Caller reader, StringBuilder text)
        => Constant(text, "         0          0 4294967295\n");

    public static Errno SetGroups(Task task, bool isProcess, in Caller reader, StringBuilder text) => Constant(text, "allow\n");

    /// <summary>Nobody logged in: the unset id, without a line feed, as Linux has it.</summary>
    public static Errno LoginUid(Task task, bool isProcess, in Caller reader, StringBuilder text) => Constant(text, "4294967295");

    public static Errno SessionId(Task task, bool isProcess, in Caller reader, StringBuilder text) => Constant(text, "4294967295");

    public static Errno WaitChannel(Task task, bool isProcess, in Caller reader, StringBuilder text) => Constant(text, "0");

    public static Errno Personality(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"{task.Group.Personality:x8}\n");
        return Errno.OK;
    }

    public static Errno TimerSlack(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"{task.TimerSlack}\n");
        return Errno.OK;
    }

    /// <summary>Time on a processor; waiting times and switches are the host's and not counted.</summary>
    public static Errno SchedulerStatistics(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        (long user, long system) = isProcess ? task.Group.GetTimes() : task.GetTimes();
        text.Append(CultureInfo.InvariantCulture, $"{user + system} 0 0\n");
        return Errno.OK;
    }

    /// <summary>The badness of a process without memory to speak of: 666, moved by its adjustment.</summary>
    public static Errno OomScore(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"{Math.Max(0, 666 + (task.Group.OomScoreAdjust * 2 / 3))}\n");
        return Errno.OK;
    }

    public static Errno OomScoreAdjust(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"{task.Group.OomScoreAdjust}\n");
        return Errno.OK;
    }

    /// <summary>The old scale, -17 to 15.</summary>
    public static Errno OomAdjust(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        int value = task.Group.OomScoreAdjust;
        text.Append(CultureInfo.InvariantCulture, $"{(value == 1000 ? 15 : value * 17 / 1000)}\n");
        return Errno.OK;
    }

    /// <summary>-1000 to 1000, else EINVAL. Lowering it below what it was is for user 0: EACCES.</summary>
    public static SysResult SetOomScoreAdjust(Task task, in Caller writer, ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> number = text.Trim(" \t\n\0"u8);
        if (!Utf8Parser.TryParse(number, out int value, out int used) || used != number.Length || value is < -1000 or > 1000)
            return Errno.EINVAL;
        if (value < task.Group.OomScoreAdjust && !writer.Credentials.Has(Capability.CAP_SYS_RESOURCE))
            return Errno.EACCES;
        task.Group.OomScoreAdjust = value;
        return text.Length;
    }

    private static Errno Constant(StringBuilder text, string value)
    {
        text.Append(value);
        return Errno.OK;
    }
}
