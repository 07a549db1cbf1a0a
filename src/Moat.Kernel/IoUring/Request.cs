using Moat.Kernel.Events;
using Moat.Kernel.Sockets;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>What a request asks for and what has become of it. The low eight bits are sqe.flags.</summary>
[Flags]
internal enum RequestFlags : uint
{
    None = 0,

    FixedFile = SqeFlags.FIXED_FILE,
    Drain = SqeFlags.IO_DRAIN,
    Link = SqeFlags.IO_LINK,
    HardLink = SqeFlags.IO_HARDLINK,

    /// <summary>Goes to a worker (or behind a drain) without an attempt in place.</summary>
    ForceAsync = SqeFlags.ASYNC,
    BufferSelect = SqeFlags.BUFFER_SELECT,

    /// <summary>Success posts no CQE.</summary>
    CqeSkip = SqeFlags.CQE_SKIP_SUCCESS,

    /// <summary>A chain continues after this request.</summary>
    AnyLink = Link | HardLink,

    /// <summary>Failed: what is linked behind it is cancelled, unless linked hard.</summary>
    Fail = 1u << 8,

    /// <summary>It asked to skip its CQE and failed: the cancelled rest of the chain posts none.</summary>
    SkipLinkCqes = 1u << 9,

    /// <summary>EAGAIN is its result; it neither polls nor goes to a worker.</summary>
    NoWait = 1u << 10,

    /// <summary>A LINK_TIMEOUT is behind it and not yet armed.</summary>
    ArmLinkTimeout = 1u << 11,

    /// <summary>The LINK_TIMEOUT behind it is armed.</summary>
    LinkTimeoutArmed = 1u << 12,

    /// <summary>Somebody cancelled it; whoever next looks at it completes it with ECANCELED.</summary>
    Canceled = 1u << 13,

    /// <summary>Posts several CQEs.</summary>
    Multishot = 1u << 14,

    /// <summary>The operation holds something that <see cref="Operation.Cleanup"/> gives back.</summary>
    NeedCleanup = 1u << 15,

    /// <summary>In the table that cancellation searches.</summary>
    Hashed = 1u << 16,

    /// <summary>Its file is a ring: cancelled when the submitter ends, for it may keep itself alive.</summary>
    Inflight = 1u << 17,

    /// <summary>Waited for readiness at least once.</summary>
    Polled = 1u << 18,

    /// <summary>Ran on a worker at least once.</summary>
    Worked = 1u << 19,

    /// <summary>Its CQE has a second half: <see cref="Request.Extra"/>.</summary>
    BigCqe = 1u << 20,

    /// <summary>Waits as if a worker did within the attempt: to cancel it is to interrupt that.</summary>
    Waits = 1u << 21,

    /// <summary>A worker of Linux has it: there it may wait within the attempt, and what is linked behind it goes on there.</summary>
    OnWorker = 1u << 22,

    /// <summary>Something is to happen to it that somebody asked for: <see cref="Request.Fault"/>.</summary>
    Injected = 1u << 30,

    /// <summary>Not served in place without ado.</summary>
    SlowOrAsync = SlowComplete | Polled | Worked,

    /// <summary>Anything but the plain path at completion.</summary>
    SlowComplete = AnyLink | CqeSkip | Fail | ArmLinkTimeout | LinkTimeoutArmed | NeedCleanup | Hashed | Inflight
        | BufferSelect | BigCqe | Injected,
}

/// <summary>Where a request is. Changes under the ring's lock, except that a worker moves its own to <see cref="WorkerDone"/>.</summary>
internal enum RequestState : byte
{
    /// <summary>In the free list.</summary>
    Free,

    /// <summary>Being prepared or issued, or waiting in a chain.</summary>
    Active,

    /// <summary>Queued to be issued (a chain's next, a drain's end, a poll to be retried).</summary>
    Issue,

    /// <summary>The same, in place although the program asked for a worker.</summary>
    IssueHere,

    /// <summary>Queued to be completed with the result that is set.</summary>
    Complete,

    /// <summary>Behind a drain.</summary>
    Deferred,

    /// <summary>A wait entry of its own is in its file's queue.</summary>
    PollArmed,

    /// <summary>A timer runs.</summary>
    TimerArmed,

    /// <summary>Given to the worker queue.</summary>
    Worker,

    /// <summary>The worker has finished and queued it.</summary>
    WorkerDone,

    /// <summary>Complete, but put off by a fault.</summary>
    Held,
}

/// <summary>
/// One request from SQE to its last CQE. Pooled by its ring; everything in it is guarded by the ring's lock but what says
/// otherwise. Nothing is allocated for it once the pool is warm.
/// </summary>
internal sealed class Request : WorkItem
{
    /// <summary>The SQE as it was read once: the operation's parameters. Operations may overwrite fields of it.</summary>
    public IoUringSqe Sqe;

    public readonly Ring Ring;

    public Operation Op = null!;

    /// <summary>What it runs with.</summary>
    public Submitter Origin = null!;

    /// <summary>Who submitted it.</summary>
    public Task Task => Origin.Task;

    public RequestFlags Flags;

    public RequestState State;

    /// <summary>cqe.res: set by the operation before it says that it is done.</summary>
    public int Result;

    /// <summary>cqe.flags.</summary>
    public CqeFlags CqeFlags;

    /// <summary>The second half of a large CQE; <see cref="RequestFlags.BigCqe"/>.</summary>
    public (ulong First, ulong Second) Extra;

    /// <summary>The file, with a reference of its own or kept by <see cref="FileNode"/>.</summary>
    public FileDescription? File;

    /// <summary>The registered file's node, for a fixed file.</summary>
    public ResourceNode? FileNode;

    /// <summary>The registered buffer's node, while the request uses it.</summary>
    public ResourceNode? BufferNode;

    /// <summary>The next request of the chain.</summary>
    public Request? Link;

    /// <summary>Free list; the ring's own list of what to run next; the drain list.</summary>
    public Request? Next;

    /// <summary>The ring's list of work from elsewhere.</summary>
    public Request? NextQueued;

    /// <summary>In the list of what is ready to run.</summary>
    public bool IsReady;

    /// <summary>1 while in the list of work from elsewhere. Interlocked.</summary>
    public int Queued;

    /// <summary>Somebody will look at it soon. Stable once no callback can come any more.</summary>
    public bool IsPending => IsReady || Volatile.Read(ref Queued) != 0;

    /// <summary>Events seen by the poll callback and not yet looked at. Interlocked.</summary>
    public uint PendingEvents;

    /// <summary>Attempts after readiness.</summary>
    public int Retries;

    /// <summary>Events that the operation waits for.</summary>
    public PollEvents PollMask;

    /// <summary>Bytes that a transfer is to move, and has moved so far.</summary>
    public ulong Length, Moved;

    /// <summary>The program's struct iovec array, copied; larger than needed.</summary>
    public IoVec[] Vectors = [];

    /// <summary>Bytes that a request with IOSQE_BUFFER_SELECT asked for; 0: as many as the buffer has.</summary>
    public ulong Wanted;

    /// <summary>The group of the provided buffer that it has picked; null: none.</summary>
    public BufferGroup? Group;

    /// <summary>The (first) picked buffer, whole.</summary>
    public ProvidedBuffer Selected;

    /// <summary>Bytes to use of what is picked, and in how many buffers they are.</summary>
    public ulong SelectedLength;
    public int SelectedCount;

    /// <summary>All the buffers of a ring that were there have been picked, if only in vain, and more would have been.</summary>
    public bool TookAll;

    /// <summary>Of what was picked since the last CQE, or would have been next, only a part was wanted.</summary>
    public bool TookPart;

    /// <summary>Bytes that the last attempt to receive has left, as the socket tells; -1 when it does not, or before one.</summary>
    public int InputLeft;

    /// <summary>What is picked is used up already; <see cref="HasRest"/>: but for a rest.</summary>
    public bool IsCommitted, HasRest;

    /// <summary>The file to wait for; the request keeps a reference to it in one way or another.</summary>
    public FileDescription? WaitFile;

    /// <summary>A second file that the operation keeps until completion: splice's input, a file that is being opened.</summary>
    public FileDescription? OtherFile;

    /// <summary>The registered file's node of <see cref="OtherFile"/>.</summary>
    public ResourceNode? OtherNode;

    /// <summary>What a network operation sends or receives; kept for the next one.</summary>
    public SocketMessage? Message;

    /// <summary>How to open.</summary>
    public OpenHow How;

    /// <summary>What EPOLL_CTL sets.</summary>
    public EpollEvent Event;

    /// <summary>Paths, copied from the guest; from the ring's pool.</summary>
    public char[]? Path, SecondPath;

    /// <summary>Their lengths.</summary>
    public int PathLength, SecondPathLength;

    /// <summary>How the worker's attempt ended.</summary>
    public IssueStatus WorkerStatus;

    /// <summary>Which of its futex words was woken first; -1: none. Interlocked.</summary>
    public int FirstWoken;

    /// <summary>It waits, and counts as one that keeps a worker.</summary>
    public bool HoldsWorker;

    /// <summary>Those that it has been given to.</summary>
    public IoWorkQueue? Workers;

    /// <summary>Cancelled while a worker runs it.</summary>
    public volatile bool CancelRequested;

    /// <summary>The LINK_TIMEOUT armed for this request, or the request that this LINK_TIMEOUT is for.</summary>
    public Request? Partner;

    /// <summary>A TIMEOUT's length or end, nanoseconds.</summary>
    public long Time;

    /// <summary>A TIMEOUT's completion count, or how often it still repeats.</summary>
    public uint Target;

    /// <summary>In the ring's list of timeouts that count.</summary>
    public bool IsCounted;

    /// <summary>No expiry of the timer is to come: it was stopped, or its expiry has been taken from the list of work.</summary>
    public bool TimerIdle;

    /// <summary>The worker queue's: bounded or unbounded, what it is serialized by, its place (also among timeouts that count).</summary>
    public byte WorkKind;
    public bool WorkQueued;
    public object? WorkKey;
    public Request? WorkNext, WorkPrevious;

    /// <summary>Chain in the cancel table.</summary>
    public Request? HashNext, HashPrevious;

    /// <summary>What is planned for it; <see cref="RequestFlags.Injected"/>.</summary>
    public Fault Fault;

    /// <summary>When it began to wait for something, host nanoseconds; 0: it did not.</summary>
    public long Started;

    /// <summary>What the operation keeps between prepare and completion; reused where it can.</summary>
    public object? Data;

    private PollWait? _pollWait;
    private RequestTimer? _timer;

    public Request(Ring ring) => Ring = ring;

    /// <summary>The first path.</summary>
    public ReadOnlySpan<char> PathText => Path.AsSpan(0, PathLength);

    /// <summary>The second path.</summary>
    public ReadOnlySpan<char> SecondPathText => SecondPath.AsSpan(0, SecondPathLength);

    /// <summary>The wait entry for the file's queue, made at first use.</summary>
    public PollWait PollWait => _pollWait ??= new PollWait(this);

    /// <summary>The timer, made at first use.</summary>
    public RequestTimer Timer => _timer ??= new RequestTimer(this);

    /// <summary>
    /// Stops the timer. True: no expiry comes beyond one that is queued already. False: it expires right now and will be queued.
    /// Idempotent.
    /// </summary>
    public bool DisarmTimer()
    {
        if (TimerIdle || Volatile.Read(ref Queued) != 0)
            return true;
        TimerIdle = Timer.Cancel();
        return TimerIdle;
    }

    /// <summary>Would block: wait for another file than <see cref="File"/>, or for other events than the operation's row says.</summary>
    public IssueStatus WaitFor(FileDescription file, PollEvents events)
    {
        WaitFile = file;
        PollMask = events;
        return IssueStatus.WaitFile;
    }

    /// <summary>Sets the result; an error breaks the chain.</summary>
    public IssueStatus Done(SysResult result)
    {
        Result = (int)result.Value;
        if (result.IsError)
            SetFail();
        return IssueStatus.Done;
    }

    /// <summary>Sets the result of an operation whose errors do not break the chain (most that are plain calls on names and files).</summary>
    public IssueStatus Return(SysResult result)
    {
        Result = (int)result.Value;
        return IssueStatus.Done;
    }

    /// <summary>Marks the request as failed: its CQE is posted, its chain is cancelled.</summary>
    public void SetFail()
    {
        Flags |= RequestFlags.Fail;
        if ((Flags & RequestFlags.CqeSkip) != 0)
            Flags = (Flags & ~RequestFlags.CqeSkip) | RequestFlags.SkipLinkCqes;
    }

    /// <summary>It has ended otherwise than asked for, but that is no failure: the chain goes on.</summary>
    public void ClearFail()
    {
        Flags &= ~RequestFlags.Fail;
        if ((Flags & RequestFlags.SkipLinkCqes) != 0)
            Flags = (Flags & ~RequestFlags.SkipLinkCqes) | RequestFlags.CqeSkip;
    }

    /// <summary>Runs on a worker thread, without the ring's lock.</summary>
    public override void Run() => Ring.RunOnWorker(this);
}

/// <summary>A request's place in the wait queue of its file.</summary>
internal sealed class PollWait(Request request) : WaitEntry
{
    /// <summary>In Request.PendingEvents: there was more than one wake, or one that did not say what happened.</summary>
    public const uint Several = 1u << 31;

    /// <summary>In Request.PendingEvents: some wake came from elsewhere than the submitter's own calls.</summary>
    public const uint Outside = 1u << 30;

    /// <summary>Stays in the queue when it fires.</summary>
    public bool Persistent;

    /// <inheritdoc/>
    public override bool OnWake(PollEvents events)
    {
        // First of all: who takes the events has to see where they came from.
        if (Persistent && Tasks.Task.Current != request.Task)
            Interlocked.Or(ref request.PendingEvents, Outside);
        if (events == PollEvents.None)
            Interlocked.Or(ref request.PendingEvents, Several);
        else
            Note(events);
        if (!Persistent)
            Queue!.RemoveFromCallback(this);
        request.Ring.QueueWork(request, WorkSource.Callback);
        return true;
    }

    /// <summary>Remembers events for whoever looks at the request next.</summary>
    public void Note(PollEvents events)
    {
        if ((Interlocked.Or(ref request.PendingEvents, (uint)events) & ~Outside) != 0)
            Interlocked.Or(ref request.PendingEvents, Several);
    }
}
