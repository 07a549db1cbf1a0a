using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_ASYNC_CANCEL: cancels requests by user data, file, opcode, or all of them.</summary>
internal sealed class AsyncCancel : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        CancelFlags flags = (CancelFlags)sqe.cancel_flags;
        if ((request.Flags & RequestFlags.BufferSelect) != 0 || sqe.off != 0 || sqe.splice_fd_in != 0 || (flags & ~Ring.KnownCancel) != 0)
            return Errno.EINVAL;
        return (flags & CancelFlags.ANY) != 0 && (flags & (CancelFlags.FD | CancelFlags.OP)) != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        CancelFlags how = (CancelFlags)request.Sqe.cancel_flags;
        CancelMatch match = new()
        {
            Flags = how,
            UserData = request.Sqe.addr,
            Opcode = (byte)request.Sqe.len,
        };
        if ((how & CancelFlags.FD) == 0)
            return request.Done(request.Ring.Cancel(match));
        bool isFixed = (request.Flags & RequestFlags.FixedFile) != 0 || (how & CancelFlags.FD_FIXED) != 0;
        FileDescription? file = isFixed ? request.Ring.GetFixedFile(request.Sqe.fd) : Ring.GetFile(request.Origin.Files, request.Sqe.fd);
        if (file is null)
            return request.Done(Errno.EBADF);
        match.File = file;
        SysResult result = request.Ring.Cancel(match);
        file.DropReference();
        return request.Done(result);
    }
}
