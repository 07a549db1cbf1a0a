using Moat.Kernel.FileSystems.Dev;
using Moat.Kernel.Sockets;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_URING_CMD: commands of the file itself. Sockets have some (enum io_uring_socket_op); all else is EOPNOTSUPP.</summary>
internal sealed class UringCmd : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        // The upper half of the place of cmd_op is padding.
        const uint Multishot = IoUringNetConst.IORING_URING_CMD_MULTISHOT;
        if (sqe.off >> 32 != 0 || (sqe.uring_cmd_flags & ~(IoUringNetConst.IORING_URING_CMD_FIXED | Multishot)) != 0)
            return Errno.EINVAL;
        // Provided buffers are for commands that have several results, and these have no other.
        bool selects = (request.Flags & RequestFlags.BufferSelect) != 0, isFixed = (sqe.uring_cmd_flags & IoUringNetConst.IORING_URING_CMD_FIXED) != 0;
        return selects != ((sqe.uring_cmd_flags & Multishot) != 0) || (isFixed && selects) ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        // None of them is completed by polling.
        if ((request.Ring.Setup & IoUringSetup.IOPOLL) != 0)
            return request.Done(Errno.EOPNOTSUPP);
        return request.File switch
        {
            Socket socket when (SocketUringOp)request.Sqe.cmd_op == SocketUringOp.TX_TIMESTAMP => TellStamps(request, socket, flags),
            Socket socket => request.Done(Serve(request, socket)),
            // It takes every command, and does nothing.
            NullFile => request.Done(0),
            _ => request.Done(Errno.EOPNOTSUPP),
        };
    }

    /// <summary>
    /// SOCKET_URING_OP_TX_TIMESTAMP: a large CQE for each time of a send that the queue of errors has, until it is cancelled. What finds no room
    /// stays in that queue until the next one comes.
    /// </summary>
    private static IssueStatus TellStamps(Request request, Socket socket, IssueFlags flags)
    {
        Ring ring = request.Ring;
        if ((ring.Setup & (IoUringSetup.CQE32 | IoUringSetup.CQE_MIXED)) == 0)
            return request.Done(Errno.EINVAL);
        request.Flags |= RequestFlags.Multishot;
        bool mayPost = (request.Flags & RequestFlags.Polled) != 0 && (flags & IssueFlags.Unlocked) == 0;
        while (mayPost && ring.HasRoomForBig() && socket.TryTakeStamp(out SendStamp stamp))
        {
            CqeFlags what = (CqeFlags)(stamp.Kind << IoUringNetConst.IORING_TIMESTAMP_TYPE_SHIFT);
            request.Extra = ((ulong)stamp.Time.Seconds, (ulong)stamp.Time.Nanoseconds);
            ring.PostBig(request, (int)stamp.Key, what | CqeFlags.MORE | (stamp.IsHardware ? CqeFlags.TSTAMP_HW : CqeFlags.None));
        }
        return request.WaitFor(socket, PollEvents.POLLERR);
    }

    private static SysResult Serve(Request request, Socket socket)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        Submitter origin = request.Origin;
        int level = (int)sqe.addr, option = (int)(sqe.addr >> 32);
        switch ((SocketUringOp)sqe.cmd_op)
        {
            case SocketUringOp.SIOCINQ:
                return socket.SupportsQueueCommands ? socket.GetInputQueued() : Errno.EOPNOTSUPP;
            case SocketUringOp.SIOCOUTQ:
                return socket.SupportsQueueCommands ? socket.GetOutputQueued() : Errno.EOPNOTSUPP;
            case SocketUringOp.GETSOCKOPT:
                return level != SocketOption.SOL_SOCKET ? Errno.EOPNOTSUPP
                    : SocketOptionSyscalls.Get(origin.Mm, origin.Caller, socket, level, option, new UserPtr(sqe.optval), (int)sqe.optlen);
            case SocketUringOp.SETSOCKOPT:
                return SocketOptionSyscalls.Set(origin.Mm, origin.Caller, socket, level, option, new UserPtr(sqe.optval), (int)sqe.optlen);
            default:
                return Errno.EOPNOTSUPP;
        }
    }
}
