namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_PROVIDE_BUFFERS: sqe.fd buffers of sqe.len bytes from sqe.addr on; ids from sqe.off on.</summary>
internal sealed class ProvideBuffers : Operation
{
    private const int MaxIds = 1 << 16;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.rw_flags != 0 || sqe.splice_fd_in != 0)
            return Errno.EINVAL;
        if (sqe.fd is <= 0 or > MaxIds)
            return Errno.E2BIG;
        if (sqe.len == 0)
            return Errno.EINVAL;
        ulong size = (ulong)sqe.len * (uint)sqe.fd;
        if (sqe.addr > ulong.MaxValue - size)
            return Errno.EOVERFLOW;
        if (!Moat.Kernel.Memory.MemoryManager.IsUserRange(sqe.addr, size))
            return Errno.EFAULT;
        if (sqe.off > ushort.MaxValue)
            return Errno.E2BIG;
        return sqe.off + (uint)sqe.fd > MaxIds ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        return request.Done(request.Ring.ProvideBuffers(sqe.buf_group, sqe.addr, sqe.len, sqe.fd, (ushort)sqe.off));
    }
}

/// <summary>IORING_OP_REMOVE_BUFFERS: sqe.fd buffers.</summary>
internal sealed class RemoveBuffers : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.rw_flags != 0 || sqe.addr != 0 || sqe.len != 0 || sqe.off != 0 || sqe.splice_fd_in != 0)
            return Errno.EINVAL;
        return sqe.fd is <= 0 or > 1 << 16 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
        => request.Done(request.Ring.RemoveBuffers(request.Sqe.buf_group, request.Sqe.fd));
}
