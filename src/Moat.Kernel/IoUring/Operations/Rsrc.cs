namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_FILES_UPDATE: replaces registered files, or puts files where there is room.</summary>
internal sealed class FilesUpdate : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if ((request.Flags & (RequestFlags.FixedFile | RequestFlags.BufferSelect)) != 0)
            return Errno.EINVAL;
        return sqe.rw_flags != 0 || sqe.splice_fd_in != 0 || sqe.len == 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        Submitter origin = request.Origin;
        uint offset = (uint)sqe.off;
        return request.Done(offset == IoUringConst.IORING_FILE_INDEX_ALLOC
            ? request.Ring.InstallFiles(origin.Mm, origin.Files, sqe.addr, sqe.len)
            : request.Ring.UpdateFiles(origin.Mm, origin.Files, offset, sqe.addr, 0, sqe.len));
    }
}
