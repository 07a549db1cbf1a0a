using System.Runtime.CompilerServices;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring
{
    /// <summary>Most completions that wait for room in the ring; what exceeds it is lost and counted (EBADR).</summary>
    private const int MaxBacklog = 1 << 20;

    // The running batch, under _lock: CQEs that are written and become visible together, places that are known to be free, and
    // whether some of it went to the backlog. While CQEs are pending nobody else moves the tail: that takes a backlog.
    private uint _pending, _room;
    private bool _batchOverflowed;

    /// <summary>Multishot requests that wait for room in the ring; under the lock.</summary>
    private Request? _stalled;
    // Under _cqLock.
    private uint _cqTail, _overflow;
    private BigCqe[] _backlog = [];
    private int _backlogHead, _backlogCount;
    private bool _backlogged, _lost;

    /// <summary>Timeouts that have fired or were cancelled: each ends the waits for events.</summary>
    private int _timeoutsDone;

    /// <summary>Completes a request with the result that is set. Under the lock.</summary>
    public void Complete(Request request)
    {
        if ((request.Flags & RequestFlags.SlowComplete) != 0)
        {
            CompleteSlowly(request);
            return;
        }
        AddToBatch(request.Sqe.user_data, request.Result, request.CqeFlags);
        Finish(request);
    }

    private void CompleteSlowly(Request request)
    {
        if ((request.Flags & RequestFlags.Hashed) != 0)
            Unhash(request);
        if ((request.Flags & RequestFlags.Injected) != 0 && !PassFaults(request))
            return;
        if ((request.Flags & (RequestFlags.CqeSkip | RequestFlags.BigCqe)) == RequestFlags.BigCqe)
            PostBig(request, request.Result, request.CqeFlags);
        else if ((request.Flags & RequestFlags.CqeSkip) == 0)
            AddToBatch(request.Sqe.user_data, request.Result, request.CqeFlags);
        const RequestFlags Chained = RequestFlags.AnyLink | RequestFlags.ArmLinkTimeout | RequestFlags.LinkTimeoutArmed;
        if ((request.Flags & Chained) != 0 || request.Link is not null)
            ContinueChain(request);
        if ((request.Flags & RequestFlags.NeedCleanup) != 0)
            request.Op.Cleanup(request);
        // What a worker has picked in vain is used up, and nothing of it is left for whoever has this object next.
        request.Group = null;
        Finish(request);
    }

    /// <summary>Posts a CQE of a request that lives on (multishot). False: it went to the backlog or would, so the request should end.</summary>
    public bool PostMore(Request request, int result, CqeFlags flags)
    {
        // In order with what is in the batch, and its own fate is known at once.
        FlushBatch();
        bool posted;
        lock (_cqLock)
        {
            posted = !_backlogged && HasRoom();
            if (posted)
            {
                Post(new IoUringCqe { user_data = request.Sqe.user_data, res = result, flags = (uint)flags });
                PublishTail();
            }
        }
        if (posted)
        {
            if (_trace is not null)
                _trace.Completed(this, request.Sqe.user_data, result, flags);
            Notify(posted: true, fromWorker: false);
            if (_countedHead is not null)
                FlushCounted();
        }
        return posted;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AddToBatch(ulong userData, int result, CqeFlags flags)
    {
        if (_room == 0 || _trace is not null)
        {
            AddSlowly(userData, result, flags);
            return;
        }
        _room--;
        _memory.WriteCqe(_cqTail + _pending++, new IoUringCqe { user_data = userData, res = result, flags = (uint)flags });
    }

    private void AddSlowly(ulong userData, int result, CqeFlags flags)
    {
        if (_trace is not null)
            _trace.Completed(this, userData, result, flags);
        IoUringCqe cqe = new() { user_data = userData, res = result, flags = (uint)flags };
        // The head is any value; more than all entries cannot be used.
        if (_room == 0 && !Volatile.Read(ref _backlogged))
            _room = _memory.CqEntries - Math.Min(_cqTail + _pending - _memory.CqHead, _memory.CqEntries);
        if (_room != 0)
        {
            _room--;
            _memory.WriteCqe(_cqTail + _pending++, cqe);
            return;
        }
        if (_pending != 0)
            FlushBatch();
        // Of a ring that has been closed the eventfd still tells, but nobody takes what is kept.
        if (_released)
            return;
        lock (_cqLock)
            AddToBacklog(new BigCqe { Cqe = cqe });
        _batchOverflowed = true;
    }

    /// <summary>Counts, drops the file and puts the request back into the pool.</summary>
    private void Finish(Request request)
    {
        CountDone(request);
        DropFiles(request);
        Put(request);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void DropFiles(Request request)
    {
        if (request.File is not null || request.BufferNode is not null)
        {
            if (request.FileNode is not null || request.BufferNode is not null)
                DropNodes(request);
            else
                request.File!.DropReference();
            request.File = null;
        }
    }

    /// <summary>Makes the batch visible, wakes who waits for it. Under the lock.</summary>
    private void FlushBatch()
    {
        bool posted = _pending != 0;
        if (!posted && !_batchOverflowed)
            return;
        lock (_cqLock)
        {
            Volatile.Write(ref _cqTail, _cqTail + _pending);
            PublishTail();
        }
        _pending = _room = 0;
        _batchOverflowed = false;
        Notify(posted, _batchFromWorker);
        _batchFromWorker = false;
        if (_countedHead is not null)
            FlushCounted();
        if (_batchInline != 0)
            CountBatch();
    }

    /// <summary>True when the program has to come by for completions that had no room.</summary>
    private bool HasOverflow => Volatile.Read(ref _backlogged) || Volatile.Read(ref _stalled) is not null;

    /// <summary>
    /// Puts a multishot request off that finds no room for a CQE, until the program enters the kernel. Under the lock.
    /// </summary>
    public void Stall(Request request)
    {
        request.IsReady = true;
        lock (_cqLock)
        {
            request.Next = _stalled;
            Volatile.Write(ref _stalled, request);
            _memory.SetSqFlags(SqRingFlags.CQ_OVERFLOW);
        }
    }

    /// <summary>The program is here: what had no room is tried again. Any thread, without locks.</summary>
    private void FlushOverflow()
    {
        FlushBacklog();
        if (Volatile.Read(ref _stalled) is null)
            return;
        _lock.Enter();
        ResumeStalled();
        RunWork();
        Unlock();
    }

    /// <summary>Has requests that wait for room run again. Under the lock.</summary>
    private void ResumeStalled()
    {
        Request? request;
        lock (_cqLock)
        {
            request = _stalled;
            _stalled = null;
            if (!_backlogged)
                _memory.ClearSqFlags(SqRingFlags.CQ_OVERFLOW);
        }
        while (request is not null)
        {
            Request? next = request.Next;
            AppendReady(request);
            request = next;
        }
    }

    /// <summary>Moves the backlog into the ring as far as there is room (NODROP). Any thread.</summary>
    private void FlushBacklog()
    {
        int moved = 0;
        lock (_cqLock)
        {
            while (_backlogCount > 0 && TryPost(in _backlog[_backlogHead]))
            {
                _backlogHead = (_backlogHead + 1) & (_backlog.Length - 1);
                _backlogCount--;
                moved++;
            }
            if (_backlogCount == 0 && _backlogged)
            {
                Volatile.Write(ref _backlogged, false);
                if (Volatile.Read(ref _stalled) is null)
                    _memory.ClearSqFlags(SqRingFlags.CQ_OVERFLOW);
            }
            PublishTail();
        }
        if (moved > 0)
            Notify(posted: true, fromWorker: false);
    }

    /// <summary>True when the guest has left room. Its head is any value; more than all entries cannot be used.</summary>
    private bool HasRoom() => _cqTail - _memory.CqHead < _memory.CqEntries;

    /// <summary>A CQE, and its second half in a ring with large ones (CQE32), or (<see cref="IsBig"/>) in one that has both.</summary>
    private struct BigCqe
    {
        public IoUringCqe Cqe;
        public ulong First, Second;
        public bool IsBig;
    }

    /// <summary>True when there is room for a CQE with a second half. Under the lock.</summary>
    public bool HasRoomForBig()
    {
        FlushBatch();
        lock (_cqLock)
            return !_backlogged && HasRoomFor(isBig: true, out _);
    }

    /// <summary>Posts a CQE with a second half (<see cref="Request.Extra"/>), in order with the batch. Under the lock.</summary>
    public void PostBig(Request request, int result, CqeFlags flags)
    {
        BigCqe big = new()
        {
            Cqe = new IoUringCqe { user_data = request.Sqe.user_data, res = result, flags = (uint)flags },
            First = request.Extra.First,
            Second = request.Extra.Second,
            IsBig = true,
        };
        if ((Setup & IoUringSetup.CQE_MIXED) != 0)
            big.Cqe.flags |= (uint)CqeFlags.CQE32;
        _trace?.Completed(this, big.Cqe.user_data, big.Cqe.res, (CqeFlags)big.Cqe.flags);
        FlushBatch();
        bool posted;
        lock (_cqLock)
        {
            posted = !_backlogged && TryPost(in big);
            if (!posted)
                AddToBacklog(in big);
            PublishTail();
        }
        Notify(posted, _batchFromWorker);
        if (_countedHead is not null)
            FlushCounted();
    }

    /// <summary>Writes a CQE if there is room. A large one among small ones (CQE_MIXED) takes two places that follow each other. Under _cqLock.</summary>
    private bool TryPost(in BigCqe cqe)
    {
        bool takesTwo = cqe.IsBig && (Setup & IoUringSetup.CQE_MIXED) != 0;
        if (!HasRoomFor(cqe.IsBig, out bool atEnd))
            return false;
        if (atEnd)
            Post(new IoUringCqe { flags = (uint)CqeFlags.SKIP });
        uint at = _cqTail;
        Post(cqe.Cqe);
        if (cqe.IsBig)
            _memory.WriteExtra(at, cqe.First, cqe.Second);
        if (takesTwo)
            Volatile.Write(ref _cqTail, _cqTail + 1);
        return true;
    }

    /// <summary><paramref name="atEnd"/>: of its two places the first one would be the ring's last, which is passed over. Under _cqLock.</summary>
    private bool HasRoomFor(bool isBig, out bool atEnd)
    {
        bool takesTwo = isBig && (Setup & IoUringSetup.CQE_MIXED) != 0;
        uint free = _memory.CqEntries - Math.Min(_cqTail - _memory.CqHead, _memory.CqEntries);
        atEnd = takesTwo && ((_cqTail + 1) & (_memory.CqEntries - 1)) == 0;
        return free >= (takesTwo ? atEnd ? 3u : 2u : 1u);
    }

    private void Post(in IoUringCqe cqe)
    {
        _memory.WriteCqe(_cqTail, cqe);
        Volatile.Write(ref _cqTail, _cqTail + 1);
    }

    private void PublishTail()
    {
        _memory.PublishCqTail(_cqTail);
        if (_waiters is not null)
            WakeWaiters();
    }

    private void AddToBacklog(in BigCqe cqe)
    {
        if (_backlogCount == _backlog.Length)
        {
            if (_backlogCount == MaxBacklog)
            {
                _lost = true;
                _memory.PublishOverflow(++_overflow);
                return;
            }
            BigCqe[] larger = new BigCqe[Math.Max(64, _backlog.Length * 2)];
            for (int i = 0; i < _backlogCount; i++)
                larger[i] = _backlog[(_backlogHead + i) & (_backlog.Length - 1)];
            _backlog = larger;
            _backlogHead = 0;
        }
        _backlog[(_backlogHead + _backlogCount++) & (_backlog.Length - 1)] = cqe;
        if (!_backlogged)
        {
            Volatile.Write(ref _backlogged, true);
            _memory.SetSqFlags(SqRingFlags.CQ_OVERFLOW);
        }
    }
}
