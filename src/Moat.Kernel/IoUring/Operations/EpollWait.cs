using System.Buffers;
using Moat.Kernel.Events;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_EPOLL_WAIT: sqe.len events to sqe.addr, once there are some.</summary>
internal sealed class EpollWait : Operation
{
    private const int EventSize = 12;

    /// <summary>Events that one request brings out at most.</summary>
    private const int MostEvents = 4096;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        return sqe.off != 0 || sqe.rw_flags != 0 || sqe.buf_index != 0 || sqe.splice_fd_in != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <summary>It is polled for, never waited in.</summary>
    public override bool MayWait(Request request) => false;

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        UserPtr<EpollEvent> address = new(request.Sqe.addr);
        int most = (int)request.Sqe.len;
        Errno e = EpollSyscalls.CheckWait(request.File!, address, most);
        if (e != Errno.OK)
            return request.Done(e);
        Epoll epoll = (Epoll)request.File!;
        int room = Math.Min(Math.Min(most, MostEvents), epoll.ReadyCount + epoll.HostCount);
        if (room == 0)
            return IssueStatus.WouldBlock;
        byte[] bytes = ArrayPool<byte>.Shared.Rent(room * EventSize);
        SysResult count = EpollSyscalls.TryWait(request.Origin.Mm, epoll, address, bytes.AsSpan(0, room * EventSize));
        ArrayPool<byte>.Shared.Return(bytes);
        return count.Value == 0 ? IssueStatus.WouldBlock : request.Done(count);
    }
}
