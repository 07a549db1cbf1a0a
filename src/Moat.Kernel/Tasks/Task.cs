using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

/// <summary>A guest thread. One sentry thread runs it and serves its system calls; see Task.Run.cs.</summary>
internal sealed partial class Task
{
    public Task(ThreadGroup group, int tid, MemoryManager mm, FdTable files, FsContext fs, Credentials credentials)
    {
        Group = group;
        Tid = tid;
        Mm = mm;
        Files = files;
        Fs = fs;
        Credentials = credentials;
        _waitEntry = new TaskWaitEntry(this);
    }

    public Sentry Sentry => Group.Sentry;

    public ThreadGroup Group { get; }

    /// <summary>Thread id, unique in the sandbox.</summary>
    public int Tid { get; }

    /// <summary>The guest's execution; set before the task first runs.</summary>
    public GuestThread Thread { get; set; } = null!;

    public MemoryManager Mm { get; private set; }

    public FdTable Files { get; private set; }

    /// <summary>Root, current directory and umask.</summary>
    public FsContext Fs { get; private set; }

    public Credentials Credentials { get; set; }

    /// <summary>The system call being served: its registers, read once.</summary>
    public SyscallArgs Args;

    /// <summary>Scratch for the call being served; cleared by whoever uses it.</summary>
    public IoVector Vector { get; } = new();
}
