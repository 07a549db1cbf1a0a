namespace Moat.Kernel.Tasks;

/// <summary>How a traced thread goes on.</summary>
internal enum TraceMode
{
    /// <summary>Until the next signal or event.</summary>
    Continue,

    /// <summary>Until the next system call begins or ends as well (PTRACE_SYSCALL).</summary>
    Syscall,

    /// <summary>For one instruction (PTRACE_SINGLESTEP).</summary>
    Step,
}

/// <summary>PTRACE_O_ (man 2 ptrace).</summary>
[Flags]
internal enum TraceOptions : uint
{
    PTRACE_O_TRACESYSGOOD = 1,
    PTRACE_O_TRACEFORK = 1 << 1,
    PTRACE_O_TRACEVFORK = 1 << 2,
    PTRACE_O_TRACECLONE = 1 << 3,
    PTRACE_O_TRACEEXEC = 1 << 4,
    PTRACE_O_TRACEVFORKDONE = 1 << 5,
    PTRACE_O_TRACEEXIT = 1 << 6,
    PTRACE_O_TRACESECCOMP = 1 << 7,
    PTRACE_O_EXITKILL = 1 << 20,
    All = 0xff | PTRACE_O_EXITKILL,
}

/// <summary>PTRACE_EVENT_.</summary>
internal enum TraceEvent
{
    None = 0,
    Fork = 1,
    VFork = 2,
    Clone = 3,
    Exec = 4,
    VForkDone = 5,
    Exit = 6,
    Seccomp = 7,
    Stop = 128,
}

/// <summary>Where in a system call a stopped thread is (PTRACE_GET_SYSCALL_INFO).</summary>
internal enum TracePhase
{
    None,
    Entry,
    Exit,
}

/// <summary>
/// That one thread traces another (ptrace(2)). Changes under the lock of <see cref="ProcessTree"/>; what concerns a stop is the tracer's
/// while <see cref="IsStopped"/>, and the traced thread's else.
/// </summary>
internal sealed class Tracing(Task tracer, TraceOptions options, bool seized)
{
    // Read by the traced thread while it waits.
    private volatile bool _isStopped, _isListening, _trapIsDue;

    /// <summary>The only thread that may ask.</summary>
    public Task Tracer { get; } = tracer;

    public TraceOptions Options { get; set; } = options;

    /// <summary>PTRACE_SEIZE: stops by signals and interrupts are events.</summary>
    public bool IsSeized { get; } = seized;

    /// <summary>It waits for its tracer.</summary>
    public bool IsStopped { get => _isStopped; set => _isStopped = value; }

    /// <summary>PTRACE_LISTEN: it stays stopped until SIGCONT.</summary>
    public bool IsListening { get => _isListening; set => _isListening = value; }

    /// <summary>The next look at its signals stops it (PTRACE_INTERRUPT, and seized newborns).</summary>
    public bool TrapIsDue { get => _trapIsDue; set => _trapIsDue = value; }

    /// <summary>The tracer has waited for the stop.</summary>
    public bool IsReported { get; set; }

    /// <summary>The stop as wait4(2) tells it.</summary>
    public int Status { get; set; }

    /// <summary>PTRACE_GETSIGINFO. A stop of the whole process has none.</summary>
    public SigInfo Info;

    public bool HasInfo { get; set; }

    /// <summary>PTRACE_GETEVENTMSG.</summary>
    public ulong Message { get; set; }

    public TracePhase Phase { get; set; }

    /// <summary>rax at the beginning of the call, -1 outside of one. The tracer may change it.</summary>
    public ulong OriginalRax { get; set; } = ulong.MaxValue;

    /// <summary>The segments' bases while stopped; what the tracer changes is set when the thread goes on.</summary>
    public ulong FsBase, GsBase;

    public TraceMode Mode { get; set; }

    /// <summary>The signal with which the thread goes on; 0: none.</summary>
    public int Signal { get; set; }

    /// <summary>The process is stopped, but this thread was told to go on.</summary>
    public bool PassesStop { get; set; }

    public bool Has(TraceOptions option) => (Options & option) != 0;
}
