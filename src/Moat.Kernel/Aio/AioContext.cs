using Moat.Kernel.Events;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Aio;

/// <summary>
/// A context of native asynchronous I/O (io_setup(2)). Requests end inline, on a worker (transfers with O_DIRECT, fsync) or by a wake (polls);
/// each puts its event into the ring. It lives until its address space ends or io_destroy(2), and its memory until the last request has ended.
/// </summary>
internal sealed class AioContext(Sentry sentry, ulong address)
{
    private readonly Lock _lock = new();
    private readonly AioRing _ring = new();
    private readonly List<AioPoll> _polls = [];
    private readonly Stack<AioTransfer> _spare = [];
    private uint _tail;
    private int _underWay;
    private bool _isDead;

    public Sentry Sentry { get; } = sentry;

    /// <summary>aio_context_t.</summary>
    public ulong Address { get; } = address;

    /// <summary>What was asked for at the start; counted against the system's limit.</summary>
    public int Events { get; init; }

    /// <summary>Bytes of the mapping.</summary>
    public ulong MappedBytes { get; init; }

    /// <summary>Who waits for events, or for the last request.</summary>
    public WaitQueue Waiters { get; } = new();

    public Errno Attach(MemoryManager mm) => _ring.Attach(mm, Address, MappedBytes);

    /// <summary>Makes sure that one request more has a slot for its event. EAGAIN; EINVAL once it is destroyed.</summary>
    public Errno Begin()
    {
        lock (_lock)
        {
            if (_isDead)
                return Errno.EINVAL;
            if ((uint)_underWay + Waiting >= _ring.Count - 1)
                return Errno.EAGAIN;
            _underWay++;
            return Errno.OK;
        }
    }

    /// <summary>Takes <see cref="Begin"/> back: the request failed before it was one.</summary>
    public void Abandon() => End(default, null, hasEvent: false);

    /// <summary>A request has ended. Any thread.</summary>
    public void Complete(in IoEvent ended, EventFd? notice) => End(in ended, notice, hasEvent: true);

    private void End(in IoEvent ended, EventFd? notice, bool hasEvent)
    {
        bool last;
        lock (_lock)
        {
            if (hasEvent)
            {
                _ring[_tail] = ended;
                _tail = (_tail + 1) % _ring.Count;
                _ring.PublishTail(_tail);
            }
            last = --_underWay == 0 && _isDead;
        }
        if (hasEvent && notice is not null)
        {
            notice.Signal();
            notice.DropReference();
        }
        Waiters.Wake(PollEvents.POLLIN);
        if (last)
            _ring.Dispose();
    }

    private uint Waiting => (_tail + _ring.Count - _ring.Head) % _ring.Count;

    /// <summary>How many events wait, or EINVAL once it is destroyed.</summary>
    public SysResult CountEvents()
    {
        lock (_lock)
            return _isDead ? Errno.EINVAL : (int)Waiting;
    }

    /// <summary>Copies events to the guest, oldest first. How many; EFAULT, EINVAL.</summary>
    public SysResult Take(MemoryManager mm, UserPtr to, int most)
    {
        const int Piece = 32;
        Span<IoEvent> events = stackalloc IoEvent[Piece];
        int done = 0;
        while (done < most)
        {
            uint head;
            int count = 0;
            lock (_lock)
            {
                if (_isDead)
                    return Errno.EINVAL;
                head = _ring.Head;
                uint waiting = Waiting;
                while (count < Math.Min(Piece, most - done) && count < waiting)
                {
                    events[count] = _ring[(head + (uint)count) % _ring.Count];
                    count++;
                }
                _ring.Head = (head + (uint)count) % _ring.Count;
            }
            if (count == 0)
                return done;
            Span<byte> bytes = System.Runtime.InteropServices.MemoryMarshal.AsBytes(events[..count]);
            if (mm.CopyOut(to + ((ulong)done * IoEvent.Size), bytes) != Errno.OK)
            {
                lock (_lock)
                {
                    if (!_isDead && _ring.Head == (head + (uint)count) % _ring.Count)
                        _ring.Head = head;
                }
                return done != 0 ? done : Errno.EFAULT;
            }
            done += count;
        }
        return done;
    }

    /// <summary>Remembers a poll, so that it can be cancelled. False: the context is destroyed.</summary>
    public bool Add(AioPoll poll)
    {
        lock (_lock)
        {
            if (!_isDead)
                _polls.Add(poll);
            return !_isDead;
        }
    }

    public void Remove(AioPoll poll)
    {
        lock (_lock)
            _polls.Remove(poll);
    }

    /// <summary>io_cancel(2): only polls can be. EINPROGRESS: its event comes; EINVAL: there is none for the iocb.</summary>
    public Errno Cancel(ulong iocb)
    {
        AioPoll? poll;
        lock (_lock)
            poll = _polls.Find(p => p.Iocb == iocb);
        return poll is not null && poll.Cancel() ? Errno.EINPROGRESS : Errno.EINVAL;
    }

    /// <summary>No requests any more; polls end. False: somebody has done so before.</summary>
    public bool Kill()
    {
        AioPoll[] polls;
        bool idle;
        lock (_lock)
        {
            if (_isDead)
                return false;
            _isDead = true;
            polls = [.. _polls];
            idle = _underWay == 0;
        }
        Interlocked.Add(ref Sentry.AioEvents, -Events);
        foreach (AioPoll poll in polls)
            poll.Cancel();
        Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLHUP);
        if (idle)
            _ring.Dispose();
        return true;
    }

    /// <summary>Requests that have not ended.</summary>
    public int UnderWay => Volatile.Read(ref _underWay);

    /// <summary>A transfer to fill in.</summary>
    public AioTransfer Rent()
    {
        lock (_lock)
            return _spare.TryPop(out AioTransfer? spare) ? spare : new AioTransfer(this);
    }

    public void Recycle(AioTransfer transfer)
    {
        const int MostSpare = 256;
        lock (_lock)
        {
            if (_spare.Count < MostSpare)
                _spare.Push(transfer);
        }
    }
}
