using System.Globalization;
using System.Text;
using Moat.Kernel.IoUring;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>/proc/PID/status (man 5 proc_pid_status).</summary>
internal static class TaskStatus
{
    public static Errno Write(Task task, bool isProcess, in Caller reader, StringBuilder text) => Write(task, null, text);

    public static Errno Write(IoThread thread, Task leader, in Caller reader, StringBuilder text) => Write(leader, thread, text);

    private static Errno Write(Task task, IoThread? thread, StringBuilder text)
    {
        ThreadGroup group = task.Group;
        Credentials who = task.Credentials;
        char state = thread?.StateLetter ?? task.StateLetter;
        int id = thread?.Id ?? task.Tid;
        CultureInfo c = CultureInfo.InvariantCulture;
        text.Append("Name:\t");
        AppendEscaped(text, thread?.Name ?? TaskEntries.Text(task.Name));
        text.Append(c, $"\nUmask:\t0{Convert.ToString(task.Fs.Umask & 0x1ff, 8).PadLeft(3, '0')}\nState:\t{state} ({StateName(state)})\n")
            .Append(c, $"Tgid:\t{group.Id}\nNgid:\t0\nPid:\t{id}\nPPid:\t{group.ParentId}\nTracerPid:\t{task.Tracing?.Tracer.Tid ?? 0}\n")
            .Append(c, $"Uid:\t{who.Uid}\t{who.EffectiveUid}\t{who.SavedUid}\t{who.FsUid}\n")
            .Append(c, $"Gid:\t{who.Gid}\t{who.EffectiveGid}\t{who.SavedGid}\t{who.FsGid}\n")
            .Append(c, $"FDSize:\t{task.Files.Capacity}\nGroups:\t");
        foreach (uint gid in who.Groups)
            text.Append(c, $"{gid} ");
        if (who.Groups.Length == 0)
            text.Append(' ');
        text.Append(c, $"\nNStgid:\t{group.Id}\nNSpid:\t{id}\nNSpgid:\t{group.ProcessGroupId}\nNSsid:\t{group.SessionId}\nKthread:\t0\n");
        if (!task.HasEnded)
            AppendMemory(text, task.Mm);
        AppendSignals(text, task, thread, group);
        text.Append(c, $"CapInh:\t{who.Inheritable:x16}\nCapPrm:\t{who.Permitted:x16}\nCapEff:\t{who.Effective:x16}\nCapBnd:\t{who.Bounding:x16}\nCapAmb:\t{who.Ambient:x16}\n")
            .Append(c, $"NoNewPrivs:\t{(task.NoNewPrivileges ? 1 : 0)}\nSeccomp:\t{task.SeccompMode}\nSeccomp_filters:\t{task.Filter?.Count ?? 0}\n")
            .Append("Speculation_Store_Bypass:\tthread vulnerable\nSpeculationIndirectBranch:\tconditional enabled\n");
        AppendProcessors(text);
        text.Append(c, $"Mems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t{task.Counts.Sleeps}\nnonvoluntary_ctxt_switches:\t0\n");
        return Errno.OK;
    }

    /// <summary>Names with control characters do not break lines (proc's escaping).</summary>
    private static void AppendEscaped(StringBuilder text, string name)
        => text.Append(name.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal));

    private static string StateName(char state) => state switch
    {
        'R' => "running",
        'T' => "stopped",
        't' => "tracing stop",
        'Z' => "zombie",
        _ => "sleeping",
    };

    private static void AppendMemory(StringBuilder text, MemoryManager mm)
    {
        MemoryUsage use = mm.GetUsage();
        Line(text, "VmPeak", Math.Max(use.Peak, use.Size));
        Line(text, "VmSize", use.Size);
        Line(text, "VmLck", use.Locked);
        Line(text, "VmPin", mm.PinnedBytes);
        Line(text, "VmHWM", use.PeakResident);
        Line(text, "VmRSS", use.Resident);
        Line(text, "RssAnon", use.ResidentAnonymous);
        Line(text, "RssFile", use.ResidentFile);
        Line(text, "RssShmem", use.ResidentShared);
        Line(text, "VmData", use.Data);
        Line(text, "VmStk", use.Stack);
        Line(text, "VmExe", use.Text);
        Line(text, "VmLib", use.Library);
        Line(text, "VmPTE", 0);
        Line(text, "VmSwap", 0);
        Line(text, "HugetlbPages", 0);
        text.Append("CoreDumping:\t0\nTHP_enabled:\t0\nuntag_mask:\t0xffffffffffffffff\n");
    }

    private static void Line(StringBuilder text, string name, ulong bytes)
        => text.Append(CultureInfo.InvariantCulture, $"{name}:\t{bytes / 1024,8} kB\n");

    private static void AppendSignals(StringBuilder text, Task task, IoThread? thread, ThreadGroup group)
    {
        group.Actions.GetSets(out ulong ignored, out ulong caught);
        text.Append(CultureInfo.InvariantCulture, $"Threads:\t{group.ShownThreadCount}\n")
            .Append(CultureInfo.InvariantCulture, $"SigQ:\t{Volatile.Read(ref group.Sentry.QueuedSignals)}/{group.Limits.Get(Resource.RLIMIT_SIGPENDING).Current}\n")
            .Append(CultureInfo.InvariantCulture, $"SigPnd:\t{(thread is null ? task.Pending.Bits : 0):x16}\nShdPnd:\t{group.Pending.Bits:x16}\n")
            .Append(CultureInfo.InvariantCulture, $"SigBlk:\t{(thread is null ? task.Blocked : IoThread.Blocked):x16}\nSigIgn:\t{ignored:x16}\nSigCgt:\t{caught:x16}\n");
    }

    /// <summary>Processors as a mask in words of 32 bits and as a list of ranges.</summary>
    private static void AppendProcessors(StringBuilder text)
    {
        int count = Environment.ProcessorCount;
        text.Append("Cpus_allowed:\t");
        for (int word = (count - 1) / 32; word >= 0; word--)
        {
            int bits = Math.Min(32, count - (word * 32));
            uint mask = bits == 32 ? uint.MaxValue : (1u << bits) - 1;
            text.Append(mask.ToString(word == (count - 1) / 32 ? "x" : "x8", CultureInfo.InvariantCulture));
            if (word > 0)
                text.Append(',');
        }
        text.Append("\nCpus_allowed_list:\t").Append(count == 1 ? "0" : string.Create(CultureInfo.InvariantCulture, $"0-{count - 1}")).Append('\n');
    }
}
