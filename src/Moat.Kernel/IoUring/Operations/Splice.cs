using Moat.Kernel.Pipes;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>
/// IORING_OP_SPLICE, IORING_OP_TEE: from sqe.splice_fd_in to sqe.fd. Between pipes in place; a worker does what a host file may delay.
/// </summary>
internal sealed class SpliceOp(bool isTee) : Operation
{
    private const ulong MaxCount = FileOperations.MaxCount;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (isTee && (sqe.splice_off_in != 0 || sqe.off != 0))
            return Errno.EINVAL;
        return (sqe.splice_flags & ~(IoUringConst.SPLICE_F_FD_IN_FIXED | SpliceOperations.SPLICE_F_ALL)) != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        FileDescription output = request.File!;
        if (request.OtherFile is null)
        {
            if (!request.Ring.TryAssignOther(request, flags, sqe.splice_fd_in, (sqe.splice_flags & IoUringConst.SPLICE_F_FD_IN_FIXED) != 0))
                return request.Done(Errno.EBADF);
            request.Flags |= RequestFlags.NeedCleanup;
        }
        FileDescription input = request.OtherFile!;
        if ((flags & IssueFlags.NonBlock) != 0 && (input.HostDescriptor >= 0 || output.HostDescriptor >= 0))
            return IssueStatus.WouldBlock;
        if (sqe.len == 0)
            return request.Done(0);
        long length = (long)Math.Min(sqe.len, MaxCount);
        SysResult moved;
        SpliceWait wait;
        if (isTee)
        {
            moved = SpliceOperations.Tee(input, output, length, out wait);
        }
        else
        {
            long? inAt = sqe.splice_off_in == ulong.MaxValue ? null : (long)sqe.splice_off_in;
            long? outAt = sqe.off == ulong.MaxValue ? null : (long)sqe.off;
            moved = SpliceOperations.Splice(input, ref inAt, output, ref outAt, length, out wait);
        }
        bool noWait = (sqe.splice_flags & SpliceOperations.SPLICE_F_NONBLOCK) != 0 || (wait.File?.IsNonBlocking ?? false);
        if (moved.Error == Errno.EAGAIN && wait.File is not null && !noWait)
            return request.WaitFor(wait.File, wait.Events);
        request.Result = (int)moved.Value;
        if (moved.Value != sqe.len)
            request.SetFail();
        return IssueStatus.Done;
    }

    /// <summary>As Linux tells it, to whom it does not mean anything.</summary>
    public override Errno Interrupted => Errno.ERESTARTSYS;

    /// <inheritdoc/>
    public override void Cleanup(Request request) => request.Ring.DropOther(request);
}
