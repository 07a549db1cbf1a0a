using Moat.Kernel.Memory;
using Moat.Kernel.Sockets;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>Operations on a socket: what is none is ENOTSOCK.</summary>
internal abstract class NetOperation : Operation
{
    [ThreadStatic]
    private static IoVector? s_vector;

    /// <inheritdoc/>
    public sealed override IssueStatus Issue(Request request, IssueFlags flags)
    {
        if (request.File is not Socket socket)
            return IssueOther(request, flags);
        IssueStatus status = Issue(request, socket, flags);
        // What was moved is told: the message is for the next request.
        if (status == IssueStatus.Done && request.Message is { } message)
        {
            message.Done = 0;
            if ((flags & IssueFlags.Unlocked) == 0)
                request.Ring.KeepMessage(request);
        }
        return status;
    }

    /// <summary>What is no socket is refused, by some operations only after it has been polled; what cannot be polled is a worker's, which refuses that.</summary>
    private IssueStatus IssueOther(Request request, IssueFlags flags)
    {
        bool isPolled = request.File!.Waiters is not null;
        if (!isPolled && (flags & IssueFlags.Unlocked) != 0 && (request.Flags & RequestFlags.Multishot) != 0)
            return request.Done(Errno.EBADFD);
        if (!PollsUnseen(request))
            return request.Done(RefusesUnseen(request, flags, Errno.ENOTSOCK));
        return isPolled || (flags & IssueFlags.Unlocked) == 0 ? IssueStatus.WouldBlock : request.Done(Errno.EAGAIN);
    }

    /// <summary>It is to be polled for before anybody has looked at what its file is.</summary>
    protected virtual bool PollsUnseen(Request request) => false;

    /// <summary>The error of a file that the operation is not for, or the one that is told before.</summary>
    protected virtual Errno RefusesUnseen(Request request, IssueFlags flags, Errno error) => error;

    /// <summary>It is not to be attempted before a poll has said that it is ready (IORING_RECVSEND_POLL_FIRST).</summary>
    protected static bool WaitsFirst(Request request, RecvSendFlags how)
        => (how & RecvSendFlags.POLL_FIRST) != 0 && (request.Flags & RequestFlags.Polled) == 0;

    /// <summary>What was moved counts, whatever became of the rest.</summary>
    protected static void FailInPart(Request request)
    {
        if (request.Message is not { Done: > 0 } message)
            return;
        request.Result = (int)message.Done;
        message.Done = 0;
    }

    /// <summary>Attempts the operation on a socket.</summary>
    protected abstract IssueStatus Issue(Request request, Socket socket, IssueFlags flags);

    /// <summary>Room for the spans of one attempt: the ring's, or of the worker that has not got the ring's lock.</summary>
    protected static IoVector Vector(Request request, IssueFlags flags)
        => (flags & IssueFlags.Unlocked) == 0 ? request.Ring.Scratch : s_vector ??= new IoVector();

    /// <summary>The request's message: the one that was used last.</summary>
    protected static SocketMessage BeginMessage(Request request, MsgFlags flags)
    {
        SocketMessage message = request.Message = request.Ring.TakeMessage(request);
        message.Begin(request.Origin, request.Ring.Scratch, flags);
        return message;
    }
}

/// <summary>IORING_OP_SOCKET: into the descriptor table, or (sqe.file_index) into the registered files.</summary>
internal sealed class SocketOp : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.addr != 0 || sqe.rw_flags != 0 || sqe.buf_index != 0)
            return Errno.EINVAL;
        int type = (int)sqe.off;
        if (sqe.file_index != 0 && (type & SocketType.SOCK_CLOEXEC) != 0)
            return Errno.EINVAL;
        return SocketOperations.AreFlagsKnown(type) ? Errno.OK : Errno.EINVAL;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        int type = (int)sqe.off;
        if (sqe.file_index == 0 && !request.Origin.Files.HasRoom)
            return request.Done(Errno.EMFILE);
        Errno error = SocketOperations.Create(request.Task, sqe.fd, type, (int)sqe.len, out Socket? socket);
        if (error != Errno.OK)
            return request.Done(error);
        // A slot that it cannot have does not break the chain.
        return request.Return(request.Ring.InstallNew(request, socket!, (type & SocketType.SOCK_CLOEXEC) != 0, flags));
    }
}

/// <summary>IORING_OP_BIND.</summary>
internal sealed class Bind : NetOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.len != 0 || sqe.buf_index != 0 || sqe.rw_flags != 0 || sqe.splice_fd_in != 0)
            return Errno.EINVAL;
        return BeginMessage(request, MsgFlags.None).SetName(sqe.addr, (int)sqe.addr2);
    }

    /// <inheritdoc/>
    protected override IssueStatus Issue(Request request, Socket socket, IssueFlags flags)
        => request.Done(socket.Bind(request.Origin.Caller, request.Message!.NameBytes));
}

/// <summary>IORING_OP_LISTEN: sqe.len is the backlog.</summary>
internal sealed class Listen : NetOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        return sqe.addr != 0 || sqe.buf_index != 0 || sqe.rw_flags != 0 || sqe.splice_fd_in != 0 || sqe.addr2 != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    protected override IssueStatus Issue(Request request, Socket socket, IssueFlags flags)
        => request.Done(socket.Listen(request.Origin.Caller, (int)request.Sqe.len));
}

/// <summary>IORING_OP_SHUTDOWN: sqe.len is the direction.</summary>
internal sealed class Shutdown : NetOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        return sqe.off != 0 || sqe.addr != 0 || sqe.rw_flags != 0 || sqe.buf_index != 0 || sqe.splice_fd_in != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    protected override IssueStatus Issue(Request request, Socket socket, IssueFlags flags)
        => request.Return(request.Sqe.len > ShutdownHow.SHUT_RDWR ? Errno.EINVAL : socket.Shutdown((int)request.Sqe.len));
}

/// <summary>IORING_OP_CONNECT: waits until the connection stands, whatever O_NONBLOCK says.</summary>
internal sealed class Connect : NetOperation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.len != 0 || sqe.buf_index != 0 || sqe.rw_flags != 0 || sqe.splice_fd_in != 0)
            return Errno.EINVAL;
        request.Moved = 0;
        return BeginMessage(request, MsgFlags.None).SetName(sqe.addr, (int)sqe.addr2);
    }

    /// <inheritdoc/>
    public override bool MayWait(Request request) => !request.File!.IsNonBlocking;

    /// <inheritdoc/>
    protected override IssueStatus Issue(Request request, Socket socket, IssueFlags flags)
    {
        // Request.Moved: 1 once the connection has been begun.
        Errno error = request.Moved != 0 ? socket.FinishConnect() : socket.Connect(request.Origin.Caller, request.Message!.NameBytes);
        if (error is not (Errno.EAGAIN or Errno.EINPROGRESS))
            return request.Done(error);
        if (error == Errno.EINPROGRESS)
            request.Moved = 1;
        return IssueStatus.WouldBlock;
    }
}

/// <summary>IORING_OP_ACCEPT: one connection, or (IORING_ACCEPT_MULTISHOT) one CQE for each until something fails.</summary>
internal sealed class Accept : NetOperation
{
    /// <summary>CQEs in a row before others get their turn.</summary>
    private const int MaxAtOnce = 32;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.len != 0 || sqe.buf_index != 0)
            return Errno.EINVAL;
        const AcceptFlags Known = AcceptFlags.MULTISHOT | AcceptFlags.POLL_FIRST | AcceptFlags.DONTWAIT;
        AcceptFlags how = (AcceptFlags)sqe.ioprio;
        if ((how & ~Known) != 0)
            return Errno.EINVAL;
        bool multishot = (how & AcceptFlags.MULTISHOT) != 0;
        if (sqe.file_index != 0 && ((sqe.accept_flags & SocketType.SOCK_CLOEXEC) != 0
            || (multishot && sqe.file_index != IoUringConst.IORING_FILE_INDEX_ALLOC)))
            return Errno.EINVAL;
        if ((sqe.accept_flags & ~(SocketType.SOCK_CLOEXEC | SocketType.SOCK_NONBLOCK)) != 0)
            return Errno.EINVAL;
        if (multishot)
            request.Flags |= RequestFlags.Multishot;
        if ((how & AcceptFlags.DONTWAIT) != 0)
            request.Flags |= RequestFlags.NoWait;
        return Errno.OK;
    }

    /// <inheritdoc/>
    public override bool MayWait(Request request) => !request.File!.IsNonBlocking && !WaitsFirst(request);

    /// <inheritdoc/>
    protected override bool PollsUnseen(Request request) => WaitsFirst(request);

    /// <inheritdoc/>
    protected override Errno RefusesUnseen(Request request, IssueFlags flags, Errno error)
        => request.Sqe.file_index == 0 && !request.Origin.Files.HasRoom ? Errno.EMFILE : error;

    /// <summary>It is not to be attempted before a poll has said that it is ready.</summary>
    private static bool WaitsFirst(Request request)
        => ((AcceptFlags)request.Sqe.ioprio & AcceptFlags.POLL_FIRST) != 0 && (request.Flags & RequestFlags.Polled) == 0;

    /// <inheritdoc/>
    protected override IssueStatus Issue(Request request, Socket socket, IssueFlags flags)
    {
        bool multishot = (request.Flags & RequestFlags.Multishot) != 0;
        AcceptFlags how = (AcceptFlags)request.Sqe.ioprio;
        if (WaitsFirst(request))
            return IssueStatus.WouldBlock;
        // CQEs that are not the last one are posted under the ring's lock.
        if (multishot && (flags & IssueFlags.Unlocked) != 0)
            return IssueStatus.WouldBlock;
        for (int i = 0; i < MaxAtOnce; i++)
        {
            SysResult result = AcceptOne(request, socket, flags, out bool isAccepted);
            // A multishot never waits within the attempt, and goes on.
            if (result.Error == Errno.EAGAIN)
                return multishot || socket.IsNonBlocking || !socket.AcceptsNoMore ? IssueStatus.WouldBlock : request.Done(Errno.EINVAL);
            CqeFlags more = isAccepted && socket.HasMoreToAccept ? CqeFlags.SOCK_NONEMPTY : CqeFlags.None;
            if (!multishot || result.IsError || !request.Ring.PostMore(request, (int)result.Value, more | CqeFlags.MORE))
            {
                request.CqeFlags = more;
                return request.Done(result);
            }
            request.Retries = 0;
        }
        request.Ring.MakeReady(request, RequestState.IssueHere);
        return IssueStatus.Queued;
    }

    /// <summary>One connection's number. <paramref name="isAccepted"/>: there was one, even if it could not be given away.</summary>
    private static SysResult AcceptOne(Request request, Socket socket, IssueFlags flags, out bool isAccepted)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        isAccepted = false;
        Submitter origin = request.Origin;
        if (sqe.file_index == 0 && !origin.Files.HasRoom)
            return Errno.EMFILE;
        Errno error = socket.Accept(origin.Caller, (OpenFlags)sqe.accept_flags & OpenFlags.O_NONBLOCK, out Socket? accepted);
        if (error != Errno.OK)
            return error;
        isAccepted = true;
        if (sqe.addr != 0)
            error = SocketSyscalls.WritePeerName(origin.Mm, accepted!, new UserPtr(sqe.addr), new UserPtr<int>(sqe.addr2));
        if (error != Errno.OK)
        {
            accepted!.DropReference();
            return error;
        }
        return request.Ring.InstallNew(request, accepted!, (sqe.accept_flags & SocketType.SOCK_CLOEXEC) != 0, flags);
    }
}
