using System.Diagnostics;
using System.Runtime.CompilerServices;
using Moat.Kernel.Tasks;
using Moat.Platform;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring
{
    private uint _sqHead, _dropped;
    private bool _failed;
    private Request[] _pool = new Request[64];
    private int _poolCount;
    private readonly Operation?[] _operations;

    /// <summary>Flags of requests that the sandbox denies.</summary>
    private readonly SqeFlags _deniedFlags;

    /// <summary>Requests that are not in the pool.</summary>
    private int _live;

    /// <summary>The submission half of io_uring_enter(2), the first SQEs from what is gathered. Returns how many were consumed.</summary>
    private uint Submit(Task task, uint toSubmit, GatheredEntries gathered)
    {
        uint count = Math.Min(toSubmit, Math.Min(_memory.SqTail - _sqHead, _memory.SqEntries));
        if (count == 0)
            return 0;
        BeginBatch();
        _submitting = true;
        if (_origin is null || !_origin.IsCurrent(task))
            _origin = new Submitter(task);
        Submitter origin = _origin;
        int liveBefore = _live;
        uint done = 0;
        uint ready = gathered.First == _sqHead ? gathered.Count : 0;
        // The request of an SQE that is served in place serves the next one too.
        Request? spare = null;
        while (done < count)
        {
            Request request = spare ?? Take(origin);
            spare = null;
            uint position = _sqHead;
            Volatile.Write(ref _sqHead, position + 1);
            SqeHead head;
            if (done < ready)
            {
                head = new SqeHead(gathered.Read(done, ref Unsafe.As<IoUringSqe, byte>(ref request.Sqe)));
            }
            else if (!_memory.ReadSqe(position, ref request.Sqe, out head))
            {
                spare = request;
                _memory.PublishDropped(++_dropped);
                break;
            }
            done++;
            Operation? op = head.Opcode < _operations.Length ? _operations[head.Opcode] : null;
            if (op is not null && head.IsPlain && _chainHead is null && !_drainActive && !_drainNext && _submitsPlainly
                && request.Sqe.personality == 0)
            {
                if (TrySubmitPlain(request, op, head))
                {
                    spare = request;
                    if (op.Number == IoUringOp.NOP)
                        done += ServeNops(ref gathered, done, ready, count);
                }
                else if (_failed && !_submitAll)
                    break;
            }
            else if (SubmitOne(request, op) != Errno.OK && !_submitAll)
            {
                break;
            }
        }
        if (spare is not null)
            Put(spare);
        EndChain();
        _submitting = false;
        _memory.PublishSqHead(_sqHead);
        CountLive(_live - liveBefore);
        return done;
    }

    /// <summary>
    /// Prepares and issues a request without flags. True: it is complete, and its object free for the next one. Else
    /// <see cref="_failed"/> says whether the batch has to end.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TrySubmitPlain(Request request, Operation op, SqeHead head)
    {
        if (request.Op != op)
            request.Op = op;
        request.Flags = (RequestFlags)head.Flags;
        _failed = false;
        Errno e = op.Prepare(request);
        if (e != Errno.OK)
        {
            _failed = true;
            SubmitSlowly(request, e);
            return false;
        }
        IssueStatus status = (op.Flags & OpFlags.NeedsFile) != 0 && !AssignFile(request) ? request.Done(Errno.EBADF)
            : op.Issue(request, IssueFlags.NonBlock);
        if (status == IssueStatus.Done && (request.Flags & RequestFlags.SlowOrAsync) == 0)
        {
            AddToBatch(request.Sqe.user_data, request.Result, request.CqeFlags);
            _inlineCounts[(int)op.Number]++;
            _batchInline++;
            DropFiles(request);
            // What it was ready for at once may have armed it.
            request.State = RequestState.Active;
            request.Result = 0;
            request.CqeFlags = CqeFlags.None;
            return true;
        }
        AfterIssue(request, status);
        return false;
    }

    /// <summary>
    /// Serves those of the SQEs from <paramref name="done"/> on that are NOPs and nothing else: they need no request, for nothing of them outlives the
    /// SQE. The first <paramref name="ready"/> are gathered.
    /// </summary>
    private uint ServeNops(ref GatheredEntries gathered, uint done, uint ready, uint count)
        => CountNops(done < ready
            ? _memory.CompleteNops(ref gathered, done, _cqTail + _pending, Math.Min(Math.Min(ready, count) - done, _room))
            : _memory.CompleteNops(_sqHead, _cqTail + _pending, Math.Min(count - done, _room)));

    private uint CountNops(uint served)
    {
        Volatile.Write(ref _sqHead, _sqHead + served);
        _pending += served;
        _room -= served;
        _inlineCounts[(int)IoUringOp.NOP] += served;
        _batchInline += (int)served;
        return served;
    }

    /// <summary>Prepares a request and issues it, or puts it where it waits. An error ends the batch.</summary>
    private Errno SubmitOne(Request request, Operation? op)
    {
        if (_trace is not null)
            TraceSubmit(request);
        Errno e = Prepare(request, op);
        if (e == Errno.OK && _chainHead is null && (request.Flags & (RequestFlags.AnyLink | RequestFlags.ForceAsync)) == 0)
        {
            IssueNow(request);
            return Errno.OK;
        }
        return SubmitSlowly(request, e);
    }

    private Errno Prepare(Request request, Operation? op)
    {
        request.Flags = (RequestFlags)request.Sqe.flags;
        request.Op = op ?? _operations[0]!;
        if (op is null)
            return Errno.EINVAL;
        Errno e = PrepareFlags(request, op);
        if (e != Errno.OK)
            return e;
        if (request.Sqe.ioprio != 0 && (op.Flags & OpFlags.IoPrio) == 0)
            return Errno.EINVAL;
        if ((Setup & IoUringSetup.IOPOLL) != 0 && (op.Flags & OpFlags.IoPoll) == 0)
            return Errno.EINVAL;
        if (request.Sqe.personality != 0)
        {
            e = UsePersonality(request);
            if (e != Errno.OK)
                return e;
        }
        return op.Prepare(request);
    }

    private Errno PrepareFlags(Request request, Operation op)
    {
        SqeFlags flags = (SqeFlags)request.Sqe.flags;
        const SqeFlags Known = SqeFlags.FIXED_FILE | SqeFlags.IO_DRAIN | SqeFlags.IO_LINK | SqeFlags.IO_HARDLINK
            | SqeFlags.ASYNC | SqeFlags.BUFFER_SELECT | SqeFlags.CQE_SKIP_SUCCESS;
        if ((flags & ~Known) != 0)
        {
            request.Flags &= (RequestFlags)Known;
            return Errno.EINVAL;
        }
        if ((flags & SqeFlags.BUFFER_SELECT) != 0 && (op.Flags & OpFlags.BufferSelect) == 0)
            return Errno.EOPNOTSUPP;
        // Without a CQE for each request a drain could not be told apart from what it waits for.
        if ((flags & SqeFlags.CQE_SKIP_SUCCESS) != 0)
            _drainDisabled = true;
        if ((flags & SqeFlags.IO_DRAIN) != 0)
        {
            if (_drainDisabled)
                return Errno.EOPNOTSUPP;
            BeginDrain();
        }
        if ((flags & _deniedFlags) != 0 || (_isRestricted && IsForbidden(in request.Sqe)))
            return Errno.EACCES;
        if (_drainActive)
            request.Flags |= RequestFlags.ForceAsync;
        if (_drainNext && _chainHead is null)
        {
            _drainNext = false;
            _drainActive = true;
            request.Flags |= RequestFlags.Drain | RequestFlags.ForceAsync;
        }
        return Errno.OK;
    }

    /// <summary>Attempts a request in place; what it answers decides where it goes.</summary>
    private void IssueNow(Request request)
    {
        request.State = RequestState.Active;
        Operation op = request.Op;
        IssueStatus status;
        if ((op.Flags & OpFlags.NeedsFile) != 0 && request.File is null && !AssignFile(request))
            status = request.Done(Errno.EBADF);
        else
            status = op.Issue(request, IssueFlags.NonBlock);

        AfterIssue(request, status);
    }

    private void AfterIssue(Request request, IssueStatus status)
    {
        if (status == IssueStatus.Done)
        {
            if (IsFoundByPolling(request))
                AddFinished(request);
            else
                Complete(request);
            return;
        }
        if (status == IssueStatus.Queued)
            LeaveWorker(request);
        else
            GoAsync(request, status);
    }

    // Taken from the end and put back there; a reference stays in its place while the request is out, so that taking and
    // putting back the same one stores nothing (the collector's write barrier costs more than all the rest of it).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Request Take(Submitter origin)
    {
        Request request = _poolCount > 0 ? _pool[--_poolCount] : new Request(this);
        if (request.Origin != origin)
            request.Origin = origin;
        request.State = RequestState.Active;
        request.CqeFlags = CqeFlags.None;
        request.Result = 0;
        request.Retries = 0;
        _live++;
        return request;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Put(Request request)
    {
        Debug.Assert(request.State != RequestState.Free, "completed once");
        Debug.Assert((request.Flags & RequestFlags.Hashed) == 0, "out of the cancel table");
        Debug.Assert(request.Group is null, "no buffer is picked");
        Debug.Assert(!request.IsReady && !request.IsPending && !request.WorkQueued && !request.IsCounted, "in no list");
        request.State = RequestState.Free;
        _live--;
        if (_poolCount == _pool.Length)
            Array.Resize(ref _pool, _poolCount * 2);
        ref Request place = ref _pool[_poolCount++];
        if (place != request)
            place = request;
    }
}
