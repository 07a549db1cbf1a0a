using Moat.Kernel.Syscalls;

namespace Moat.Kernel.IoUring;

/// <summary>What an operation is like: the flags of its row in <see cref="OperationTable"/>.</summary>
[Flags]
internal enum OpFlags
{
    None = 0,

    /// <summary>sqe.fd names a file; a bad one is EBADF at issue.</summary>
    NeedsFile = 1 << 0,

    /// <summary>Would block: wait for input.</summary>
    PollIn = 1 << 1,

    /// <summary>Would block: wait for room.</summary>
    PollOut = 1 << 2,

    /// <summary>Of several waiters one is enough.</summary>
    PollExclusive = 1 << 3,

    /// <summary>IOSQE_BUFFER_SELECT is allowed.</summary>
    BufferSelect = 1 << 4,

    /// <summary>sqe.ioprio has a meaning; elsewhere it must be zero.</summary>
    IoPrio = 1 << 5,

    /// <summary>Workers run one at a time of these on a regular file.</summary>
    HashRegular = 1 << 6,

    /// <summary>May wait for ever on what is no regular file: an unbounded worker.</summary>
    UnboundNonRegular = 1 << 7,

    /// <summary>Works on the ring itself: needs its lock, so IOSQE_ASYNC puts it off but does not hand it to a worker.</summary>
    Locked = 1 << 8,

    /// <summary>Works on a ring that polls for completions (IORING_SETUP_IOPOLL).</summary>
    IoPoll = 1 << 9,

    /// <summary>Never attempted in place by Linux: what is linked behind it goes on on a worker.</summary>
    Worker = 1 << 10,
}

/// <summary>How an attempt ended.</summary>
internal enum IssueStatus
{
    /// <summary>Finished: Request.Result is set.</summary>
    Done,

    /// <summary>Would block: poll, or let a worker do it.</summary>
    WouldBlock,

    /// <summary>Would block on Request.WaitFile until it has Request.PollMask: attempt it again then.</summary>
    WaitFile,

    /// <summary>The operation has armed or queued the request itself; it will be completed later.</summary>
    Queued,
}

/// <summary>In which way to attempt.</summary>
[Flags]
internal enum IssueFlags
{
    None = 0,

    /// <summary>Must not wait: say <see cref="IssueStatus.WouldBlock"/>.</summary>
    NonBlock = 1 << 0,

    /// <summary>On a worker: the ring's lock is not held.</summary>
    Unlocked = 1 << 1,
}

/// <summary>
/// One io_uring operation: a singleton without state. Its parameters are <see cref="Request.Sqe"/>, a private copy.
/// </summary>
internal abstract class Operation
{
    /// <summary>sqe.opcode.</summary>
    public IoUringOp Number { get; private set; }

    public OpFlags Flags;

    public Support Support { get; private set; }

    /// <summary>Why support is partial; empty when full.</summary>
    public string Note { get; private set; } = "";

    /// <summary>Puts the operation into its row.</summary>
    public Operation Bind(IoUringOp number, OpFlags flags, Support support, string note)
    {
        Number = number;
        Flags = flags;
        Support = support;
        Note = note;
        return this;
    }

    /// <summary>
    /// Checks the SQE and copies what it points to, so that the guest may reuse both. An error here ends the batch (unless
    /// IORING_SETUP_SUBMIT_ALL). Under the ring's lock.
    /// </summary>
    public abstract Errno Prepare(Request request);

    /// <summary>
    /// Attempts the operation with the identity of <see cref="Request.Task"/>, perhaps on another thread: the task's scratch is not for use.
    /// </summary>
    public abstract IssueStatus Issue(Request request, IssueFlags flags);

    /// <summary>
    /// An armed request has been woken (poll, timer). Under the ring's lock; the default attempts it again.
    /// </summary>
    public virtual void OnWoken(Request request) => request.Ring.Reissue(request);

    /// <summary>What becomes of it when it is interrupted within an attempt.</summary>
    public virtual Errno Interrupted => Errno.EINTR;

    /// <summary>
    /// Takes an armed request back, as cancellation asks. True: no callback comes any more, but for one that is queued already. False: one
    /// is on its way, and the request has to live until then. Idempotent; under the ring's lock.
    /// </summary>
    public virtual bool Disarm(Request request)
    {
        request.PollWait.Remove();
        return true;
    }

    /// <summary>Gives back what <see cref="RequestFlags.NeedCleanup"/> stands for. Once; under the ring's lock.</summary>
    public virtual void Cleanup(Request request)
    {
    }

    /// <summary>True when an attempt on a worker may wait for as long as it takes: nobody asked it not to.</summary>
    public virtual bool MayWait(Request request) => true;

    /// <summary>True when what a request waits for has happened though its file is not ready otherwise.</summary>
    public virtual bool IsReady(Request request) => false;

    /// <summary>The request fails without having been issued: Request.Result is the error, the operation may change it.</summary>
    public virtual void OnFail(Request request)
    {
    }
}
