using Moat.Kernel.Sockets;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>
/// Receiving: what RECV and RECVMSG do alike. With MSG_WAITALL the rest of a stream is waited for; with IORING_RECV_MULTISHOT each message
/// is a CQE, in a provided buffer of its own, until the end, an error, or no buffer.
/// </summary>
internal abstract class ReceiveOperation : NetOperation
{
    /// <summary>CQEs in a row before others get their turn.</summary>
    private const int MaxAtOnce = 32;

    /// <summary>Flags in sqe.ioprio that the operation knows.</summary>
    protected abstract RecvSendFlags KnownFlags { get; }

    /// <summary>How the request receives.</summary>
    protected static RecvSendFlags HowOf(Request request) => (RecvSendFlags)request.Sqe.ioprio;

    /// <summary>True when each message is a CQE.</summary>
    protected static bool IsMultishot(Request request) => (request.Flags & RequestFlags.Multishot) != 0;

    /// <inheritdoc/>
    public sealed override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.addr2 != 0 || (int)sqe.len < 0)
            return Errno.EINVAL;
        RecvSendFlags how = HowOf(request);
        if ((how & ~KnownFlags) != 0)
            return Errno.EINVAL;
        MsgFlags flags = (MsgFlags)sqe.msg_flags;
        if ((flags & MsgFlags.MSG_DONTWAIT) != 0)
            request.Flags |= RequestFlags.NoWait;
        if ((how & RecvSendFlags.RECV_MULTISHOT) != 0)
        {
            if ((request.Flags & RequestFlags.BufferSelect) == 0 || (flags & MsgFlags.MSG_WAITALL) != 0)
                return Errno.EINVAL;
            request.Flags |= RequestFlags.Multishot;
        }
        if (sqe.optlen != 0 && !AllowsLimit(request))
            return Errno.EINVAL;
        return PrepareMessage(request, BeginMessage(request, flags));
    }

    /// <summary>True when sqe.optlen may limit how much is received in all.</summary>
    protected virtual bool AllowsLimit(Request request) => false;

    /// <summary>Reads where the data go.</summary>
    protected abstract Errno PrepareMessage(Request request, SocketMessage message);

    /// <inheritdoc/>
    protected sealed override IssueStatus Issue(Request request, Socket socket, IssueFlags flags)
    {
        if (WaitsFirst(request, HowOf(request)))
            return IssueStatus.WouldBlock;
        bool multishot = IsMultishot(request);
        // CQEs that are not the last one are posted under the ring's lock.
        if (multishot && (flags & IssueFlags.Unlocked) != 0)
            return IssueStatus.WouldBlock;
        request.Message!.UseVector(Vector(request, flags));
        for (int i = 0; i < MaxAtOnce; i++)
        {
            IssueStatus status = Attempt(request, socket, flags, out bool isLast);
            if (status != IssueStatus.Done || !multishot || isLast || request.Result <= 0)
                return status;
            if (!request.Ring.PostMore(request, request.Result, request.CqeFlags | CqeFlags.MORE))
                return status;
            // A stream tells that it is empty: no buffer is asked for before there is something to put there.
            bool isEmpty = (request.CqeFlags & CqeFlags.SOCK_NONEMPTY) == 0 && socket.GetInputHint() == 0;
            // A bundle with a length has its turn over with it.
            bool isCapped = (HowOf(request) & RecvSendFlags.BUNDLE) != 0 && request.Sqe.len != 0 && request.Result >= (int)request.Sqe.len;
            request.CqeFlags = CqeFlags.None;
            request.Retries = 0;
            request.TookPart = false;
            request.Message.Done = 0;
            request.Wanted = LaterLength(request);
            if (isEmpty)
                return IssueStatus.WouldBlock;
            if (isCapped)
                break;
        }
        // The attempt at submission waits for readiness next, which one that never waits ends with.
        if ((request.Flags & RequestFlags.Polled) == 0)
            return IssueStatus.WouldBlock;
        request.Ring.MakeReady(request, RequestState.IssueHere);
        return IssueStatus.Queued;
    }

    /// <summary>Bytes that a multishot asks for with each message but its first.</summary>
    protected abstract uint LaterLength(Request request);

    /// <summary>Nothing was received: the buffer is for others, but what a worker has picked is used up, and the CQE says so.</summary>
    protected static void ReturnBuffer(Request request, IssueStatus status, IssueFlags flags)
    {
        request.Ring.RecycleBuffer(request, flags);
        if (status == IssueStatus.Done)
            request.Ring.PutBuffer(request, 0);
    }

    /// <summary>One message. <paramref name="isLast"/>: the request is at its end though it succeeded.</summary>
    protected abstract IssueStatus Attempt(Request request, Socket socket, IssueFlags flags, out bool isLast);

    /// <summary>What an attempt means: done, to be continued, or to be tried again. Buffers are the caller's.</summary>
    protected static IssueStatus Finish(Request request, Socket socket, SysResult result, bool isWhole)
    {
        SocketMessage message = request.Message!;
        if (result.Error == Errno.EAGAIN)
            return IssueStatus.WouldBlock;
        if (result.IsError)
        {
            request.SetFail();
        }
        else if (isWhole && message.Done + (ulong)result.Value < message.Length)
        {
            if (result.Value > 0 && socket.CanContinue)
            {
                message.Done += (ulong)result.Value;
                Ring.CommitPart(request, (ulong)result.Value);
                return IssueStatus.WouldBlock;
            }
            request.SetFail();
        }
        else if ((message.Flags & MsgFlags.MSG_WAITALL) != 0 && (message.ResultFlags & (MsgFlags.MSG_TRUNC | MsgFlags.MSG_CTRUNC)) != 0)
        {
            request.SetFail();
        }
        if (result.Value > 0)
            message.Done += (ulong)result.Value;
        request.Result = message.Done > 0 ? (int)message.Done : (int)result.Value;
        return IssueStatus.Done;
    }

    /// <summary>IORING_CQE_F_SOCK_NONEMPTY, where the socket knows.</summary>
    protected static CqeFlags More(Request request, Socket socket)
        => request.Result >= 0 && socket.GetInputHint() > 0 ? CqeFlags.SOCK_NONEMPTY : CqeFlags.None;

    /// <inheritdoc/>
    public override void OnFail(Request request) => FailInPart(request);

    /// <summary>The queue of errors is never waited for.</summary>
    public override bool MayWait(Request request)
        => (request.Message!.Flags & (MsgFlags.MSG_ERRQUEUE | MsgFlags.MSG_DONTWAIT)) == 0 && !WaitsFirst(request, HowOf(request));
}

/// <summary>IORING_OP_RECV.</summary>
internal sealed class Recv : ReceiveOperation
{
    private const int MostBuffers = 256;

    /// <inheritdoc/>
    protected override RecvSendFlags KnownFlags => RecvSendFlags.POLL_FIRST | RecvSendFlags.RECV_MULTISHOT | RecvSendFlags.BUNDLE;

    /// <inheritdoc/>
    protected override bool AllowsLimit(Request request) => IsMultishot(request);

    /// <inheritdoc/>
    protected override uint LaterLength(Request request) => request.Sqe.len;

    /// <inheritdoc/>
    protected override bool PollsUnseen(Request request) => WaitsFirst(request, HowOf(request));

    /// <inheritdoc/>
    protected override Errno PrepareMessage(Request request, SocketMessage message)
    {
        // Request.Length: what a multishot may still receive in all, 0 without a limit.
        request.Length = request.Sqe.optlen;
        request.Wanted = request.Sqe.len;
        request.TookAll = request.TookPart = false;
        request.InputLeft = -1;
        return (request.Flags & RequestFlags.BufferSelect) != 0 ? Errno.OK : message.SetRange(new UserPtr(request.Sqe.addr), request.Sqe.len);
    }

    /// <inheritdoc/>
    protected override IssueStatus Attempt(Request request, Socket socket, IssueFlags flags, out bool isLast)
    {
        SocketMessage message = request.Message!;
        isLast = false;
        if ((request.Flags & RequestFlags.BufferSelect) != 0)
        {
            // What holds a buffer already goes on with that.
            return (HowOf(request) & RecvSendFlags.BUNDLE) != 0 && request.Group is null
                ? ReceiveBundle(request, socket, flags, out isLast) : ReceiveSelected(request, socket, flags, out isLast);
        }
        IssueStatus status = Finish(request, socket, message.TryReceive(socket), (message.Flags & MsgFlags.MSG_WAITALL) != 0);
        if (status == IssueStatus.Done)
            request.CqeFlags = More(request, socket);
        return status;
    }

    private IssueStatus ReceiveSelected(Request request, Socket socket, IssueFlags flags, out bool isLast)
    {
        SocketMessage message = request.Message!;
        Ring ring = request.Ring;
        isLast = false;
        // What one attempt in vain has picked is what the next one asks for.
        Errno error = ring.SelectBuffer(request, flags, ref request.Wanted, out ulong address);
        if (error == Errno.OK && message.Done == 0)
            error = message.SetRange(new UserPtr(address), request.Wanted);
        if (error != Errno.OK)
        {
            ring.RecycleBuffer(request, flags);
            return request.Done(error);
        }
        IssueStatus status = Finish(request, socket, message.TryReceive(socket), (message.Flags & MsgFlags.MSG_WAITALL) != 0);
        if (status == IssueStatus.Done)
            request.CqeFlags = More(request, socket);
        if (status == IssueStatus.Done && request.Result > 0)
        {
            ring.PutBuffer(request, (ulong)request.Result);
            isLast = IsLimitReached(request);
        }
        else if (message.Done == 0)
        {
            ReturnBuffer(request, status, flags);
        }
        return status;
    }

    /// <summary>
    /// IORING_RECVSEND_BUNDLE: what is there goes into as many buffers as it needs, in a row; the CQE has the first one's id. How much is
    /// there is often known only after the first receive: then one more adds the rest. A worker picks one buffer each time.
    /// </summary>
    private IssueStatus ReceiveBundle(Request request, Socket socket, IssueFlags flags, out bool isLast)
    {
        SocketMessage message = request.Message!;
        Ring ring = request.Ring;
        ulong asked = Limit(request, request.Wanted);
        // Without a number to go by, what the last attempt has left is one.
        if (asked == 0 && request.InputLeft > 1)
            asked = (ulong)request.InputLeft;
        request.InputLeft = -1;
        isLast = false;
        // TCP drops what is to be cut off: the room is never used up.
        bool isDropped = socket.Family != AddressFamily.AF_UNIX && (message.Flags & MsgFlags.MSG_TRUNC) != 0;
        CqeFlags first = CqeFlags.None;
        bool onWorker = (flags & IssueFlags.Unlocked) != 0;
        for (bool again = false; ; again = true)
        {
            // Without a number to go by it takes as many as it has taken before.
            SysResult count = ring.SelectBuffers(request, flags, asked, onWorker ? 1 : asked == 0 ? message.BundleRoom : MostBuffers);
            message.KeepRoom((int)count.Value);
            if (count.Value == 1)
                request.Wanted = request.Vectors[0].Length;
            Errno error = count.IsError ? count.Error : message.SetVectors(request.Vectors.AsSpan(0, (int)count.Value));
            if (error != Errno.OK)
            {
                ring.RecycleBuffer(request, flags);
                if (!again)
                    return request.Done(error);
                request.CqeFlags &= ~CqeFlags.SOCK_NONEMPTY;
                break;
            }
            ulong before = message.Done, room = message.Length;
            bool isRing = request.Group!.Ring is not null;
            message.Done = 0;
            SysResult result = message.TryReceive(socket);
            message.Done = before;
            if (result.Value <= 0)
            {
                IssueStatus status = again ? IssueStatus.Queued : Finish(request, socket, result, isWhole: false);
                ReturnBuffer(request, status, flags);
                if (!again)
                    return status;
                request.Group = null;
                break;
            }
            message.Done += (ulong)result.Value;
            request.Result = (int)message.Done;
            request.CqeFlags = CqeFlags.None;
            ring.PutBuffer(request, (ulong)result.Value);
            if (again)
                request.CqeFlags = first | (request.CqeFlags & CqeFlags.BUF_MORE);
            int left = request.InputLeft = socket.GetInputHint();
            request.CqeFlags = (request.CqeFlags & ~CqeFlags.SOCK_NONEMPTY) | (left > 0 ? CqeFlags.SOCK_NONEMPTY : CqeFlags.None);
            first = request.CqeFlags & ~(CqeFlags.BUF_MORE | CqeFlags.SOCK_NONEMPTY);
            isLast = IsLimitReached(request) || (isRing && !onWorker ? request.TookAll : !ring.HasProvidedBuffers(request, flags));
            // A length ends a multishot's bundle; of a single one it only says how much to begin with. What did not fit whole buffers waits.
            bool isCut = (isRing && !onWorker && request.TookPart) || (IsMultishot(request) && request.Sqe.len != 0 && message.Done >= request.Sqe.len);
            if (again || isLast || isCut || isDropped || left <= 1 || (ulong)result.Value < room)
                break;
            asked = Limit(request, (ulong)left);
        }
        request.Result = (int)message.Done;
        return IssueStatus.Done;
    }

    /// <summary>The least of a length (0: none) and what is left of the limit.</summary>
    private static ulong Limit(Request request, ulong length)
        => request.Length != 0 && (length == 0 || length > request.Length) ? request.Length : length;

    /// <summary>Counts what was received against sqe.optlen.</summary>
    private static bool IsLimitReached(Request request)
    {
        if (request.Length == 0)
            return false;
        ulong received = request.Message!.Done;
        request.Length -= Math.Min(received, request.Length);
        return request.Length == 0;
    }
}

/// <summary>IORING_OP_RECV_ZC needs a queue of a network device that is registered for it (IORING_REGISTER_ZCRX_IFQ), and the guest has none.</summary>
internal sealed class RecvZc : Operation
{
    /// <inheritdoc/>
    public override Errno Prepare(Request request) => Errno.EINVAL;

    /// <summary>Never gets here.</summary>
    public override IssueStatus Issue(Request request, IssueFlags flags) => request.Done(Errno.EINVAL);
}

/// <summary>IORING_OP_RECVMSG: sqe.addr is a struct msghdr.</summary>
internal sealed class RecvMsg : ReceiveOperation
{
    private const int OutSize = 16;

    /// <inheritdoc/>
    protected override RecvSendFlags KnownFlags => RecvSendFlags.POLL_FIRST | RecvSendFlags.RECV_MULTISHOT;

    /// <summary>The length that the header gives is for the first one.</summary>
    protected override uint LaterLength(Request request) => 0;

    /// <inheritdoc/>
    protected override Errno PrepareMessage(Request request, SocketMessage message)
    {
        UserPtr<MsgHdr> header = new(request.Sqe.addr);
        if ((request.Flags & RequestFlags.BufferSelect) == 0)
            return message.ReadForReceive(header);
        Errno error = message.ReadForSelected(header, IsMultishot(request), out ulong wanted);
        request.Wanted = wanted;
        if (error != Errno.OK || !IsMultishot(request))
            return error;
        // Name and control data go into the buffer too, each with the room that the header gives it.
        return message.NameRoom < 0 || OutSize + (ulong)message.NameRoom + message.ControlCapacity > SocketMessage.MostControl ? Errno.EOVERFLOW : Errno.OK;
    }

    /// <inheritdoc/>
    protected override IssueStatus Attempt(Request request, Socket socket, IssueFlags flags, out bool isLast)
    {
        SocketMessage message = request.Message!;
        isLast = false;
        if ((request.Flags & RequestFlags.BufferSelect) == 0)
            return Receive(request, socket);
        Ring ring = request.Ring;
        ulong length = request.Wanted;
        Errno error = ring.SelectBuffer(request, flags, ref length, out ulong address);
        if (error != Errno.OK)
            return request.Done(error);
        IssueStatus status;
        if (IsMultishot(request))
        {
            // An empty payload, which the end is too, is told as all others, and ends it.
            status = ReceiveInto(request, socket, address, length, out isLast);
        }
        else
        {
            error = message.Done == 0 ? message.SetRange(new UserPtr(address), length) : Errno.OK;
            status = error == Errno.OK ? Receive(request, socket) : request.Done(error);
        }
        if (status == IssueStatus.Done && request.Result > 0)
            ring.PutBuffer(request, (ulong)request.Result);
        else if (message.Done == 0)
            ReturnBuffer(request, status, flags);
        return status;
    }

    private static IssueStatus Receive(Request request, Socket socket)
    {
        SocketMessage message = request.Message!;
        SysResult result = message.TryReceive(socket);
        if (!result.IsError)
        {
            Errno error = message.WriteBack(new UserPtr<MsgHdr>(request.Sqe.addr));
            if (error != Errno.OK)
                result = error;
        }
        bool isWhole = (message.Flags & MsgFlags.MSG_WAITALL) != 0 && !message.WantsControl;
        IssueStatus status = Finish(request, socket, result, isWhole);
        if (status == IssueStatus.Done)
            request.CqeFlags = More(request, socket);
        return status;
    }

    /// <summary>Multishot: struct io_uring_recvmsg_out, name, control data and payload, one after the other in the buffer.</summary>
    private static IssueStatus ReceiveInto(Request request, Socket socket, ulong address, ulong length, out bool isEmpty)
    {
        isEmpty = false;
        SocketMessage message = request.Message!;
        ulong head = OutSize + (ulong)message.NameRoom + message.ControlCapacity;
        if (length < head)
            return request.Done(Errno.EFAULT);
        ulong room = length - head;
        message.BeginAgain();
        Errno error = message.SetRange(new UserPtr(address + head), room);
        if (error != Errno.OK)
            return request.Done(error);
        SysResult result = message.TryReceive(socket);
        if (result.Error == Errno.EAGAIN)
            return IssueStatus.WouldBlock;
        if (result.IsError)
            return request.Done(result);
        error = message.WriteOut(request.Origin.Mm, address, (uint)result.Value);
        if (error != Errno.OK)
            return request.Done(error);
        isEmpty = result.Value == 0;
        request.Result = (int)(head + Math.Min((ulong)result.Value, room));
        request.CqeFlags = More(request, socket);
        return IssueStatus.Done;
    }
}
