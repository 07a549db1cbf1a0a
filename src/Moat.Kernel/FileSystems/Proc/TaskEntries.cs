using System.Text;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>A name in /proc/PID and what is behind it.</summary>
/// <param name="Name">The name.</param>
/// <param name="Make">Makes the inode.</param>
/// <param name="ProcessOnly">Not in /proc/PID/task/TID.</param>
internal sealed record TaskEntry(string Name, Func<ProcFileSystem, Task, bool, Inode> Make, bool ProcessOnly = false);

/// <summary>What /proc/PID has, in order of names. One row per file.</summary>
internal static class TaskEntries
{
    private const uint Everyone = 0x124, OwnerReads = 0x100, OwnerWrites = 0x1a4;

    public static TaskEntry[] All { get; } =
    [
        File("auxv", TaskMemoryFiles.Auxv, OwnerReads),
        File("cgroup", TaskSettings.Cgroup),
        File("cmdline", TaskMemoryFiles.CommandLine),
        File("comm", TaskSettings.Name, OwnerWrites, TaskSettings.SetName, stays: true),
        File("coredump_filter", TaskSettings.CoreDumpFilter, processOnly: true),
        File("cpuset", TaskSettings.CpuSet),
        new("cwd", static (fs, task, _) => new TaskLink(fs, task, static t => t.Fs.Current)),
        File("environ", TaskMemoryFiles.Environment, OwnerReads),
        new("exe", static (fs, task, _) => new TaskLink(fs, task, static t => t.Group.Executable is { } file ? file.Path : default)),
        new("fd", static (fs, task, _) => new DescriptorDirectory(fs, task, info: false)),
        new("fdinfo", static (fs, task, _) => new DescriptorDirectory(fs, task, info: true)),
        File("gid_map", TaskSettings.IdMap),
        File("limits", TaskSettings.Limits),
        File("loginuid", TaskSettings.LoginUid),
        File("maps", TaskMemoryFiles.Maps),
        new("mem", static (fs, task, _) => new MemoryAccessInode(fs, task)),
        File("mountinfo", MountFiles.MountInfo, polls: true),
        File("mounts", MountFiles.Mounts, polls: true),
        new("net", static (fs, _, _) => fs.Network),
        new("ns", static (fs, task, _) => NamespaceDirectory.Build(fs, task)),
        File("oom_adj", TaskSettings.OomAdjust),
        File("oom_score", TaskSettings.OomScore),
        File("oom_score_adj", TaskSettings.OomScoreAdjust, OwnerWrites, TaskSettings.SetOomScoreAdjust),
        File("personality", TaskSettings.Personality, OwnerReads),
        new("root", static (fs, task, _) => new TaskLink(fs, task, static t => t.Fs.Root)),
        File("schedstat", TaskSettings.SchedulerStatistics),
        File("sessionid", TaskSettings.SessionId),
        File("setgroups", TaskSettings.SetGroups),
        File("smaps", TaskMemoryFiles.DetailedMaps),
        File("stat", TaskStat.Write),
        File("statm", TaskMemoryFiles.Sizes),
        File("status", TaskStatus.Write),
        new("task", static (fs, task, _) => new ThreadListDirectory(fs, task), ProcessOnly: true),
        File("timerslack_ns", TaskSettings.TimerSlack, processOnly: true),
        File("uid_map", TaskSettings.IdMap),
        File("wchan", TaskSettings.WaitChannel),
    ];

    private static TaskEntry File(string name, WriteTaskText write, uint permissions = Everyone, AcceptTaskText? accept = null, bool processOnly = false,
        bool polls = false, bool stays = false)
        => new(name, (fs, task, isProcess) => new TaskFile(fs, task, isProcess, permissions, write, accept, polls, stays), processOnly);

    /// <summary>Linux's text, one char per byte, for what the kernel keeps as bytes: the name ends at its NUL.</summary>
    public static string Text(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOf((byte)0);
        return Encoding.Latin1.GetString(end < 0 ? bytes : bytes[..end]);
    }
}
