using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_FADVISE: the length is in sqe.addr, or in sqe.len as it was at first.</summary>
internal sealed class Fadvise : DiskOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        return sqe.buf_index != 0 || sqe.splice_fd_in != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    protected override bool IsQuick(Request request)
    {
        const uint POSIX_FADV_NORMAL = 0, POSIX_FADV_RANDOM = 1, POSIX_FADV_SEQUENTIAL = 2;
        return request.Sqe.fadvise_advice is POSIX_FADV_NORMAL or POSIX_FADV_RANDOM or POSIX_FADV_SEQUENTIAL;
    }

    /// <inheritdoc/>
    protected override bool BreaksChain => true;

    /// <inheritdoc/>
    protected override SysResult Run(Request request, FileDescription file)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        long length = sqe.addr != 0 ? (long)sqe.addr : sqe.len;
        return FileOperations.Advise(file, (long)sqe.off, length, (int)sqe.fadvise_advice);
    }
}

/// <summary>IORING_OP_MADVISE: the length is in sqe.off, or in sqe.len as it was at first. A worker does it.</summary>
internal sealed class Madvise : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        return sqe.buf_index != 0 || sqe.splice_fd_in != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        // Memory is taken from whoever uses it, which may wait for them.
        if ((flags & IssueFlags.NonBlock) != 0)
            return IssueStatus.WouldBlock;
        ref IoUringSqe sqe = ref request.Sqe;
        ulong length = sqe.off != 0 ? sqe.off : sqe.len;
        return request.Return(MemorySyscalls.Advise(request.Origin.Mm, sqe.addr, length, (MemoryAdvice)sqe.fadvise_advice));
    }
}
