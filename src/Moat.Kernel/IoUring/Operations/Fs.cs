using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>An operation on one or two paths, copied when the request is prepared.</summary>
internal abstract class PathOperation : Operation
{
    /// <inheritdoc/>
    public override void Cleanup(Request request) => request.Ring.DropPaths(request);

    /// <summary>EINVAL when a field is set that no path operation has, or one that this one has not; EBADF: IOSQE_FIXED_FILE.</summary>
    protected static Errno CheckFields(Request request, bool hasOther)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (hasOther || sqe.buf_index != 0 || sqe.splice_fd_in != 0)
            return Errno.EINVAL;
        return (request.Flags & RequestFlags.FixedFile) != 0 ? Errno.EBADF : Errno.OK;
    }
}

/// <summary>An operation that changes names: may look at disks and copy files up, so a worker does it.</summary>
internal abstract class NameOperation : PathOperation
{
    /// <summary>Does it.</summary>
    protected abstract Errno Change(Request request, in Caller caller);

    /// <inheritdoc/>
    public sealed override IssueStatus Issue(Request request, IssueFlags flags)
        => (flags & IssueFlags.NonBlock) != 0 ? IssueStatus.WouldBlock : request.Return(Change(request, request.Origin.Caller));
}

/// <summary>IORING_OP_RENAMEAT.</summary>
internal sealed class RenameAt : NameOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        Errno e = CheckFields(request, hasOther: false);
        if (e != Errno.OK)
            return e;
        e = request.Ring.ReadPath(request, sqe.addr);
        return e != Errno.OK ? e : request.Ring.ReadSecondPath(request, sqe.addr2);
    }

    /// <inheritdoc/>
    protected override Errno Change(Request request, in Caller caller)
        => PathOperations.Rename(in caller, request.Sqe.fd, request.PathText, (int)request.Sqe.len, request.SecondPathText,
            (RenameFlags)request.Sqe.rename_flags);
}

/// <summary>IORING_OP_UNLINKAT.</summary>
internal sealed class UnlinkAt : NameOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        Errno e = CheckFields(request, hasOther: sqe.off != 0 || sqe.len != 0);
        if (e != Errno.OK)
            return e;
        return ((AtFlags)sqe.unlink_flags & ~AtFlags.AT_REMOVEDIR) != 0 ? Errno.EINVAL : request.Ring.ReadPath(request, sqe.addr);
    }

    /// <inheritdoc/>
    protected override Errno Change(Request request, in Caller caller)
        => PathOperations.Unlink(in caller, request.Sqe.fd, request.PathText, (AtFlags)request.Sqe.unlink_flags);
}

/// <summary>IORING_OP_MKDIRAT.</summary>
internal sealed class MkdirAt : NameOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        Errno e = CheckFields(request, hasOther: sqe.off != 0 || sqe.rw_flags != 0);
        return e != Errno.OK ? e : request.Ring.ReadPath(request, sqe.addr);
    }

    /// <inheritdoc/>
    protected override Errno Change(Request request, in Caller caller)
        => PathOperations.MakeDirectory(in caller, request.Sqe.fd, request.PathText, request.Sqe.len);
}

/// <summary>IORING_OP_SYMLINKAT.</summary>
internal sealed class SymlinkAt : NameOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        Errno e = CheckFields(request, hasOther: sqe.len != 0 || sqe.rw_flags != 0);
        if (e != Errno.OK)
            return e;
        e = request.Ring.ReadPath(request, sqe.addr);
        return e != Errno.OK ? e : request.Ring.ReadSecondPath(request, sqe.addr2);
    }

    /// <inheritdoc/>
    protected override Errno Change(Request request, in Caller caller)
        => PathOperations.MakeLink(in caller, request.PathText, request.Sqe.fd, request.SecondPathText);
}

/// <summary>IORING_OP_LINKAT.</summary>
internal sealed class LinkAt : NameOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        Errno e = CheckFields(request, hasOther: false);
        if (e != Errno.OK)
            return e;
        e = request.Ring.ReadPath(request, sqe.addr, ((AtFlags)sqe.hardlink_flags & AtFlags.AT_EMPTY_PATH) != 0);
        return e != Errno.OK ? e : request.Ring.ReadSecondPath(request, sqe.addr2);
    }

    /// <inheritdoc/>
    protected override Errno Change(Request request, in Caller caller)
        => PathOperations.Link(in caller, request.Sqe.fd, request.PathText, (int)request.Sqe.len, request.SecondPathText,
            (AtFlags)request.Sqe.hardlink_flags);
}
