namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_NOP: completes, with a result of the program's choice (IORING_NOP_INJECT_RESULT), at once or as task work (IORING_NOP_TW).</summary>
internal sealed class Nop : Operation
{
    private const NopFlags Known = NopFlags.INJECT_RESULT | NopFlags.FILE | NopFlags.FIXED_FILE | NopFlags.FIXED_BUFFER | NopFlags.TW
        | NopFlags.CQE32;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        NopFlags flags = (NopFlags)request.Sqe.nop_flags;
        if (flags == NopFlags.None)
            return Errno.OK;
        if ((flags & ~Known) != 0)
            return Errno.EINVAL;
        bool large = (request.Ring.Setup & (IoUringSetup.CQE32 | IoUringSetup.CQE_MIXED)) != 0;
        return (flags & NopFlags.CQE32) != 0 && !large ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        NopFlags nop = (NopFlags)request.Sqe.nop_flags;
        if (nop == NopFlags.None)
            return IssueStatus.Done;
        // Not before: what is cancelled with its chain has a small CQE.
        if ((nop & NopFlags.CQE32) != 0)
        {
            request.Flags |= RequestFlags.BigCqe;
            request.Extra = (request.Sqe.off, request.Sqe.addr);
        }
        int result = (nop & NopFlags.INJECT_RESULT) != 0 ? (int)request.Sqe.len : 0;
        if ((nop & NopFlags.FILE) != 0 && !request.Ring.TryAssignFile(request, flags, (nop & NopFlags.FIXED_FILE) != 0))
            result = -(int)Errno.EBADF;
        else if ((nop & NopFlags.FIXED_BUFFER) != 0 && !request.Ring.TryAssignBuffer(request, flags))
            result = -(int)Errno.EFAULT;
        IssueStatus status = request.Done(result);
        if ((nop & NopFlags.TW) == 0 || (flags & IssueFlags.Unlocked) != 0)
            return status;
        request.Ring.MakeReady(request, RequestState.Complete);
        return IssueStatus.Queued;
    }
}
