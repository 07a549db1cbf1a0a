using System.Globalization;
using System.Text;
using Moat.Host;
using Moat.Kernel.Events;
using Moat.Kernel.Ipc;
using Moat.Kernel.Memory;
using Moat.Kernel.Pipes;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Terminals;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>/proc/sys: the settings that programs look up. They are what the sandbox does; nobody changes them.</summary>
internal static class SysDirectory
{
    public static StaticDirectory Build(ProcFileSystem fs)
    {
        string bootId = Guid.NewGuid().ToString();
        StaticDirectory random = new(fs);
        random.Add("boot_id", Value(fs, bootId))
            .Add("entropy_avail", Value(fs, 256))
            .Add("poolsize", Value(fs, 256))
            .Add("uuid", new TextFile(fs, static (_, text) => text.Append(Guid.NewGuid().ToString()).Append('\n')))
            .Add("urandom_min_reseed_secs", Value(fs, 60))
            .Add("write_wakeup_threshold", Value(fs, 256));

        StaticDirectory pty = new(fs);
        pty.Add("max", Value(fs, PtyTable.Most))
            .Add("nr", new TextFile(fs, static (sentry, text) => text.Append(sentry.Terminals.Count).Append('\n')));
        StaticDirectory kernel = new(fs);
        kernel.Add("arch", Value(fs, "x86_64"))
            .Add("cap_last_cap", Value(fs, 40))
            .Add("core_pattern", Value(fs, "core"))
            .Add("core_uses_pid", Value(fs, 0))
            .Add("dmesg_restrict", Value(fs, 1))
            .Add("domainname", NameFile(fs, static names => names.Domain))
            .Add("hostname", NameFile(fs, static names => names.Node))
            .Add("io_uring_disabled", Value(fs, (int)fs.Sentry.Uring.Access))
            .Add("io_uring_group", Value(fs, fs.Sentry.Uring.Group))
            .Add("msgmax", Value(fs, MessageQueues.MSGMAX))
            .Add("msgmnb", Value(fs, MessageQueues.MSGMNB))
            .Add("msgmni", Value(fs, MessageQueues.MSGMNI))
            .Add("ngroups_max", Value(fs, 65536))
            .Add("ns_last_pid", new TextFile(fs, static (sentry, text) => text.Append(sentry.Tasks.Last).Append('\n')))
            .Add("osrelease", Value(fs, SystemSyscalls.Release))
            .Add("ostype", Value(fs, "Linux"))
            .Add("overflowgid", Value(fs, 65534))
            .Add("overflowuid", Value(fs, 65534))
            .Add("perf_event_paranoid", Value(fs, 3))
            .Add("pid_max", Value(fs, TaskTable.Limit))
            .Add("pty", pty)
            .Add("random", random)
            .Add("randomize_va_space", Value(fs, 2))
            .Add("sched_rr_timeslice_ms", Value(fs, 100))
            .Add("seccomp", Seccomp(fs))
            .Add("sem", Value(fs, $"{SemaphoreSets.SEMMSL}\t{SemaphoreSets.SEMMNS}\t{SemaphoreSets.SEMOPM}\t{SemaphoreSets.SEMMNI}"))
            .Add("shm_rmid_forced", Value(fs, 0))
            .Add("shmall", Value(fs, $"{SharedSegments.SHMALL}"))
            .Add("shmmax", Value(fs, $"{SharedSegments.SHMMAX}"))
            .Add("shmmni", Value(fs, SharedSegments.SHMMNI))
            .Add("tainted", Value(fs, 0))
            .Add("threads-max", Value(fs, TaskTable.Limit))
            .Add("unprivileged_bpf_disabled", Value(fs, 2))
            .Add("version", Value(fs, SystemSyscalls.Version));

        StaticDirectory epoll = new(fs);
        epoll.Add("max_user_watches", Value(fs, Epoll.MaxWatches));
        StaticDirectory inotify = new(fs);
        inotify.Add("max_queued_events", Value(fs, Inotify.MaxQueued))
            .Add("max_user_instances", Value(fs, Inotify.MaxInstances))
            .Add("max_user_watches", Value(fs, Inotify.MaxWatches));
        StaticDirectory queues = new(fs);
        queues.Add("msg_default", Value(fs, PosixQueues.DefaultMessages))
            .Add("msg_max", Value(fs, PosixQueues.MaxMessages))
            .Add("msgsize_default", Value(fs, PosixQueues.DefaultSize))
            .Add("msgsize_max", Value(fs, PosixQueues.MaxSize))
            .Add("queues_max", Value(fs, PosixQueues.MaxQueues));
        StaticDirectory files = new(fs);
        files.Add("aio-max-nr", Value(fs, AioSyscalls.MaxEvents))
            .Add("aio-nr", new TextFile(fs, static (sentry, text) => text.Append(Volatile.Read(ref sentry.AioEvents)).Append('\n')))
            .Add("epoll", epoll)
            .Add("file-max", Value(fs, long.MaxValue))
            .Add("file-nr", Value(fs, string.Create(CultureInfo.InvariantCulture, $"0\t0\t{long.MaxValue}")))
            .Add("inotify", inotify)
            .Add("mqueue", queues)
            .Add("nr_open", Value(fs, 1 << 20))
            .Add("overflowgid", Value(fs, 65534))
            .Add("overflowuid", Value(fs, 65534))
            .Add("pipe-max-size", Value(fs, Pipe.MaxSize))
            .Add("pipe-user-pages-hard", Value(fs, 0))
            .Add("pipe-user-pages-soft", Value(fs, PipeAccounts.SoftLimit))
            .Add("protected_fifos", Value(fs, 0))
            .Add("protected_hardlinks", Value(fs, 1))
            .Add("protected_regular", Value(fs, 0))
            .Add("protected_symlinks", Value(fs, 0))
            .Add("suid_dumpable", Value(fs, 0));

        StaticDirectory memory = new(fs);
        memory.Add("max_map_count", Value(fs, MemoryManager.MaxMappings))
            .Add("mmap_min_addr", Value(fs, (long)MemoryManager.MinMapAddress))
            .Add("nr_hugepages", Value(fs, 0))
            .Add("overcommit_kbytes", Value(fs, 0))
            .Add("overcommit_memory", Value(fs, 0))
            .Add("overcommit_ratio", Value(fs, 50))
            .Add("swappiness", Value(fs, 60))
            .Add("unprivileged_userfaultfd", Value(fs, 0))
            .Add("legacy_va_layout", Value(fs, 0))
            .Add("memfd_noexec", Value(fs, 0))
            .Add("nr_overcommit_hugepages", Value(fs, 0))
            .Add("oom_kill_allocating_task", Value(fs, 0))
            .Add("panic_on_oom", Value(fs, 0))
            .Add("zone_reclaim_mode", Value(fs, 0));

        StaticDirectory root = new(fs);
        return root.Add("fs", files).Add("kernel", kernel).Add("net", MachineFiles.Network(fs)).Add("vm", memory);
    }

    private static TextFile Value(ProcFileSystem fs, long value) => Value(fs, value.ToString(CultureInfo.InvariantCulture));

    private static TextFile Value(ProcFileSystem fs, string value)
    {
        string line = value + "\n";
        return new TextFile(fs, (Sentry _, StringBuilder text) => text.Append(line));
    }

    private static TextFile NameFile(ProcFileSystem fs, Func<UtsNamespace, byte[]> get)
        => new(fs, (sentry, text) => text.Append(TaskEntries.Text(get(Task.Current?.Uts ?? sentry.FirstNames))).Append('\n'));

    private static StaticDirectory Seccomp(ProcFileSystem fs)
        => new StaticDirectory(fs).Add("actions_avail", Value(fs, "kill_process kill_thread trap errno trace log allow"))
            .Add("actions_logged", Value(fs, ""));
}
