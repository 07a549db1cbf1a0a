using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>An operation on a file that waits for a disk when the file is the host's, and ends at once when it is in memory.</summary>
internal abstract class DiskOperation : Operation
{
    /// <summary>Does it; may wait.</summary>
    protected abstract SysResult Run(Request request, FileDescription file);

    /// <summary>True when even a host file does not make it wait.</summary>
    protected virtual bool IsQuick(Request request) => false;

    /// <summary>True when an error cancels what is linked behind it.</summary>
    protected virtual bool BreaksChain => false;

    /// <inheritdoc/>
    public sealed override IssueStatus Issue(Request request, IssueFlags flags)
    {
        FileDescription file = request.File!;
        if ((flags & IssueFlags.NonBlock) != 0 && file.HostDescriptor >= 0 && !IsQuick(request))
            return IssueStatus.WouldBlock;
        SysResult result = Run(request, file);
        return BreaksChain ? request.Done(result) : request.Return(result);
    }
}

/// <summary>IORING_OP_FSYNC. The whole file is synchronized whatever range is asked for.</summary>
internal sealed class Fsync : DiskOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.addr != 0 || sqe.buf_index != 0 || sqe.splice_fd_in != 0 || (long)sqe.off < 0)
            return Errno.EINVAL;
        return (sqe.fsync_flags & ~(uint)IoUringConst.IORING_FSYNC_DATASYNC) != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    protected override SysResult Run(Request request, FileDescription file)
        => FileOperations.Sync(file, (request.Sqe.fsync_flags & IoUringConst.IORING_FSYNC_DATASYNC) != 0);
}

/// <summary>IORING_OP_SYNC_FILE_RANGE.</summary>
internal sealed class SyncFileRange : DiskOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        return sqe.addr != 0 || sqe.buf_index != 0 || sqe.splice_fd_in != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    protected override SysResult Run(Request request, FileDescription file)
        => FileOperations.SyncRange(file, (long)request.Sqe.off, request.Sqe.len, request.Sqe.sync_range_flags);
}

/// <summary>IORING_OP_FALLOCATE: sqe.addr is the length, sqe.len the mode.</summary>
internal sealed class Fallocate : DiskOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        return sqe.buf_index != 0 || sqe.rw_flags != 0 || sqe.splice_fd_in != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    protected override SysResult Run(Request request, FileDescription file)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        FallocFlags mode = (FallocFlags)sqe.len;
        Errno e = FileOperations.LimitAllocation(request.Task, file, mode, (long)sqe.off, (long)sqe.addr, signals: false);
        return e != Errno.OK ? e : FileOperations.Allocate(file, mode, (long)sqe.off, (long)sqe.addr);
    }
}
