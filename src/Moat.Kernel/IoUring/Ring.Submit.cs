using System.Runtime.CompilerServices;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring
{
    private uint _sqHead, _dropped, _sequence;
    private Request? _free;

    /// <summary>Requests that are not in the free list.</summary>
    private int _live;

    /// <summary>The submission half of io_uring_enter(2). Returns how many SQEs were consumed.</summary>
    private uint Submit(Task task, uint toSubmit)
    {
        uint count = Math.Min(toSubmit, Math.Min(_memory.SqTail - _sqHead, _memory.SqEntries));
        if (count == 0)
            return 0;
        long now = HostClock.Now;
        _batchStarted = now;
        _submitting = true;
        if (_origin is null || !_origin.IsCurrent(task))
            _origin = new Submitter(task);
        Submitter origin = _origin;
        int liveBefore = _live;
        uint done = 0;
        while (done < count)
        {
            Request request = Take(origin, now);
            uint position = _sqHead;
            Volatile.Write(ref _sqHead, position + 1);
            if (!_memory.ReadSqe(position, ref request.Sqe))
            {
                Put(request);
                _memory.PublishDropped(++_dropped);
                break;
            }
            done++;
            if (SubmitOne(request) != Errno.OK && !_submitAll)
                break;
        }
        EndChain();
        _submitting = false;
        _memory.PublishSqHead(_sqHead);
        CountLive(_live - liveBefore);
        return done;
    }

    /// <summary>Prepares a request and issues it, or puts it where it waits. An error ends the batch.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Errno SubmitOne(Request request)
    {
        if (_trace is not null)
            TraceSubmit(request);
        Errno e = Prepare(request);
        if (e == Errno.OK && _chainHead is null && (request.Flags & (RequestFlags.AnyLink | RequestFlags.ForceAsync)) == 0)
        {
            IssueNow(request);
            return Errno.OK;
        }
        return SubmitSlowly(request, e);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Errno Prepare(Request request)
    {
        byte opcode = request.Sqe.opcode;
        Operation? op = opcode < OperationTable.Count ? OperationTable.Operations[opcode] : null;
        request.Flags = (RequestFlags)request.Sqe.flags;
        if (op is null)
        {
            request.Op = OperationTable.Operations[0]!;
            return Errno.EINVAL;
        }
        request.Op = op;
        if (request.Sqe.flags != 0 || _drainActive || _drainNext)
        {
            Errno e = PrepareFlags(request, op);
            if (e != Errno.OK)
                return e;
        }
        if (request.Sqe.ioprio != 0 && (op.Flags & OpFlags.IoPrio) == 0)
            return Errno.EINVAL;
        if (request.Sqe.personality != 0)
            return Errno.EINVAL;
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

        if (status == IssueStatus.Done)
        {
            Complete(request);
            return;
        }
        // Armed after the attempt, so that a request that finishes in place never starts the timer.
        if ((request.Flags & RequestFlags.ArmLinkTimeout) != 0)
            ArmLinkTimeout(request);
        if (status != IssueStatus.Queued)
            GoAsync(request, status);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Request Take(Submitter origin, long now)
    {
        Request? request = _free;
        if (request is null)
            request = new Request(this);
        else
            _free = request.Next;
        request.Next = null;
        // Mostly the same as before: comparing is cheaper than the collector's write barrier.
        if (request.Origin != origin)
            request.Origin = origin;
        request.Started = now;
        request.State = RequestState.Active;
        request.Sequence = _sequence++;
        request.CqeFlags = CqeFlags.None;
        request.Retries = 0;
        request.Result = 0;
        _live++;
        return request;
    }

    private void Put(Request request)
    {
        request.State = RequestState.Free;
        request.Next = _free;
        _free = request;
        _live--;
    }
}
