using Moat.Kernel.Events;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>
/// An io_uring (io_uring(7)): the file behind the descriptor of io_uring_setup(2). Requests run through the sentry's own
/// files, memory and timers.
/// </summary>
/// <remarks>
/// Two locks. <see cref="_lock"/> guards submission, requests, registered resources and the execution of work; nothing that may block
/// runs under it. <see cref="_cqLock"/> guards the completion ring, its backlog and the waiters; it is a leaf. What happens elsewhere (readiness,
/// timers, workers) takes neither: it queues the request (<see cref="QueueWork"/>), and whoever holds or gets the lock runs it.
/// Order: _lock, then any file's, memory manager's or wait queue's locks, then _cqLock.
/// </remarks>
internal sealed partial class Ring : AnonymousFile
{
    private readonly Lock _lock = new();
    private readonly Lock _cqLock = new();
    private RingMemory _memory = null!;
    private readonly Sentry _sentry;
    private readonly bool _defer, _submitAll;

    /// <summary>Where the memory of rings and buffers counts; null: nowhere.</summary>
    private readonly LockedAccount? _account;

    /// <summary>Bytes that count, but for registered buffers: each has its own.</summary>
    private ulong _charged;

    /// <summary>The only task that may submit (SINGLE_ISSUER), once known.</summary>
    private Task? _issuer;
    private Submitter? _origin;
    private bool _disabled;

    /// <summary>Requests without flags need no second look: nobody traces, restricts or denies them.</summary>
    private bool _submitsPlainly;

    /// <summary>The order in which rings were made, which is the order of their locks.</summary>
    private readonly long _number = Interlocked.Increment(ref s_lastNumber);

    private static long s_lastNumber;

    private Ring(Task maker, IoUringSetup setup, Task? issuer, uint cqEntries)
        : base(OpenFlags.O_RDWR, "[io_uring]")
    {
        Sentry sentry = _sentry = maker.Sentry;
        _account = sentry.LockedMemory.For(maker);
        _maker = maker.Group;
        Setup = setup;
        _hashBits = HashBitsFor(cqEntries);
        _hash = new Request?[1 << _hashBits];
        _issuer = issuer;
        _defer = (setup & IoUringSetup.DEFER_TASKRUN) != 0;
        _submitAll = (setup & IoUringSetup.SUBMIT_ALL) != 0;
        _disabled = (setup & IoUringSetup.R_DISABLED) != 0;
        _stats = new RingStatistics();
        _inlineCounts = _stats.Inline;
        _trace = sentry.UringTrace;
        _operations = sentry.Uring.Operations;
        _faults = sentry.Uring.Faults;
        _deniedFlags = ~(sentry.Uring.Policy?.SqeFlags ?? ~SqeFlags.None);
        _submitsPlainly = _trace is null && (setup & IoUringSetup.IOPOLL) == 0 && (_deniedFlags & SqeFlags.FIXED_FILE) == 0 && _faults is null;
    }

    /// <summary>Room for the transfer being tried in place; under the lock.</summary>
    public IoVector Scratch { get; } = new();

    /// <summary>The flags that it was set up with.</summary>
    public IoUringSetup Setup { get; }

    /// <inheritdoc/>
    public override WaitQueue Waiters { get; } = new();

    /// <summary>EBADFD until IORING_REGISTER_ENABLE_RINGS.</summary>
    public bool IsDisabled => Volatile.Read(ref _disabled);

    /// <inheritdoc/>
    public override bool CanTransfer(bool write) => false;

    /// <inheritdoc/>
    public override bool SupportsNoWait => false;

    /// <inheritdoc/>
    public override PollEvents Poll()
    {
        if (!_defer)
            return PollNow();
        // Rings that defer work can be replaced by others (RESIZE_RINGS) meanwhile.
        lock (_cqLock)
            return PollNow();
    }

    private PollEvents PollNow()
    {
        PollEvents ready = PollEvents.None;
        if (_memory.SqTail - Volatile.Read(ref _sqHead) < _memory.SqEntries)
            ready |= PollEvents.POLLOUT | PollEvents.POLLWRNORM;
        if (Volatile.Read(ref _cqTail) != _memory.CqHead || Volatile.Read(ref _backlogged) || (_defer && HasWork))
            ready |= PollEvents.POLLIN | PollEvents.POLLRDNORM;
        return ready;
    }

    /// <inheritdoc/>
    public override SysResult Seek(long offset, int whence) => Errno.ESPIPE;

    /// <summary>EEXIST when another task than the ring's only issuer calls.</summary>
    private bool IsForeign(Task task) => _issuer is not null && _issuer != task;

    /// <summary>
    /// Leaves <see cref="_lock"/>, and wakes who waits for what was completed under it: woken before, it would only wait for the lock, and on a busy
    /// machine for the core too that the holder of the lock lost to it.
    /// </summary>
    private void ExitLock()
    {
        _lock.Exit();
        if (Volatile.Read(ref _toWake) is not null)
            Interlocked.Exchange(ref _toWake, null)?.Wake();
    }

    /// <summary>
    /// Leaves <see cref="_lock"/>. Work that came meanwhile could not be run by those who queued it: it is run here.
    /// </summary>
    private void Unlock()
    {
        ExitLock();
        if (_defer)
            return;
        // The exit above is visible before the look at the list: either this sees the work or its queuer gets the lock.
        Interlocked.MemoryBarrier();
        if (HasWork)
            RunPending();
    }
}
