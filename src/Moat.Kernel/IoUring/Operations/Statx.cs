using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_STATX.</summary>
internal sealed class StatxAt : PathOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        Errno e = CheckFields(request, hasOther: false);
        if (e != Errno.OK)
            return e;
        return request.Ring.ReadPath(request, sqe.addr, ((AtFlags)sqe.statx_flags & AtFlags.AT_EMPTY_PATH) != 0);
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        AtFlags at = (AtFlags)sqe.statx_flags;
        Caller caller = request.Origin.Caller;
        // In place only when every component is remembered.
        if ((flags & IssueFlags.NonBlock) != 0 && request.PathLength != 0
            && PathOperations.Walk(in caller, sqe.fd, request.PathText, PathOperations.LookupOf(at), out _, ResolveFlags.RESOLVE_CACHED) == Errno.EAGAIN)
        {
            return IssueStatus.WouldBlock;
        }
        Errno e = PathOperations.Statx(in caller, sqe.fd, request.PathText, at, sqe.len, out Statx statx);
        return request.Return(e == Errno.OK ? request.Origin.Mm.Write(new UserPtr<Statx>(sqe.addr2), in statx) : e);
    }
}
