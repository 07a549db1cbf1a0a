using System.Numerics;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>What TIMEOUT and LINK_TIMEOUT share.</summary>
internal abstract class TimeoutOperation : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        const TimeoutFlags Known = TimeoutFlags.ABS | TimeoutFlags.CLOCK_MASK | TimeoutFlags.ETIME_SUCCESS | TimeoutFlags.MULTISHOT;
        TimeoutFlags flags = (TimeoutFlags)sqe.timeout_flags;
        if (sqe.addr3 != 0 || sqe.pad2 != 0 || sqe.buf_index != 0 || sqe.len != 1 || sqe.splice_fd_in != 0)
            return Errno.EINVAL;
        // sqe.off counts 32 bits of completions.
        sqe.off = (uint)sqe.off;
        if (!AllowsCount && sqe.off != 0)
            return Errno.EINVAL;
        if ((flags & ~Known) != 0 || (flags & TimeoutFlags.CLOCK_MASK) == TimeoutFlags.CLOCK_MASK)
            return Errno.EINVAL;
        if ((flags & (TimeoutFlags.MULTISHOT | TimeoutFlags.ABS)) == (TimeoutFlags.MULTISHOT | TimeoutFlags.ABS))
            return Errno.EINVAL;
        return ReadTime(request, sqe.addr);
    }

    /// <summary>True when sqe.off may ask for a number of completions.</summary>
    protected abstract bool AllowsCount { get; }

    /// <summary>Reads a struct __kernel_timespec into Request.Time, nanoseconds. EFAULT, EINVAL when negative.</summary>
    internal static Errno ReadTime(Request request, ulong address)
    {
        Errno e = request.Origin.Mm.Read(new UserPtr<Timespec>(address), out Timespec ts);
        if (e != Errno.OK)
            return e;
        if (ts.Seconds < 0 || ts.Nanoseconds < 0)
            return Errno.EINVAL;
        request.Time = Ring.ToNanoseconds(ts);
        return Errno.OK;
    }

    /// <inheritdoc/>
    public override bool Disarm(Request request)
    {
        request.Ring.RemoveCounted(request);
        return request.DisarmTimer();
    }
}

/// <summary>
/// IORING_OP_TIMEOUT: completes with ETIME after a time, or with 0 after a number of completions; with
/// IORING_TIMEOUT_MULTISHOT again and again.
/// </summary>
internal sealed class TimeoutOp : TimeoutOperation
{
    /// <inheritdoc/>
    protected override bool AllowsCount => true;

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        Ring ring = request.Ring;
        uint count = (uint)request.Sqe.off;
        bool multishot = ((TimeoutFlags)request.Sqe.timeout_flags & TimeoutFlags.MULTISHOT) != 0;
        request.Target = count;
        if (count != 0 && !multishot)
            ring.AddCounted(request, count);
        ring.ArmTimer(request, request.Time, (TimeoutFlags)request.Sqe.timeout_flags);
        return IssueStatus.Queued;
    }

    /// <inheritdoc/>
    public override void OnWoken(Request request)
    {
        Ring ring = request.Ring;
        TimeoutFlags flags = (TimeoutFlags)request.Sqe.timeout_flags;
        ring.CountTimeout();
        bool again = (flags & TimeoutFlags.MULTISHOT) != 0 && (request.Sqe.off == 0 || --request.Target != 0);
        if (again && ring.PostMore(request, -(int)Errno.ETIME, CqeFlags.MORE))
        {
            ring.ArmTimer(request, request.Time, flags);
            return;
        }
        ring.RemoveCounted(request);
        request.Result = -(int)Errno.ETIME;
        if ((flags & TimeoutFlags.ETIME_SUCCESS) == 0)
            request.SetFail();
        ring.Complete(request);
    }
}

/// <summary>IORING_OP_LINK_TIMEOUT: cancels the request before it in the chain when that takes too long.</summary>
internal sealed class LinkTimeout : TimeoutOperation
{
    /// <inheritdoc/>
    protected override bool AllowsCount => false;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        Errno e = base.Prepare(request);
        return e != Errno.OK ? e : request.Ring.AttachLinkTimeout();
    }

    /// <summary>Never issued as such: the request before it arms it.</summary>
    public override IssueStatus Issue(Request request, IssueFlags flags) => request.Done(Errno.ECANCELED);

    /// <inheritdoc/>
    public override void OnWoken(Request request)
    {
        Ring ring = request.Ring;
        SysResult cancelled = Errno.ENOENT;
        if (request.Partner is { } head)
        {
            head.Partner = null;
            request.Partner = null;
            cancelled = ring.CancelArmed(head);
            // What is only interrupted counts as not found. But a worker that will bring it back to be polled has it only for a moment.
            if (cancelled.Error == Errno.EALREADY)
                cancelled = (head.Op.Flags & (OpFlags.PollIn | OpFlags.PollOut)) != 0 && (head.Flags & RequestFlags.Waits) == 0 ? SysResult.Ok : Errno.ENOENT;
        }
        // To expire is no failure: CQE_SKIP_SUCCESS leaves its CQE out.
        request.Return(cancelled.Value != 0 ? cancelled : Errno.ETIME);
        ring.Complete(request);
    }

    /// <summary>Neither is to be taken back because the request before it is complete.</summary>
    public override void OnFail(Request request)
    {
        if (request.State == RequestState.TimerArmed)
            request.ClearFail();
    }
}

/// <summary>IORING_OP_TIMEOUT_REMOVE: ends a TIMEOUT by its user data, or gives it (or a LINK_TIMEOUT) another time.</summary>
internal sealed class TimeoutRemove : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        TimeoutFlags flags = (TimeoutFlags)sqe.timeout_flags;
        if ((request.Flags & (RequestFlags.FixedFile | RequestFlags.BufferSelect)) != 0)
            return Errno.EINVAL;
        if (sqe.buf_index != 0 || sqe.len != 0 || sqe.splice_fd_in != 0 || sqe.addr3 != 0 || sqe.pad2 != 0)
            return Errno.EINVAL;
        if ((flags & TimeoutFlags.UPDATE_MASK) == 0)
            return flags != TimeoutFlags.None ? Errno.EINVAL : Errno.OK;
        if (BitOperations.PopCount((uint)(flags & TimeoutFlags.CLOCK_MASK)) > 1)
            return Errno.EINVAL;
        if ((flags & ~(TimeoutFlags.UPDATE_MASK | TimeoutFlags.ABS)) != 0)
            return Errno.EINVAL;
        return TimeoutOperation.ReadTime(request, sqe.addr2);
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        Ring ring = request.Ring;
        TimeoutFlags update = (TimeoutFlags)request.Sqe.timeout_flags;
        bool isUpdate = (update & TimeoutFlags.UPDATE) != 0;
        bool ofLink = isUpdate && (update & TimeoutFlags.LINK_TIMEOUT_UPDATE) != 0;
        Request? timeout = ring.FindArmed(request.Sqe.addr, ofLink ? IoUringOp.LINK_TIMEOUT : IoUringOp.TIMEOUT);
        if (timeout is null)
            return request.Done(Errno.ENOENT);
        // Expired, and about to complete as that.
        if (timeout.IsPending)
            return request.Done(Errno.ENOENT);
        if (!isUpdate)
            return request.Done(ring.CancelRequest(timeout));
        if (!timeout.Op.Disarm(timeout))
            return request.Done(Errno.EALREADY);
        TimeoutFlags clock = (TimeoutFlags)timeout.Sqe.timeout_flags & TimeoutFlags.CLOCK_MASK;
        timeout.Time = request.Time;
        // An updated timeout no longer counts completions.
        if (!ofLink)
            timeout.Sqe.off = 0;
        ring.ArmTimer(timeout, request.Time, clock | (update & TimeoutFlags.ABS));
        return request.Done(0);
    }
}
