using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

/// <summary>A guest thread. One sentry thread runs it and serves its system calls; see Task.Run.cs.</summary>
internal sealed partial class Task
{
    /// <summary>TASK_COMM_LEN: bytes of a thread's name with its NUL.</summary>
    public const int NameSize = 16;

    [ThreadStatic]
    private static Task? s_current;

    private readonly byte[] _name = new byte[NameSize];

    public Task(ThreadGroup group, int tid, MemoryManager mm, FdTable files, FsContext fs, Credentials credentials)
    {
        Group = group;
        Tid = tid;
        Mm = mm;
        Files = files;
        Fs = fs;
        Credentials = credentials;
        Uts = group.Sentry.FirstNames;
        _waitEntry = new TaskWaitEntry(this);
        _futexWaiter = new Futex.TaskFutexWaiter(this);
    }

    /// <summary>
    /// The task that the calling sentry thread runs, or null on other threads. Files whose answers depend on who asks
    /// (signalfd, /proc/self) use it.
    /// </summary>
    public static Task? Current => s_current;

    public Sentry Sentry => Group.Sentry;

    public ThreadGroup Group { get; }

    /// <summary>Thread id, unique in the sandbox.</summary>
    public int Tid { get; private set; }

    /// <summary>True for the thread whose id is the process id.</summary>
    public bool IsLeader => Tid == Group.Id;

    /// <summary>The guest's execution; set before the task first runs.</summary>
    public GuestThread Thread { get; set; } = null!;

    public MemoryManager Mm { get; private set; }

    public FdTable Files { get; private set; }

    /// <summary>Root, current directory and umask.</summary>
    public FsContext Fs { get; private set; }

    public Credentials Credentials { get; set; }

    /// <summary>The namespace of host names.</summary>
    public UtsNamespace Uts { get; set; }

    /// <summary>The system call being served: its registers, read once.</summary>
    public SyscallArgs Args;

    /// <summary>Scratch for the call being served; cleared by whoever uses it.</summary>
    public IoVector Vector { get; } = new();

    /// <summary>Where the kernel clears the id and wakes a futex when the thread ends (set_tid_address(2)); 0: nowhere.</summary>
    public ulong ClearChildTid { get; set; }

    /// <summary>Head of the robust futex list (set_robust_list(2)); 0: none.</summary>
    public ulong RobustList { get; set; }

    /// <summary>When the thread began, host CLOCK_MONOTONIC, nanoseconds.</summary>
    public long StartTime { get; } = Time.HostClock.Now;

    /// <summary>The signal sent when the parent ends (PR_SET_PDEATHSIG); kept for when there are parents.</summary>
    public int ParentDeathSignal { get; set; }

    /// <summary>prctl PR_SET_NO_NEW_PRIVS; never cleared.</summary>
    public bool NoNewPrivileges { get; set; }

    /// <summary>Nice value, -20 to 19 (setpriority(2)). Kept, not acted upon.</summary>
    public int Nice { get; set; }

    /// <summary>SCHED_ number, with SCHED_RESET_ON_FORK (sched_setscheduler(2)). Kept, not acted upon.</summary>
    public int SchedulerPolicy { get; set; }

    /// <summary>Priority under a real-time policy, 1 to 99; else 0. Kept, not acted upon.</summary>
    public int SchedulerPriority { get; set; }

    /// <summary>Class and level (ioprio_set(2)). Kept, not acted upon.</summary>
    public int IoPriority { get; set; }

    /// <summary>The processors that the guest chose (sched_setaffinity(2)), or null: all.</summary>
    public byte[]? Affinity { get; set; }

    /// <summary>prctl PR_SET_TIMERSLACK, nanoseconds. Waits here have none.</summary>
    public ulong TimerSlack { get; set; } = 50_000;

    /// <summary>The thread's name (comm): 16 bytes, NUL-padded and NUL-terminated.</summary>
    public ReadOnlySpan<byte> Name => _name;

    /// <summary>Sets the name from bytes up to a NUL; what does not fit is cut (PR_SET_NAME).</summary>
    public void SetName(ReadOnlySpan<byte> name)
    {
        int end = name.IndexOf((byte)0);
        if (end >= 0)
            name = name[..end];
        name = name[..Math.Min(name.Length, NameSize - 1)];
        name.CopyTo(_name);
        _name.AsSpan(name.Length).Clear();
    }
}
