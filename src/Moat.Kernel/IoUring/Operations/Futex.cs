using System.Diagnostics;
using Moat.Kernel.Futex;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>A request's wait for a futex word.</summary>
internal sealed class RequestFutexWaiter(Request request, int index) : FutexWaiter
{
    /// <summary>Of those of one request, the first that is woken tells which word it was.</summary>
    protected internal override void OnWoken()
    {
        Interlocked.CompareExchange(ref request.FirstWoken, index, -1);
        request.Ring.QueueWork(request, WorkSource.Callback);
    }
}

/// <summary>What waiting for one word and for several share: waiters in the table of futexes.</summary>
internal abstract class FutexWaitOperation : Operation
{
    /// <summary>The waiters of a request, as many as it has words; kept in Request.Data.</summary>
    protected static RequestFutexWaiter[] WaitersOf(Request request, int count)
    {
        RequestFutexWaiter[] waiters = request.Data as RequestFutexWaiter[] ?? [];
        int have = waiters.Length;
        if (have < count)
        {
            Array.Resize(ref waiters, count);
            for (int i = have; i < count; i++)
                waiters[i] = new RequestFutexWaiter(request, i);
            request.Data = waiters;
        }
        Volatile.Write(ref request.FirstWoken, -1);
        return waiters;
    }

    /// <summary>How many of the waiters are in use.</summary>
    protected abstract int CountOf(Request request);

    /// <summary>
    /// Queues a waiter for each word; the request is armed before. An error, or the index of a word that was woken meanwhile, ends it: then
    /// none is queued any more.
    /// </summary>
    protected SysResult? Enqueue(Request request, int index, ulong address, uint flags, uint value, uint mask)
    {
        FutexTable table = request.Task.Sentry.Futexes;
        RequestFutexWaiter[] waiters = (RequestFutexWaiter[])request.Data!;
        bool isPrivate = (flags & FutexSyscalls.FUTEX2_PRIVATE) != 0;
        Errno e = table.Enqueue(request.Origin.Mm, new UserPtr(address), isPrivate, value, mask, waiters[index]);
        if (e == Errno.OK)
            return null;
        int woken = CancelAll(request, index);
        return woken >= 0 ? woken : e;
    }

    /// <inheritdoc/>
    public sealed override bool Disarm(Request request)
    {
        // Who was woken has used up a wake-up: that counts more than to be cancelled.
        if (CancelAll(request, CountOf(request)) >= 0)
            request.Flags &= ~RequestFlags.Canceled;
        return true;
    }

    /// <inheritdoc/>
    public sealed override void OnWoken(Request request)
    {
        int woken = CancelAll(request, CountOf(request));
        Debug.Assert(woken >= 0, "only a wake-up leads here");
        request.Ring.Unhash(request);
        request.Done(Volatile.Read(ref request.FirstWoken));
        request.Ring.Complete(request);
    }

    /// <summary>A wait that was taken back has not failed.</summary>
    public sealed override void OnFail(Request request)
    {
        if (request.State == RequestState.PollArmed)
            request.ClearFail();
    }

    private static int CancelAll(Request request, int count)
    {
        FutexTable table = request.Task.Sentry.Futexes;
        RequestFutexWaiter[] waiters = (RequestFutexWaiter[])request.Data!;
        int woken = -1;
        for (int i = 0; i < count; i++)
        {
            if (!table.CancelAndSettle(waiters[i]))
                woken = i;
        }
        return woken;
    }
}

/// <summary>IORING_OP_FUTEX_WAIT: sqe.addr has to be sqe.addr2; sqe.addr3 is the mask, sqe.fd the FUTEX2_ flags.</summary>
internal sealed class FutexWait : FutexWaitOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request) => Check(request);

    /// <summary>What FUTEX_WAIT and FUTEX_WAKE check alike. Both end with the task, and with them the chains that they are in.</summary>
    public static Errno Check(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.len != 0 || sqe.futex_flags != 0 || sqe.buf_index != 0 || sqe.file_index != 0)
            return Errno.EINVAL;
        Errno e = FutexSyscalls.CheckFlags((uint)sqe.fd, sqe.addr2);
        if (e == Errno.OK)
            e = FutexSyscalls.CheckFlags((uint)sqe.fd, sqe.addr3);
        if (e == Errno.OK)
            request.Flags |= RequestFlags.Inflight;
        return e;
    }

    /// <inheritdoc/>
    protected override int CountOf(Request request) => 1;

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.addr3 == 0)
            return request.Done(Errno.EINVAL);
        Errno e = FutexSyscalls.ResolveNode(request.Origin.Mm, (uint)sqe.fd, sqe.addr);
        if (e != Errno.OK)
            return request.Done(e);
        WaitersOf(request, 1);
        request.Ring.Hash(request, RequestState.PollArmed);
        if (Enqueue(request, 0, sqe.addr, (uint)sqe.fd, (uint)sqe.addr2, (uint)sqe.addr3) is not { } ended)
            return IssueStatus.Queued;
        request.Ring.Unhash(request);
        return request.Done(ended);
    }
}

/// <summary>IORING_OP_FUTEX_WAKE: wakes at most sqe.addr2 waiters of sqe.addr.</summary>
internal sealed class FutexWake : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request) => FutexWait.Check(request);

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.addr3 == 0)
            return request.Done(Errno.EINVAL);
        Errno e = FutexSyscalls.ResolveNode(request.Origin.Mm, (uint)sqe.fd, sqe.addr);
        if (e != Errno.OK)
            return request.Done(e);
        bool isPrivate = ((uint)sqe.fd & FutexSyscalls.FUTEX2_PRIVATE) != 0;
        int count = (int)sqe.addr2;
        return request.Done(count == 0 ? FutexTable.Check(request.Origin.Mm, new UserPtr(sqe.addr), isPrivate)
            : request.Task.Sentry.Futexes.Wake(request.Origin.Mm, new UserPtr(sqe.addr), isPrivate, count, (uint)sqe.addr3));
    }
}

/// <summary>IORING_OP_FUTEX_WAITV: any of sqe.len words (struct futex_waitv at sqe.addr). The result is the index of one that was woken.</summary>
internal sealed class FutexWaitVector : FutexWaitOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.fd != 0 || sqe.buf_index != 0 || sqe.file_index != 0 || sqe.addr2 != 0 || sqe.futex_flags != 0 || sqe.addr3 != 0)
            return Errno.EINVAL;
        if (sqe.len is 0 or > FutexSyscalls.FUTEX_WAITV_MAX)
            return Errno.EINVAL;
        if (request.Vectors.Length < sqe.len * 2)
            request.Vectors = new IoVec[sqe.len * 2];
        for (uint i = 0; i < sqe.len; i++)
        {
            Errno e = FutexSyscalls.ReadWaiter(request.Origin.Mm, new UserPtr<FutexWaitV>(sqe.addr), i, out FutexWaitV word);
            if (e != Errno.OK)
                return e;
            // The copies live where others keep their struct iovec.
            request.Vectors[i * 2] = new IoVec { Base = word.Address, Length = word.Value };
            request.Vectors[(i * 2) + 1] = new IoVec { Base = word.Flags };
        }
        request.Flags |= RequestFlags.Inflight;
        return Errno.OK;
    }

    /// <inheritdoc/>
    protected override int CountOf(Request request) => (int)request.Sqe.len;

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        int count = CountOf(request);
        for (int i = 0; i < count; i++)
        {
            Errno e = FutexSyscalls.ResolveNode(request.Origin.Mm, (uint)request.Vectors[(i * 2) + 1].Base, request.Vectors[i * 2].Base);
            if (e != Errno.OK)
                return request.Done(e);
        }
        WaitersOf(request, count);
        request.Ring.Hash(request, RequestState.PollArmed);
        for (int i = 0; i < count; i++)
        {
            IoVec word = request.Vectors[i * 2];
            uint how = (uint)request.Vectors[(i * 2) + 1].Base;
            if (Enqueue(request, i, word.Base, how, (uint)word.Length, FutexTable.AnyBitset) is not { } ended)
                continue;
            // A wake-up may have queued it already; then it completes from there.
            if (request.IsPending)
            {
                request.Result = (int)ended.Value;
                request.State = RequestState.Complete;
                return IssueStatus.Queued;
            }
            request.Ring.Unhash(request);
            return request.Done(ended);
        }
        return IssueStatus.Queued;
    }
}
