using System.Globalization;
using System.Text;
using Moat.Kernel.Events;
using Moat.Kernel.IoUring;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>Appends the content of a file about a task; an error is what read(2) returns.</summary>
internal delegate Errno WriteTaskText(Task task, bool isProcess, in Caller reader, StringBuilder text);

/// <summary>Takes what is written to a file about a task.</summary>
internal delegate SysResult AcceptTaskText(Task task, in Caller writer, ReadOnlySpan<byte> text);

/// <summary>/proc/PID, or with <paramref name="isProcess"/> false /proc/PID/task/TID. Its files are made when first looked up, and kept.</summary>
internal sealed class TaskDirectory(ProcFileSystem fileSystem, Task task, bool isProcess) : PseudoDirectory(fileSystem)
{
    /// <summary>Whom the directory is about.</summary>
    public Task Task => task;

    /// <summary>A process's, /proc/PID; else a thread's.</summary>
    public bool IsProcess => isProcess;

    private readonly Inode?[] _children = new Inode?[TaskEntries.All.Length];

    public override (uint Uid, uint Gid) Owner => (task.Credentials.EffectiveUid, task.Credentials.EffectiveGid);

    public override uint LinkCount => 4;

    /// <summary>A number as file names have it: decimal, no sign, no leading zero.</summary>
    public static bool TryParse(ReadOnlySpan<char> name, out int number)
        => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out number) && (name[0] != '0' || name.Length == 1);

    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        child = null;
        if (!IsAlive)
            return Errno.ENOENT;
        for (int i = 0; i < TaskEntries.All.Length; i++)
        {
            TaskEntry entry = TaskEntries.All[i];
            if (!name.SequenceEqual(entry.Name) || (entry.ProcessOnly && !isProcess))
                continue;
            child = Get(i);
            return Errno.OK;
        }
        return Errno.ENOENT;
    }

    public override Errno ReadEntries(ref long position, ref DirectoryEmitter into)
    {
        if (!IsAlive)
            return Errno.ENOENT;
        for (; position - 2 < TaskEntries.All.Length; position++)
        {
            int index = (int)position - 2;
            TaskEntry entry = TaskEntries.All[index];
            if (entry.ProcessOnly && !isProcess)
                continue;
            Inode child = Get(index);
            if (!into.Emit(entry.Name, ((PseudoInode)child).Number, DirentType.FromMode(child.Type), position + 1))
                break;
        }
        return Errno.OK;
    }

    private bool IsAlive => fileSystem.Sentry.Tasks.Find(task.Tid) == task;

    private Inode Get(int index)
    {
        ref Inode? place = ref _children[index];
        return Volatile.Read(ref place) ?? Interlocked.CompareExchange(ref place, TaskEntries.All[index].Make(fileSystem, task, isProcess), null) ?? place;
    }
}

/// <summary>A file about a task. <paramref name="stays"/>: to write it does not move the position.</summary>
internal sealed class TaskFile(
    ProcFileSystem fileSystem, Task task, bool isProcess, uint permissions, WriteTaskText write, AcceptTaskText? accept, bool polls, bool stays)
    : PseudoFile(fileSystem, permissions)
{
    /// <summary>The mounts of a sandbox never change: nobody wakes it.</summary>
    public override WaitQueue? Waiters { get; } = polls ? new WaitQueue() : null;

    public override bool MovesWhenWritten => !stays;

    public override (uint Uid, uint Gid) Owner => (task.Credentials.EffectiveUid, task.Credentials.EffectiveGid);

    public override Errno Generate(in Caller opener, StringBuilder text)
        => fileSystem.Sentry.Tasks.Find(task.Tid) == task ? write(task, isProcess, in opener, text) : Errno.ESRCH;

    public override SysResult Accept(in Caller opener, ReadOnlySpan<byte> text, long offset)
    {
        if (accept is null)
            return Errno.EIO;
        return fileSystem.Sentry.Tasks.Find(task.Tid) == task ? accept(task, in opener, text) : Errno.ESRCH;
    }
}

/// <summary>/proc/PID/task: the threads of a process.</summary>
internal sealed class ThreadListDirectory(ProcFileSystem fileSystem, Task leader) : PseudoDirectory(fileSystem)
{
    private readonly System.Runtime.CompilerServices.ConditionalWeakTable<Task, TaskDirectory> _threads = [];
    private readonly System.Runtime.CompilerServices.ConditionalWeakTable<IoThread, IoThreadDirectory> _ioThreads = [];

    public override (uint Uid, uint Gid) Owner => (leader.Credentials.EffectiveUid, leader.Credentials.EffectiveGid);

    public override uint LinkCount => 2 + (uint)leader.Group.ShownThreadCount;

    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        child = null;
        if (!TaskDirectory.TryParse(name, out int id))
            return Errno.ENOENT;
        if (fileSystem.Sentry.Tasks.Find(id) is { } task)
            child = task.Group == leader.Group ? Get(task) : null;
        else if (fileSystem.Sentry.GetIoThreads(leader.Group).Find(t => t.Id == id) is { } thread)
            child = Get(thread);
        return child is null ? Errno.ENOENT : Errno.OK;
    }

    public override Errno ReadEntries(ref long position, ref DirectoryEmitter into)
    {
        List<(int Id, PseudoDirectory Directory)> all = [];
        foreach (Task task in leader.Group.GetTasks())
            all.Add((task.Tid, Get(task)));
        foreach (IoThread thread in fileSystem.Sentry.GetIoThreads(leader.Group))
            all.Add((thread.Id, Get(thread)));
        all.Sort(static (a, b) => a.Id.CompareTo(b.Id));
        foreach ((int id, PseudoDirectory directory) in all)
        {
            if (id + 2 < position)
                continue;
            if (!into.Emit(id.ToString(CultureInfo.InvariantCulture), directory.Number, DirentType.DT_DIR, id + 3))
                break;
            position = id + 3;
        }
        return Errno.OK;
    }

    private IoThreadDirectory Get(IoThread thread) => _ioThreads.GetValue(thread, t => new IoThreadDirectory(fileSystem, t, leader, Get(leader)));

    private TaskDirectory Get(Task task) => _threads.GetValue(task, t => new TaskDirectory(fileSystem, t, isProcess: false));
}
