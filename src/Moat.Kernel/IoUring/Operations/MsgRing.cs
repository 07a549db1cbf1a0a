using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_MSG_RING: posts a CQE to another ring (sqe.fd), or gives it a registered file.</summary>
internal sealed class MsgRing : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request) => Check(in request.Sqe);

    /// <summary>What is wrong whoever asks.</summary>
    public static Errno Check(in IoUringSqe sqe)
    {
        const uint Known = IoUringConst.IORING_MSG_RING_CQE_SKIP | IoUringConst.IORING_MSG_RING_FLAGS_PASS;
        return sqe.buf_index != 0 || sqe.personality != 0 || (sqe.msg_ring_flags & ~Known) != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        if (request.File is not Ring target)
            return request.Done(Errno.EBADFD);
        uint command = (uint)request.Sqe.addr;
        if (command == IoUringConst.IORING_MSG_DATA)
        {
            return PostData(request.Task, target, in request.Sqe, (flags & IssueFlags.Unlocked) != 0) is { } posted ? request.Done(posted)
                : IssueStatus.WouldBlock;
        }
        return command == IoUringConst.IORING_MSG_SEND_FD ? SendFile(request, target, flags) : request.Done(Errno.EINVAL);
    }

    /// <summary>sqe.len and sqe.off become the target's cqe.res and cqe.user_data; sqe.file_index its flags. EINVAL, EBADFD (disabled); null: not now.</summary>
    public static SysResult? PostData(Task sender, Ring target, in IoUringSqe sqe, bool waits)
    {
        bool pass = (sqe.msg_ring_flags & IoUringConst.IORING_MSG_RING_FLAGS_PASS) != 0;
        if ((uint)sqe.addr3 != 0 || (sqe.msg_ring_flags & ~IoUringConst.IORING_MSG_RING_FLAGS_PASS) != 0 || (!pass && sqe.file_index != 0))
            return (SysResult)Errno.EINVAL;
        if (target.IsDisabled)
            return (SysResult)Errno.EBADFD;
        return target.TryPost(sender, sqe.off, (int)sqe.len, pass ? (CqeFlags)sqe.file_index : CqeFlags.None, waits) ? SysResult.Ok : null;
    }

    private static IssueStatus SendFile(Request request, Ring target, IssueFlags flags)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        Ring ring = request.Ring;
        if (sqe.len != 0 || target == ring)
            return request.Done(Errno.EINVAL);
        if (target.IsDisabled)
            return request.Done(Errno.EBADFD);
        if (request.OtherFile is null)
        {
            if (!ring.TryAssignOther(request, flags, (int)sqe.addr3, isFixed: true))
                return request.Done(Errno.EBADF);
            request.Flags |= RequestFlags.NeedCleanup;
        }
        if (target.LacksOwner)
            return request.Done(Errno.EOWNERDEAD);
        FileDescription file = request.OtherFile!;
        file.AddReference();
        // With one ring's lock held the other's is only tried.
        bool tells = (sqe.msg_ring_flags & IoUringConst.IORING_MSG_RING_CQE_SKIP) == 0, waits = (flags & IssueFlags.Unlocked) != 0;
        if (!target.TryReceive(request.Task, file, in sqe, tells, waits, out SysResult result))
        {
            file.DropReference();
            return IssueStatus.WouldBlock;
        }
        if (result.IsError)
            file.DropReference();
        return request.Done(result);
    }

    /// <inheritdoc/>
    public override void Cleanup(Request request) => request.Ring.DropOther(request);
}

/// <summary>IORING_OP_FIXED_FD_INSTALL: an ordinary descriptor for a registered file.</summary>
internal sealed class FixedFdInstall : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.off != 0 || sqe.addr != 0 || sqe.len != 0 || sqe.buf_index != 0 || sqe.splice_fd_in != 0 || sqe.addr3 != 0)
            return Errno.EINVAL;
        if ((request.Flags & RequestFlags.FixedFile) == 0)
            return Errno.EBADF;
        if ((sqe.install_fd_flags & ~IoUringConst.IORING_FIXED_FD_NO_CLOEXEC) != 0)
            return Errno.EINVAL;
        return request.Origin.HasPersonality ? Errno.EPERM : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        bool closeOnExec = (request.Sqe.install_fd_flags & IoUringConst.IORING_FIXED_FD_NO_CLOEXEC) == 0;
        FileDescription file = request.File!;
        file.AddReference();
        SysResult result = request.Origin.Files.Install(file, closeOnExec);
        if (result.IsError)
            file.DropReference();
        return request.Done(result);
    }
}
