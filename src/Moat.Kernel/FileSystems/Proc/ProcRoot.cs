using System.Globalization;
using System.Runtime.CompilerServices;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>The root of /proc: fixed files, then a directory for each process.</summary>
internal sealed class ProcRoot : PseudoDirectory
{
    /// <summary>Positions from here on are process ids; below it fixed files.</summary>
    private const long FirstProcess = 256;

    private readonly ProcFileSystem _fileSystem;
    private readonly List<(string Name, Inode Inode)> _fixed = [];
    private readonly ConditionalWeakTable<Task, TaskDirectory> _processes = [];

    public ProcRoot(ProcFileSystem fileSystem)
        : base(fileSystem)
    {
        _fileSystem = fileSystem;
        Add("cgroups", SystemFiles.Cgroups);
        Add("cmdline", SystemFiles.CommandLine);
        Add("cpuinfo", SystemFiles.CpuInfo);
        Add("devices", SystemFiles.Devices);
        AddFromHost("diskstats");
        Add("filesystems", SystemFiles.FileSystems);
        AddFromHost("interrupts");
        Add("loadavg", SystemFiles.LoadAverage);
        Add("locks", LockFile.Write);
        Add("meminfo", MemoryInfo.Write);
        AddFromHost("partitions");
        _fixed.Add(("pressure", MachineFiles.Pressure(fileSystem)));
        AddFromHost("softirqs");
        Add("stat", SystemFiles.Stat);
        Add("swaps", SystemFiles.Swaps);
        Add("uptime", SystemFiles.Uptime);
        Add("version", SystemFiles.Version);
        AddFromHost("vmstat");
        AddFromHost("zoneinfo");
        _fixed.Add(("mounts", new FixedLink(fileSystem, "self/mounts")));
        _fixed.Add(("net", new FixedLink(fileSystem, "self/net")));
        _fixed.Add(("self", new SelfLink(fileSystem, thread: false)));
        _fixed.Add(("thread-self", new SelfLink(fileSystem, thread: true)));
        _fixed.Add(("sys", SysDirectory.Build(fileSystem)));
    }

    public override uint LinkCount => 3 + (uint)_fileSystem.Sentry.Tasks.GetGroups().Count;

    /// <summary>A process by its id, or, as on Linux, a thread by its own, which is not listed.</summary>
    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        foreach ((string known, Inode inode) in _fixed)
        {
            if (name.SequenceEqual(known))
            {
                child = inode;
                return Errno.OK;
            }
        }
        child = TaskDirectory.TryParse(name, out int id) && _fileSystem.Sentry.Tasks.Find(id) is { } task ? Get(task) : null;
        return child is null ? Errno.ENOENT : Errno.OK;
    }

    public override Errno ReadEntries(ref long position, ref DirectoryEmitter into)
    {
        for (; position - 2 < _fixed.Count; position++)
        {
            (string name, Inode inode) = _fixed[(int)position - 2];
            if (!into.Emit(name, ((PseudoInode)inode).Number, DirentType.FromMode(inode.Type), position + 1))
                return Errno.OK;
        }
        foreach (ThreadGroup group in _fileSystem.Sentry.Tasks.GetGroups())
        {
            if (group.Id + FirstProcess < position)
                continue;
            long next = group.Id + FirstProcess + 1;
            if (!into.Emit(group.Id.ToString(CultureInfo.InvariantCulture), Get(group.Leader).Number, DirentType.DT_DIR, next))
                return Errno.OK;
            position = next;
        }
        return Errno.OK;
    }

    private void AddFromHost(string name) => _fixed.Add((name, MachineFiles.FromHost(_fileSystem, "/proc/" + name)));

    private void Add(string name, WriteText write) => _fixed.Add((name, new TextFile(_fileSystem, write)));

    private TaskDirectory Get(Task task)
        => _processes.GetValue(task, t => new TaskDirectory(_fileSystem, t, isProcess: true));
}

/// <summary>/proc/self and /proc/thread-self: whoever looks.</summary>
internal sealed class SelfLink(ProcFileSystem fileSystem, bool thread) : PseudoLink(fileSystem)
{
    public override Errno ReadLink(in Caller caller, out string target)
    {
        Task? task = caller.Task ?? Task.Current;
        target = "";
        if (task is null)
            return Errno.ENOENT;
        target = thread
            ? string.Create(CultureInfo.InvariantCulture, $"{task.Group.Id}/task/{task.Tid}")
            : task.Group.Id.ToString(CultureInfo.InvariantCulture);
        return Errno.OK;
    }
}
