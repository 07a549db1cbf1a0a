using Moat.Kernel.Events;
using Moat.Kernel.IoUring;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private readonly List<Ring> _rings = [];
    private int _ringsToLook = 16;
    private Ring? _lastRing;
    private IoWorkQueue? _ioWorkers;

    // It has made a ring, or used one, since it began or executed another program.
    private bool _hasUsedRings;

    // IORING_REGISTER_RING_FDS; only the task itself touches it.
    private Ring?[]? _registeredRings;

    // Rings with work for this task to run when it next enters guest code or sleeps, the latest first. Interlocked.
    private Ring? _ringWork;
    private volatile bool _runs, _blocked;

    // It has changed something on the host that others of the sandbox may wait for. Only the task itself touches it.
    private bool _changedHost;

    // Signals about a file that it has caused. Only the task itself touches it.
    private AsyncNotice? _notice;

    /// <summary>True once the thread has ended: what it submitted and is still waiting is cancelled when woken.</summary>
    internal bool IoUringEnded { get; private set; }

    /// <summary>
    /// Has this task run a ring's work on its way out of the call it is serving, as Linux does. False: it is in guest code, asleep
    /// or ending, and somebody else has to. Any thread, any lock held.
    /// </summary>
    internal bool TryTakeRingWork(Ring ring)
    {
        if (!_runs || _inGuest || _blocked)
            return false;
        Task? taker = Interlocked.CompareExchange(ref ring.Taker, this, null);
        if (taker is null)
        {
            do
                ring.NextTaken = Volatile.Read(ref _ringWork);
            while (Interlocked.CompareExchange(ref _ringWork, ring, ring.NextTaken) != ring.NextTaken);
        }
        else if (taker != this)
        {
            return false;
        }
        // The task announces where it goes and then looks for work; either it sees this, or this sees where it went.
        return !_inGuest && !_blocked && !IoUringEnded;
    }

    private void BeginIoUring() => _runs = true;

    /// <summary>What the task has just done on the host may end somebody's wait here: looks before it goes on. Only the task itself calls it.</summary>
    internal void NoteHostChange() => _changedHost = true;

    /// <summary>
    /// Has this task, which has caused it, send the signals of a notice on its way out of the call. False: somebody else has to. Only the task
    /// itself calls it, any lock held.
    /// </summary>
    internal bool TryTakeNotice(AsyncNotice notice)
    {
        if (_notice is not null || _inGuest || _blocked || IsKilled)
            return false;
        _notice = notice;
        return true;
    }

    private void SendNotice()
    {
        AsyncNotice? notice = _notice;
        _notice = null;
        notice?.Send();
    }

    /// <summary>Called before the way into guest code or sleep; holding no lock.</summary>
    private void TellHostChanges()
    {
        if (_notice is not null)
            SendNotice();
        if (!_changedHost)
            return;
        _changedHost = false;
        Sentry.Notifier.Look();
    }

    /// <summary>Called on the way into guest code or sleep, after a full fence; holding no lock.</summary>
    private void RunIoUringWork()
    {
        if (_ringWork is not null)
            RunTakenRings();
    }

    private void RunTakenRings()
    {
        // In the order in which they were given work.
        Ring? latest = Interlocked.Exchange(ref _ringWork, null), first = null;
        while (latest is not null)
            (latest.NextTaken, first, latest) = (first, latest, latest.NextTaken);
        while (first is not null)
        {
            Ring ring = first;
            first = ring.NextTaken;
            ring.NextTaken = null;
            // What is queued from here on comes with another turn.
            Interlocked.Exchange(ref ring.Taker, null);
            ring.RunPending();
        }
    }

    /// <summary>
    /// The thread ends, or executes another program (<paramref name="exec"/>): its requests are cancelled as on Linux. Only the
    /// task itself calls it, holding no lock.
    /// </summary>
    internal void EndIoUring(bool exec)
    {
        // What goes on because something before it was cancelled still begins.
        RunIoUringWork();
        foreach (Ring ring in _rings)
            ring.CancelOf(this, exec);
        IoUringEnded = !exec;
        Interlocked.MemoryBarrier();
        RunIoUringWork();
        _rings.Clear();
        _lastRing = null;
        _ioWorkers?.End();
        _hasUsedRings = false;
        foreach (Ring? ring in _registeredRings ?? [])
            ring?.DropReference();
        _registeredRings = null;
    }

    /// <summary>
    /// A ring by descriptor or (<paramref name="registered"/>) by its place among those this task has registered, with a reference. EBADF,
    /// EINVAL, EOPNOTSUPP (no ring).
    /// </summary>
    internal Errno GetRing(int fd, bool registered, out FileDescription? file)
    {
        file = null;
        if (registered)
        {
            // A task that has made or used none has no such places either.
            if ((uint)fd >= IoUringConst.IORING_RINGFD_REG_MAX || !_hasUsedRings)
                return Errno.EINVAL;
            file = _registeredRings?[fd];
            file?.AddReference();
            return file is null ? Errno.EBADF : Errno.OK;
        }
        file = Ring.GetFile(Files, fd);
        if (file is null)
            return Errno.EBADF;
        if (file is Ring)
            return Errno.OK;
        file.DropReference();
        return Errno.EOPNOTSUPP;
    }

    /// <summary>The workers of what it submits; null: it has made and used no ring.</summary>
    internal IoWorkQueue? IoWorkers => Volatile.Read(ref _ioWorkers);

    /// <summary>RING_FDS: how many of an array of struct io_uring_rsrc_update were registered, or the error of the first.</summary>
    internal SysResult RegisterRings(UserPtr argument, uint count)
    {
        const ulong Size = 16;
        if (count is 0 or > IoUringConst.IORING_RINGFD_REG_MAX)
            return Errno.EINVAL;
        for (uint i = 0; i < count; i++)
        {
            UserPtr<IoUringRsrcUpdate> at = new(argument.Address + (i * Size));
            SysResult result = Mm.Read(at, out IoUringRsrcUpdate update);
            if (!result.IsError)
                result = update.resv != 0 ? Errno.EINVAL : RegisterRing((int)update.data, update.offset);
            if (!result.IsError)
            {
                update.offset = (uint)result.Value;
                Errno e = Mm.Write(at, update);
                if (e != Errno.OK)
                {
                    DropRegisteredRing((uint)result.Value);
                    result = e;
                }
            }
            if (result.IsError)
                return i != 0 ? (int)i : result;
        }
        return (int)count;
    }

    /// <summary>Registers a ring for this task in a given place, or (~0) in the first free one. Returns the place. EBADF, EOPNOTSUPP, EBUSY, EINVAL.</summary>
    internal SysResult RegisterRing(int fd, uint place)
    {
        const uint Any = uint.MaxValue;
        if (place != Any && place >= IoUringConst.IORING_RINGFD_REG_MAX)
            return Errno.EINVAL;
        Errno e = GetRing(fd, registered: false, out FileDescription? file);
        if (e != Errno.OK)
            return e;
        SysResult result = RegisterRing((Ring)file!, place);
        if (result.IsError)
            file!.DropReference();
        return result;
    }

    /// <summary>As above, taking over a reference on success.</summary>
    internal SysResult RegisterRing(Ring ring, uint place)
    {
        _hasUsedRings = true;
        _registeredRings ??= new Ring?[IoUringConst.IORING_RINGFD_REG_MAX];
        int index = place < IoUringConst.IORING_RINGFD_REG_MAX ? (int)place : Array.IndexOf(_registeredRings, null);
        if (index < 0 || _registeredRings[index] is not null)
            return Errno.EBUSY;
        _registeredRings[index] = ring;
        return index;
    }

    /// <summary>UNREGISTER_RING_FDS.</summary>
    internal SysResult UnregisterRings(UserPtr argument, uint count)
    {
        const ulong Size = 16;
        if (count is 0 or > IoUringConst.IORING_RINGFD_REG_MAX)
            return Errno.EINVAL;
        for (uint i = 0; i < count; i++)
        {
            Errno e = Mm.Read(new UserPtr<IoUringRsrcUpdate>(argument.Address + (i * Size)), out IoUringRsrcUpdate update);
            if (e == Errno.OK && (update.resv != 0 || update.data != 0 || update.offset >= IoUringConst.IORING_RINGFD_REG_MAX))
                e = Errno.EINVAL;
            if (e != Errno.OK)
                return i != 0 ? (int)i : e;
            DropRegisteredRing(update.offset);
        }
        return (int)count;
    }

    private void DropRegisteredRing(uint place)
    {
        if (_registeredRings is null)
            return;
        Ring? ring = _registeredRings[place];
        _registeredRings[place] = null;
        ring?.DropReference();
    }

    /// <summary>Remembers that this task has made a ring, or submits to it. Only the task itself calls it.</summary>
    internal void AddRing(Ring ring)
    {
        if (_lastRing == ring)
            return;
        _lastRing = ring;
        _hasUsedRings = true;
        if (_rings.Contains(ring))
            return;
        // Those that have been closed since are forgotten now and then.
        if (_rings.Count >= _ringsToLook)
        {
            _rings.RemoveAll(static r => r.IsGone);
            _ringsToLook = Math.Max(16, 2 * _rings.Count);
        }
        _rings.Add(ring);
        if (_ioWorkers is null or { IsEnded: true })
            Volatile.Write(ref _ioWorkers, ring.MakeWorkers(this, Tid));
        ring.AddUser(_ioWorkers);
    }
}
