using Moat.Kernel.Memory;
using Moat.Kernel.Sockets;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>
/// Sending: what SEND, SENDMSG, SEND_ZC and SENDMSG_ZC do alike. A short send is a result; with MSG_WAITALL a stream's rest follows when
/// there is room. No signal is raised.
/// </summary>
internal abstract class SendOperation : NetOperation
{
    /// <summary>Flags in sqe.ioprio that the operation knows.</summary>
    protected abstract RecvSendFlags KnownFlags { get; }

    /// <summary>How the request is sent.</summary>
    protected static RecvSendFlags HowOf(Request request) => (RecvSendFlags)request.Sqe.ioprio;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        RecvSendFlags how = HowOf(request);
        if ((how & ~KnownFlags) != 0)
            return Errno.EINVAL;
        MsgFlags flags = (MsgFlags)sqe.msg_flags | MsgFlags.MSG_NOSIGNAL;
        if ((flags & MsgFlags.MSG_DONTWAIT) != 0)
            request.Flags |= RequestFlags.NoWait;
        request.TookAll = false;
        if ((how & RecvSendFlags.BUNDLE) != 0)
            flags |= MsgFlags.MSG_WAITALL;
        return PrepareMessage(request, BeginMessage(request, flags));
    }

    /// <inheritdoc/>
    public override bool MayWait(Request request)
        => (request.Message!.Flags & MsgFlags.MSG_DONTWAIT) == 0 && !WaitsFirst(request, HowOf(request));

    /// <summary>Reads what is to be sent.</summary>
    protected abstract Errno PrepareMessage(Request request, SocketMessage message);

    /// <summary>SEND and SEND_ZC: one buffer or a vector, and perhaps an address.</summary>
    protected static Errno PreparePlain(Request request, SocketMessage message)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        // The upper half of this place is padding.
        if (sqe.optlen >> 16 != 0)
            return Errno.EINVAL;
        if (sqe.addr2 != 0)
        {
            Errno error = message.SetName(sqe.addr2, sqe.addr_len);
            if (error != Errno.OK)
                return error;
        }
        RecvSendFlags how = HowOf(request);
        if ((how & RecvSendFlags.SEND_VECTORIZED) != 0)
            return message.SetVector(sqe.addr, sqe.len, Errno.EINVAL);
        if ((how & RecvSendFlags.FIXED_BUF) != 0)
        {
            message.SetPinned(sqe.addr, sqe.len);
            return Errno.OK;
        }
        return (request.Flags & RequestFlags.BufferSelect) != 0 ? Errno.OK : message.SetRange(new UserPtr(sqe.addr), sqe.len);
    }

    /// <inheritdoc/>
    protected override IssueStatus Issue(Request request, Socket socket, IssueFlags flags)
    {
        RecvSendFlags how = HowOf(request);
        // Linux has no worker send a bundle: it waits for room there, and is cancelled when that is there.
        if ((how & RecvSendFlags.BUNDLE) != 0 && (flags & IssueFlags.Unlocked) != 0)
            return (socket.Poll() & PollEvents.POLLOUT) != 0 ? request.Done(Errno.ECANCELED) : IssueStatus.WouldBlock;
        if (WaitsFirst(request, how))
            return IssueStatus.WouldBlock;
        SocketMessage message = request.Message!;
        message.UseVector(Vector(request, flags));
        if ((request.Flags & RequestFlags.BufferSelect) != 0)
            return (how & RecvSendFlags.BUNDLE) != 0 ? SendBundle(request, socket, flags) : SendSelected(request, socket, flags);
        SysResult result;
        if ((how & RecvSendFlags.FIXED_BUF) != 0)
        {
            Errno error = ImportFixed(request, message, flags);
            if (error != Errno.OK)
                return Finish(request, socket, error);
            result = message.TrySendPinned(socket);
        }
        else
        {
            result = message.TrySend(socket);
        }
        IssueStatus status = Finish(request, socket, result);
        return (how & RecvSendFlags.BUNDLE) != 0 ? SendRest(request, socket, status, flags) : status;
    }

    /// <summary>A bundle without provided buffers goes on with what is left of its buffer: an empty send, the last.</summary>
    private static IssueStatus SendRest(Request request, Socket socket, IssueStatus status, IssueFlags flags)
    {
        if (status != IssueStatus.Done || request.Result <= 0 || (request.Flags & RequestFlags.Polled) != 0
            || !request.Ring.PostMore(request, request.Result, CqeFlags.MORE))
        {
            return status;
        }
        SocketMessage message = request.Message!;
        message.Done = 0;
        Errno error = message.SetRange(new UserPtr(request.Sqe.addr), 0);
        return error == Errno.OK ? Finish(request, socket, message.TrySend(socket)) : request.Done(error);
    }

    /// <summary>Takes the spans of a registered buffer: EFAULT, ENOMEM.</summary>
    protected static Errno ImportFixed(Request request, SocketMessage message, IssueFlags flags)
    {
        if (!request.Ring.TryAssignBuffer(request, flags))
            return Errno.EFAULT;
        return message.ImportPinned(request.BufferNode!.Buffer!, inParts: request.Op.Number == IoUringOp.SENDMSG_ZC);
    }

    /// <summary>What an attempt means: done, to be continued, or to be tried again.</summary>
    private static IssueStatus Finish(Request request, Socket socket, SysResult result)
    {
        SocketMessage message = request.Message!;
        if (result.Error == Errno.EAGAIN)
            return IssueStatus.WouldBlock;
        if (result.IsError)
        {
            request.SetFail();
            return SetResult(request, message.Done > 0 ? message.Done : result);
        }
        message.Done += (ulong)result.Value;
        bool isShort = message.Done < message.Length && (message.Flags & MsgFlags.MSG_WAITALL) != 0;
        if (isShort && result.Value > 0 && socket.CanContinue)
        {
            Ring.CommitPart(request, (ulong)result.Value);
            return IssueStatus.WouldBlock;
        }
        if (isShort)
            request.SetFail();
        return SetResult(request, message.Done);
    }

    private static IssueStatus SetResult(Request request, SysResult result)
    {
        request.Result = (int)result.Value;
        return IssueStatus.Done;
    }

    /// <summary>
    /// Sends a provided buffer. Unlike a receive's it is used up once it is picked, whatever comes of it, and the CQE has its id.
    /// </summary>
    private static IssueStatus SendSelected(Request request, Socket socket, IssueFlags flags)
    {
        SocketMessage message = request.Message!;
        ulong length = WantedOf(request, flags);
        Errno error = request.Ring.SelectBuffer(request, flags, ref length, out ulong address);
        if (error != Errno.OK)
            return request.Done(request.Ring.HasGroup(request, flags) ? error : Errno.ENOENT);
        error = message.SetRange(new UserPtr(address), length);
        IssueStatus status = error == Errno.OK ? Finish(request, socket, message.TrySend(socket)) : request.Done(error);
        if (status == IssueStatus.Done)
            request.Ring.PutBuffer(request, message.Length);
        return status;
    }

    /// <summary>Bytes to pick: a buffer of a list is sent whole.</summary>
    private static ulong WantedOf(Request request, IssueFlags flags) => request.Ring.PicksFromList(request, flags) ? 0 : request.Sqe.len;

    /// <summary>IORING_RECVSEND_BUNDLE: as many buffers as there are in one send, then the next ones, each with a CQE.</summary>
    private static IssueStatus SendBundle(Request request, Socket socket, IssueFlags flags)
    {
        const int MostBuffers = 256;
        SocketMessage message = request.Message!;
        Ring ring = request.Ring;
        ulong wanted = WantedOf(request, flags);
        while (true)
        {
            SysResult count = ring.SelectBuffers(request, flags, wanted, MostBuffers);
            if (count.IsError)
                return request.Done(count);
            message.KeepRoom((int)count.Value);
            bool isRing = request.Group!.Ring is not null;
            Errno error = message.SetVectors(request.Vectors.AsSpan(0, (int)count.Value));
            IssueStatus status = error == Errno.OK ? Finish(request, socket, message.TrySend(socket)) : request.Done(error);
            if (status != IssueStatus.Done)
                return status;
            ring.PutBuffer(request, message.Length);
            bool isEmpty = isRing ? request.TookAll : !ring.HasProvidedBuffers(request, flags);
            bool isLast = request.Result <= 0 || (request.Flags & RequestFlags.Polled) != 0 || isEmpty;
            if (isLast || !ring.PostMore(request, request.Result, request.CqeFlags | CqeFlags.MORE))
                return status;
            request.CqeFlags = CqeFlags.None;
            request.Flags &= ~RequestFlags.Fail;
            message.Done = 0;
            // The length was for the first one.
            wanted = 0;
        }
    }

    /// <inheritdoc/>
    public override void OnFail(Request request) => FailInPart(request);
}

/// <summary>IORING_OP_SEND.</summary>
internal sealed class Send : SendOperation
{
    /// <inheritdoc/>
    protected override RecvSendFlags KnownFlags => RecvSendFlags.POLL_FIRST | RecvSendFlags.BUNDLE | RecvSendFlags.SEND_VECTORIZED;

    /// <inheritdoc/>
    protected override Errno PrepareMessage(Request request, SocketMessage message)
        => (int)request.Sqe.len < 0 ? Errno.EINVAL : PreparePlain(request, message);
}

/// <summary>IORING_OP_SENDMSG: sqe.addr is a struct msghdr.</summary>
internal sealed class SendMsg : SendOperation
{
    /// <inheritdoc/>
    protected override RecvSendFlags KnownFlags => RecvSendFlags.POLL_FIRST | RecvSendFlags.SEND_VECTORIZED;

    /// <inheritdoc/>
    protected override Errno PrepareMessage(Request request, SocketMessage message)
        => request.Sqe.addr2 != 0 || request.Sqe.file_index != 0 || (int)request.Sqe.len < 0 ? Errno.EINVAL : message.ReadForSend(new UserPtr<MsgHdr>(request.Sqe.addr));
}

/// <summary>
/// IORING_OP_SEND_ZC, IORING_OP_SENDMSG_ZC: as SEND and SENDMSG, and a second CQE says when the buffer may be used again. The data are
/// copied into the host's socket, so that is at once, and the usage report says so.
/// </summary>
internal sealed class SendZc(bool isMessage) : SendOperation
{
    /// <inheritdoc/>
    protected override RecvSendFlags KnownFlags
        => RecvSendFlags.POLL_FIRST | RecvSendFlags.FIXED_BUF | RecvSendFlags.ZC_REPORT_USAGE | RecvSendFlags.SEND_VECTORIZED;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.pad2 != 0 || sqe.addr3 != 0 || (request.Flags & RequestFlags.CqeSkip) != 0)
            return Errno.EINVAL;
        // From here on there is a notification, even if nothing comes of the request.
        request.Flags |= RequestFlags.NeedCleanup;
        request.CqeFlags = CqeFlags.MORE;
        return base.Prepare(request);
    }

    /// <inheritdoc/>
    protected override Errno PrepareMessage(Request request, SocketMessage message)
    {
        const RecvSendFlags FixedVector = RecvSendFlags.FIXED_BUF | RecvSendFlags.SEND_VECTORIZED;
        if (!isMessage)
            return (HowOf(request) & FixedVector) == FixedVector ? Errno.EINVAL : PreparePlain(request, message);
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.addr2 != 0 || sqe.file_index != 0)
            return Errno.EINVAL;
        return message.ReadForSend(new UserPtr<MsgHdr>(sqe.addr), (HowOf(request) & RecvSendFlags.FIXED_BUF) != 0);
    }

    /// <inheritdoc/>
    protected override IssueStatus Issue(Request request, Socket socket, IssueFlags flags)
        => socket.SupportsZeroCopy ? base.Issue(request, socket, flags) : request.Done(RefusesUnseen(request, flags, Errno.EOPNOTSUPP));

    /// <summary>SENDMSG_ZC looks for its parts in the buffer before it looks at the socket, SEND_ZC after.</summary>
    protected override Errno RefusesUnseen(Request request, IssueFlags flags, Errno error)
    {
        if (!isMessage || (HowOf(request) & RecvSendFlags.FIXED_BUF) == 0)
            return error;
        request.Message!.UseVector(Vector(request, flags));
        Errno wrong = ImportFixed(request, request.Message, flags);
        return wrong == Errno.OK ? error : wrong;
    }

    /// <inheritdoc/>
    public override void Cleanup(Request request)
    {
        // Flags that are refused as a whole ask for nothing.
        RecvSendFlags how = HowOf(request);
        bool report = (how & RecvSendFlags.ZC_REPORT_USAGE) != 0 && (how & ~KnownFlags) == 0;
        request.Ring.PostNotification(request, report ? unchecked((int)IoUringNetConst.IORING_NOTIF_USAGE_ZC_COPIED) : 0);
    }
}
