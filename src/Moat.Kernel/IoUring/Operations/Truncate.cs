using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_FTRUNCATE: the length is in sqe.off. A worker does it.</summary>
internal sealed class Ftruncate : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        return sqe.rw_flags != 0 || sqe.addr != 0 || sqe.len != 0 || sqe.buf_index != 0 || sqe.splice_fd_in != 0 || sqe.addr3 != 0
            ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        if ((flags & IssueFlags.NonBlock) != 0)
            return IssueStatus.WouldBlock;
        long length = (long)request.Sqe.off;
        Errno e = length < 0 ? Errno.EINVAL : FileOperations.LimitSize(request.Task, request.File!, length, signals: false);
        return request.Return(e != Errno.OK ? e : FileOperations.Truncate(request.File!, length));
    }
}
