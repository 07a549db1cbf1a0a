using Moat.Kernel.Events;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_EPOLL_CTL: sqe.len is the operation, sqe.off the descriptor.</summary>
internal sealed class EpollCtl : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.buf_index != 0 || sqe.splice_fd_in != 0)
            return Errno.EINVAL;
        request.Event = default;
        if ((int)sqe.len == EpollSyscalls.EPOLL_CTL_DEL)
            return Errno.OK;
        return request.Origin.Mm.Read(new UserPtr<EpollEvent>(sqe.addr), out request.Event);
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
        => request.Done(EpollSyscalls.Control(request.Origin.Files, request.Sqe.fd, (int)request.Sqe.len, (int)request.Sqe.off, request.Event));
}
