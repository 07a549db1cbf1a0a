using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_OPENAT, IORING_OP_OPENAT2: opens into the descriptor table, or (sqe.file_index) into the registered files.</summary>
internal sealed class OpenAt(bool withHow) : PathOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (withHow)
        {
            const uint OPEN_HOW_SIZE_VER0 = 24;
            if (sqe.len < OPEN_HOW_SIZE_VER0)
                return Errno.EINVAL;
            if (sqe.len > 4096)
                return Errno.E2BIG;
            Errno error = StructArgument.Read(request.Origin.Mm, new UserPtr(sqe.addr2), sqe.len, out request.How);
            if (error != Errno.OK)
                return error;
        }
        else
        {
            request.How = PathOperations.HowFor((OpenFlags)sqe.open_flags, sqe.len);
        }
        if (sqe.buf_index != 0)
            return Errno.EINVAL;
        if ((request.Flags & RequestFlags.FixedFile) != 0)
            return Errno.EBADF;
        Errno e = request.Ring.ReadPath(request, sqe.addr);
        if (e != Errno.OK)
            return e;
        return sqe.file_index != 0 && (request.How.Flags & (ulong)OpenFlags.O_CLOEXEC) != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        if (request.OtherFile is null)
        {
            OpenHow how = request.How;
            bool nonBlock = (flags & IssueFlags.NonBlock) != 0, cachedOnly = (how.Resolve & (ulong)ResolveFlags.RESOLVE_CACHED) != 0;
            // In place only what needs no look at a disk, nor waits (a FIFO is not waited for at all then).
            bool waits = nonBlock && (how.Flags & (ulong)(OpenFlags.O_NONBLOCK | OpenFlags.O_PATH)) == 0;
            if (nonBlock)
                how.Resolve |= (ulong)ResolveFlags.RESOLVE_CACHED;
            if (waits)
                how.Flags |= (ulong)OpenFlags.O_NONBLOCK;
            Errno e = PathOperations.Open(
                request.Origin.Caller, request.Sqe.fd, request.PathText, in how, out request.OtherFile, forTable: request.Sqe.file_index == 0);
            if (e == Errno.EAGAIN && nonBlock && !cachedOnly)
                return IssueStatus.WouldBlock;
            if (e != Errno.OK)
                return request.Done(e);
            if (waits)
                request.OtherFile!.SetFlags(request.OtherFile.Flags & ~OpenFlags.O_NONBLOCK);
        }
        FileDescription file = request.OtherFile!;
        Errno finished = file.FinishOpen();
        if (finished == Errno.EAGAIN)
            return request.WaitFor(file, PollEvents.POLLIN | PollEvents.POLLOUT);
        if (finished != Errno.OK)
            return request.Done(finished);
        uint slot = request.Sqe.file_index;
        SysResult result = slot != 0 ? request.Ring.InstallFile(file, slot, flags)
            : request.Origin.Files.Install(file, (request.How.Flags & (ulong)OpenFlags.O_CLOEXEC) != 0);
        // Installed, it belongs to the table; else the cleanup drops it.
        if (!result.IsError)
            request.OtherFile = null;
        return request.Done(result);
    }

    /// <summary>The other end of a FIFO may come, which nobody can read or write yet, before the wait for it begins.</summary>
    public override bool IsReady(Request request) => request.OtherFile is { } file && file.FinishOpen() == Errno.OK;

    /// <inheritdoc/>
    public override Errno Interrupted => Errno.ERESTARTSYS;

    /// <inheritdoc/>
    public override void Cleanup(Request request)
    {
        request.Ring.DropOther(request);
        base.Cleanup(request);
    }
}

/// <summary>IORING_OP_CLOSE: closes a descriptor, or (sqe.file_index) a registered file.</summary>
internal sealed class Close : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.off != 0 || sqe.addr != 0 || sqe.len != 0 || sqe.rw_flags != 0 || sqe.buf_index != 0)
            return Errno.EINVAL;
        if ((request.Flags & RequestFlags.FixedFile) != 0)
            return Errno.EBADF;
        return sqe.file_index != 0 && sqe.fd != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        if (request.Sqe.file_index != 0)
            return request.Done(request.Ring.CloseFixed(request.Sqe.file_index - 1));
        FdTable files = request.Origin.Files;
        FileDescription? file = files.Get(request.Sqe.fd);
        // A ring is not closed this way: it could be the one that this request is in.
        bool isRing = file is Ring;
        file?.DropReference();
        return request.Done(file is null || isRing ? Errno.EBADF : files.Close(request.Sqe.fd));
    }
}
