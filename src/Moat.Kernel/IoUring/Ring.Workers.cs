using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>The workers of those who submit to the ring: each thread has its own, as the polling thread has.</summary>
internal sealed partial class Ring
{
    /// <summary>Those of the threads that use the ring; under the lock.</summary>
    private readonly List<IoWorkQueue> _users = [];

    // What IOWQ_MAX_WORKERS has set, for threads that use no ring yet; 0: nothing.
    private int _boundedLimit, _unboundedLimit;

    /// <summary>Everything of it is gone.</summary>
    public bool IsGone => Volatile.Read(ref _freed);

    /// <summary>Those that run what a task submits; null: it has used no ring.</summary>
    private IoWorkQueue? WorkersOf(Task task) => _poller is { } poller ? poller.Workers : task.IoWorkers;

    /// <summary>RLIMIT_NPROC, which also limits the workers that may wait for ever; the sentry's own limit on all workers holds besides.</summary>
    private static int MostProcesses(Task task) => (int)Math.Min(task.Group.Limits.Get(Resource.RLIMIT_NPROC).Current, int.MaxValue);

    /// <summary>Workers for a thread whose first ring this is.</summary>
    internal IoWorkQueue MakeWorkers(Task task, int creator)
    {
        int bounded = (int)Math.Min(_memory.SqEntries, 4 * (uint)Environment.ProcessorCount), unbounded = MostProcesses(task);
        return new IoWorkQueue(_sentry, creator, _boundedLimit != 0 ? Math.Min(_boundedLimit, unbounded) : bounded,
            _unboundedLimit != 0 ? Math.Min(_unboundedLimit, unbounded) : unbounded);
    }

    /// <summary>A thread uses the ring from now on.</summary>
    internal void AddUser(IoWorkQueue workers)
    {
        _lock.Enter();
        if (!_freed && !_users.Contains(workers))
        {
            _users.Add(workers);
            workers.EnterRing();
        }
        Unlock();
    }

    /// <summary>Its end, or that of its program. Under the lock.</summary>
    private void RemoveUser(Task task)
    {
        if (task.IoWorkers is { } workers && _users.Remove(workers))
            workers.LeaveRing();
    }

    /// <summary>The end of the ring.</summary>
    private void DropUsers()
    {
        foreach (IoWorkQueue workers in _users)
            workers.LeaveRing();
        _users.Clear();
    }

    /// <summary>IOWQ_MAX_WORKERS: sets what is not zero, for all who use the ring, and tells what was for the caller's own.</summary>
    private SysResult ExchangeWorkerLimits(Task task, UserPtr argument)
    {
        Span<uint> limits = stackalloc uint[2];
        Span<byte> bytes = MemoryMarshal.AsBytes(limits);
        Errno e = task.Mm.CopyIn(argument, bytes);
        if (e != Errno.OK)
            return e;
        if (limits[0] > int.MaxValue || limits[1] > int.MaxValue)
            return Errno.EINVAL;
        int most = MostProcesses(task), bounded = Math.Min((int)limits[0], most), unbounded = Math.Min((int)limits[1], most);
        if (bounded != 0)
            _boundedLimit = bounded;
        if (unbounded != 0)
            _unboundedLimit = unbounded;
        IoWorkQueue? own = WorkersOf(task);
        limits[0] = (uint)(own?.ExchangeLimit(0, bounded) ?? 0);
        limits[1] = (uint)(own?.ExchangeLimit(1, unbounded) ?? 0);
        foreach (IoWorkQueue user in _users)
        {
            if (user == own || _poller is not null)
                continue;
            user.ExchangeLimit(0, bounded);
            user.ExchangeLimit(1, unbounded);
        }
        return task.Mm.CopyOut(argument, bytes);
    }

    /// <summary>
    /// IOWQ_AFF: which processors the caller's workers may use. A worker is bound to them while it runs requests of these; a mask without any that
    /// the sandbox has leaves them free, as one that is taken back. EINVAL without workers.
    /// </summary>
    private SysResult SetWorkerAffinity(Task task, UserPtr argument, uint bytes)
    {
        ReadOnlySpan<byte> ours = HostAffinity.Ours;
        Span<byte> mask = stackalloc byte[ours.Length];
        Errno e = SchedulerSyscalls.ReadProcessors(task, argument, bytes, mask);
        if (e != Errno.OK)
            return e;
        return SetProcessors(task, mask.ContainsAnyExcept((byte)0) && !mask.SequenceEqual(ours) ? mask.ToArray() : null);
    }

    private SysResult SetProcessors(Task task, byte[]? mask)
    {
        if (WorkersOf(task) is not { } workers)
            return Errno.EINVAL;
        workers.Processors = mask;
        return 0;
    }
}
