using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Pipes;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel;

internal sealed partial class Sentry : IDisposable
{
    private readonly Lock _lock = new();
    private readonly ManualResetEventSlim _ended = new();
    private readonly HashSet<long> _reportedCalls = [];
    private ThreadGroup? _first;
    private ProcessTree? _processes;
    private int _liveTasks;

    /// <summary>The first process; null before <see cref="Start"/>.</summary>
    public ThreadGroup? First => _first;

    /// <summary>The relations among processes.</summary>
    public ProcessTree Processes => _processes ?? Interlocked.CompareExchange(ref _processes, new ProcessTree(this), null) ?? _processes;

    /// <summary>
    /// Starts the first process. <paramref name="files"/> pass to it, also when it fails. Returns OK, or why the program cannot be
    /// started, as execve(2) has it.
    /// </summary>
    public Errno Start(SentryOptions options, Credentials credentials, FsContext fs, FdTable files, ResourceLimits limits)
    {
        SetMemoryLimit(options.MemoryLimit != 0 ? options.MemoryLimit : HostMemory.GetAvailable() / 8 * 7);
        TaskLimit = options.TaskLimit;
        Platform.Lost = EndLost;
        files.Limit = (int)Math.Min(limits.Get(Resource.RLIMIT_NOFILE).Current, int.MaxValue);
        Errno error = LoadFirst(options, new Caller(credentials, fs, files, null), limits, out ProgramImage? image);
        if (error != Errno.OK)
        {
            files.DropUser();
            return error;
        }
        int id = Tasks.Allocate();
        ThreadGroup group = new(this, id) { Limits = limits };
        Task task = new(group, id, image!.Memory, files, fs, credentials);
        task.SetImage(image);
        return StartFirst(task) ? Errno.OK : Errno.EAGAIN;
    }

    // Somebody on the host killed a stub process: to its guests that is a SIGKILL, wherever in the sentry they are.
    private void EndLost(AddressSpace space)
    {
        foreach (ThreadGroup group in Tasks.GetGroups())
        {
            if (group.GetTasks() is [var task, ..] && task.Mm.Space == space)
                group.BeginExit(Signal.SIGKILL);
        }
    }

    private void SetMemoryLimit(ulong bytes)
    {
        Frames.Limit = bytes;
        Frames.StorageLimit = bytes / 2;
        PipePage.Limit = (int)Math.Clamp(bytes / 2 / PipePage.Size, PipePage.LeastLimit, (ulong)PipePage.Limit);
        _ = new MemoryWatch(this);
    }

    /// <summary>Runs a task whose memory and registers are ready as the first process.</summary>
    internal bool StartFirst(Task task)
    {
        _first = task.Group;
        TerminalSession?.Take(task.Group);
        task.Group.TryAdd(task);
        return Launch(task);
    }

    /// <summary>Makes a task known and runs it. False: the host gives no thread; the task is gone again.</summary>
    internal bool Launch(Task task)
    {
        Interlocked.Increment(ref _liveTasks);
        Tasks.Add(task);
        if (TaskRunner.TryStart(task))
        {
            if (task.IsLeader)
                task.Group.WatchCpuLimit();
            return true;
        }
        task.Abandon();
        return false;
    }

    /// <summary>Waits until the first process and then everything else has ended, and says how the first one did.</summary>
    public SentryExit WaitForExit()
    {
        _ended.Wait();
        int status = _first!.ExitStatus;
        if (_first.Failed)
            return new SentryExit(128, 0, Errno.OK);
        int signal = status & 0x7f;
        return new SentryExit(signal == 0 ? (status >> 8) & 0xff : 0, signal, Errno.OK);
    }

    /// <summary>Sends a signal to the first process as if from outside the sandbox (the terminal, kill(1)).</summary>
    public void SendSignal(int signal)
        => _first?.Send(new SigInfo { Signo = signal, Code = Signal.SI_USER });

    /// <summary>
    /// Sends a signal of the terminal to the foreground process group. True: it is to stop what no shell in the sandbox watches over,
    /// so that the sandbox as a whole has to stop.
    /// </summary>
    public bool SendTerminalSignal(int signal)
    {
        if (_first is not { } first)
            return false;
        int group = TerminalSession?.ForegroundGroup ?? first.ProcessGroupId;
        Processes.SendToGroup(group, new SigInfo { Signo = signal, Code = Signal.SI_KERNEL });
        return signal == Signal.SIGTSTP && first.ProcessGroupId == group && first.Actions.Get(signal).Handler == SigAction.SIG_DFL;
    }

    /// <summary>Ends all guests and waits until their threads are gone; then frees what is shared. Idempotent.</summary>
    public void Dispose()
    {
        Processes.KillAll();
        if (_first is not null)
            _ended.Wait();
        Timers.Dispose();
        Notifier.Dispose();
        UringThread.Dispose();
        UringWorkers.Dispose();
    }

    /// <summary>A task is gone; its id comes free, and with the last one of its process the process's.</summary>
    internal void TaskEnded(Task task, bool lastOfGroup)
    {
        ThreadGroup group = task.Group;
        if (!task.IsLeader)
            Tasks.Free(task.Tid);
        if (lastOfGroup)
        {
            // Like the first process of a pid namespace: when it is gone, so is the rest.
            if (group == _first)
                Processes.KillAll();
            Processes.ProcessEnded(group);
        }
        else if (group.Children.Count != 0)
        {
            Processes.ThreadEnded(task);
        }
        if (Interlocked.Decrement(ref _liveTasks) == 0)
            _ended.Set();
    }

    /// <summary>Says once per number that a program asked for a call that is not there.</summary>
    internal void ReportUnknownCall(Task task, long number, string? name)
    {
        lock (_lock)
        {
            if (!_reportedCalls.Add(number))
                return;
        }
        Log?.Invoke($"process {task.Group.Id}: system call {number}{(name is null ? "" : $" ({name})")} is not there: ENOSYS");
    }

    /// <summary>A handler threw: Moat's own failure, which ends the guest process.</summary>
    internal void ReportFailure(Task task, Exception e)
    {
        Report($"internal failure in process {task.Group.Id}, thread {task.Tid}, system call {task.Args.Number}: {e.GetType().Name}: {e.Message}");
        Log?.Invoke(e.ToString());
        if (Log is null)
            Report(e.ToString());
    }
}
