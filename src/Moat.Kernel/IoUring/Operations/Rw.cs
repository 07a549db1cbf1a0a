using System.Runtime.InteropServices;
using Moat.Kernel.Events;
using Moat.Kernel.Ipc;
using Moat.Kernel.Memory;
using Moat.Kernel.Pipes;
using Moat.Kernel.Sockets;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>
/// Reading and writing: what all of READ, WRITE, READV, WRITEV, READ_FIXED, WRITE_FIXED do. An attempt in place never waits (host files
/// are asked with RWF_NOWAIT); what regular files answer in part is continued until it is whole, as Linux does.
/// </summary>
internal abstract class RwOperation(bool isWrite) : Operation
{
    [ThreadStatic]
    private static WorkerScratch? s_scratch;

    /// <summary>A worker's room for one transfer.</summary>
    private sealed class WorkerScratch
    {
        public readonly IoVector Vector = new();
        public readonly PinnedRange Pin = new();
    }

    /// <summary>True when data goes to the file.</summary>
    public bool IsWrite { get; } = isWrite;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        request.Moved = 0;
        ref IoUringSqe sqe = ref request.Sqe;
        if (sqe.ioprio != 0)
        {
            Errno e = CheckPriority(sqe.ioprio, request);
            if (e != Errno.OK)
                return e;
        }
        return sqe.attr_type_mask != 0 ? PrepareAttributes(request) : PrepareBuffer(request);
    }

    /// <summary>Checks the buffer; sets Request.Length.</summary>
    protected abstract Errno PrepareBuffer(Request request);

    /// <summary>Appends the host spans of what is still to be moved. EFAULT, ENOBUFS.</summary>
    protected abstract Errno Import(Request request, IoVector into, IssueFlags flags, PinnedRange? pin);

    /// <summary>True when the buffer is reached without the memory manager.</summary>
    protected virtual bool IsPinned => false;

    /// <inheritdoc/>
    public override bool MayWait(Request request) => !request.File!.IsNonBlocking;

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
        => (request.Flags & RequestFlags.BufferSelect) != 0 ? IntoPicked(request, flags) : Attempt(request, flags);

    /// <summary>Attempts it with a provided buffer. One of a buffer ring goes back when nothing comes of it; one of a list is kept for the next attempt.</summary>
    private IssueStatus IntoPicked(Request request, IssueFlags flags)
    {
        Ring ring = request.Ring;
        ulong length = request.Wanted;
        Errno e = ring.SelectBuffer(request, flags, ref length, out ulong address);
        if (e != Errno.OK)
            return request.Done(e);
        bool multishot = (request.Flags & RequestFlags.Multishot) != 0;
        request.Length = Math.Min(length, MemoryManager.MAX_RW_COUNT);
        // Should nothing be there, no more than this is asked for next time, whichever buffer that will be.
        if (!multishot)
            request.Wanted = request.Length;
        SetBuffer(request, address);
        IssueStatus status = Attempt(request, flags);
        // What cannot be given back is used up even by an error.
        if (status == IssueStatus.Done && (request.Result > 0 || (!multishot && (request.Result == 0 || request.IsCommitted))))
            ring.PutBuffer(request, (ulong)Math.Max(0, request.Result));
        else if (multishot || !request.IsCommitted)
            ring.RecycleBuffer(request, flags);
        return status;
    }

    /// <summary>Bytes that the next attempt is to move.</summary>
    protected virtual ulong NextLength(Request request) => request.Length - request.Moved;

    /// <summary>Takes Request.Length bytes at an address for the buffer.</summary>
    protected virtual void SetBuffer(Request request, ulong address) => request.Sqe.addr = address;

    private IssueStatus Attempt(Request request, IssueFlags flags)
    {
        bool onWorker = (flags & IssueFlags.Unlocked) != 0;
        WorkerScratch? worker = onWorker ? s_scratch ??= new WorkerScratch() : null;
        IoVector vector = worker?.Vector ?? request.Ring.Scratch;
        vector.Clear();
        if (IsPinned)
        {
            Errno outside = Import(request, vector, flags, null);
            return outside == Errno.OK ? CheckAndTransfer(request, vector, flags) : request.Done(outside);
        }
        Errno refused = Check(request, flags);
        if (refused != Errno.OK)
            return request.Done(refused);
        MemoryManager mm = request.Origin.Mm;
        if (!onWorker)
            mm.BeginAccess();
        Errno e = Import(request, vector, flags, worker?.Pin);
        vector.IsCut = vector.Remaining < NextLength(request);
        if (vector.IsCut && IsWrite && request.File is Socket or PipeFile)
            FileOperations.CutWrite(request.File, vector);
        IssueStatus result = e == Errno.OK ? Transfer(request, vector, flags) : e == Errno.EFAULT ? NoMemory(request, vector, flags) : request.Done(e);
        if (onWorker)
            worker!.Pin.Unpin();
        else
            mm.EndAccess();
        return result;
    }

    private IssueStatus CheckAndTransfer(Request request, IoVector vector, IssueFlags flags)
    {
        Errno refused = Check(request, flags);
        return refused == Errno.OK ? Transfer(request, vector, flags) : request.Done(refused);
    }

    /// <summary>Files find out that none of the memory is accessible when they touch it; one that has nothing to read says so, or is waited for.</summary>
    private IssueStatus NoMemory(Request request, IoVector vector, IssueFlags flags)
    {
        if (IsWrite && request.File!.IsRegular)
            return request.Done(Errno.EFAULT);
        vector.AddInaccessible(request.Length);
        vector.IsCut = false;
        return Transfer(request, vector, flags);
    }

    /// <summary>True when a wait for the file would be over. Those that can be waited for but not read or written fail only then.</summary>
    private bool IsReady(FileDescription file)
        => (file.Poll() & ((IsWrite ? PollEvents.POLLOUT : PollEvents.POLLIN) | PollEvents.POLLERR | PollEvents.POLLHUP)) != 0;

    private IssueStatus Transfer(Request request, IoVector vector, IssueFlags flags)
    {
        FileDescription file = request.File!;
        RwFlags rw = (RwFlags)request.Sqe.rw_flags;
        if (WaitsOnWorker(request, flags))
            rw &= ~RwFlags.RWF_NOWAIT;
        if (request.Length == 0 && file.SkipsEmpty(IsWrite))
            return Finish(request, 0);
        // Its state could be read at once; but what cannot tell that it would wait is waited for.
        if (file is PosixQueueFile && (flags & IssueFlags.NonBlock) != 0 && !IsReady(file))
            return IssueStatus.WouldBlock;
        bool whole = file.IsRegular, inPlace = (flags & IssueFlags.Unlocked) == 0;
        if (whole && (flags & IssueFlags.NonBlock) != 0 && file.HostDescriptor >= 0)
        {
            // Direct I/O waits for the disk even when it is told not to.
            if (file.IsDirect && (request.Flags & RequestFlags.NoWait) == 0)
                return IssueStatus.WouldBlock;
            rw |= RwFlags.RWF_NOWAIT;
        }
        while (true)
        {
            SysResult moved = Move(request, file, vector, rw, inPlace);
            if (moved.Error == Errno.EAGAIN && (request.Flags & RequestFlags.NoWait) == 0)
            {
                if (whole && IsWrite)
                    GoesToWorker(request);
                return IssueStatus.WouldBlock;
            }
            if (moved.Error == Errno.EINVAL && (flags & IssueFlags.NonBlock) != 0 && file is (Ring or Epoll or PidFd) && !IsReady(file))
                return IssueStatus.WouldBlock;
            if (moved.IsError)
                return Finish(request, moved);
            request.Moved += (ulong)moved.Value;
            if (moved.Value == 0 || request.Moved >= request.Length || !whole || (request.Flags & RequestFlags.NoWait) != 0
                || (IsWrite && !inPlace))
            {
                return Finish(request, 0);
            }
        }
    }

    /// <summary>What is told before memory or the file is looked at: EBADF (mode), EOPNOTSUPP (flags), EINVAL and ESPIPE (place).</summary>
    private Errno Check(Request request, IssueFlags flags)
    {
        FileDescription file = request.File!;
        if (IsWrite ? !file.CanWrite : !file.CanRead)
            return Errno.EBADF;
        RwFlags rw = (RwFlags)request.Sqe.rw_flags;
        bool mayWait = false;
        if (rw != RwFlags.None)
        {
            mayWait = IsWrite && (rw & RwFlags.RWF_NOWAIT) != 0 && FileOperations.WritesMayWait(file);
            Errno e = FileOperations.CheckFlags(file, mayWait ? rw & ~RwFlags.RWF_NOWAIT : rw, IsWrite);
            if (e != Errno.OK)
                return e;
            bool waits = WaitsOnWorker(request, flags);
            mayWait &= !waits;
            if ((rw & RwFlags.RWF_NOWAIT) != 0 && !waits)
                request.Flags |= RequestFlags.NoWait;
        }
        // A ring that polls for completions needs files that can be polled so; no other takes the flag for it.
        bool polls = (request.Ring.Setup & IoUringSetup.IOPOLL) != 0;
        if (polls && (!file.IsRegular || (file.Flags & OpenFlags.O_DIRECT) == 0))
            return Errno.EOPNOTSUPP;
        if (!polls && (rw & RwFlags.RWF_HIPRI) != 0)
            return Errno.EINVAL;
        if (mayWait)
            return Errno.EAGAIN;
        if (file.IsRegular && file.HostDescriptor < 0 && !file.IsDirect && (IsWrite || !file.SupportsNoWait))
            GoesToWorker(request);
        // Streams have no place, but a wrong one is refused all the same.
        long offset = (long)request.Sqe.off;
        if (offset != -1 && (offset < 0 || offset > long.MaxValue - (long)request.Length))
            return Errno.EINVAL;
        return offset > 0 && file is Socket ? Errno.ESPIPE : Errno.OK;
    }

    /// <summary>A worker waits as it likes, RWF_NOWAIT or not, unless it was asked for and the file can be polled.</summary>
    private static bool WaitsOnWorker(Request request, IssueFlags flags)
        => ((flags & IssueFlags.Unlocked) != 0 || (request.Flags & RequestFlags.OnWorker) != 0)
        && ((request.Flags & RequestFlags.ForceAsync) == 0 || request.File!.Waiters is null);

    /// <summary>What has to wait for a file, which ends by itself, is a worker's on Linux: what is linked behind it goes on there.</summary>
    private static void GoesToWorker(Request request)
    {
        if ((request.Ring.Setup & IoUringSetup.DEFER_TASKRUN) == 0)
            request.Flags |= RequestFlags.OnWorker;
    }

    private SysResult Move(Request request, FileDescription file, IoVector vector, RwFlags rw, bool inPlace)
    {
        // The rest of the range cannot be accessed.
        if (vector.Remaining == 0 && request.Moved < request.Length)
            return Errno.EFAULT;
        long offset = (long)request.Sqe.off;
        if (offset != -1 && file.IsSeekable)
            offset += (long)request.Moved;
        if (IsWrite)
        {
            // What a worker, or the rest of a transfer, runs into raises no signal.
            Errno e = FileOperations.LimitWrite(request.Task, file, vector, offset, rw, signals: inPlace && request.Moved == 0);
            if (e != Errno.OK)
                return e;
        }
        SysResult moved = FileOperations.Move(file, vector, offset, rw, IsWrite);
        // File systems that cannot tell whether they would wait say so only then.
        return moved.Error == Errno.EOPNOTSUPP && (rw & RwFlags.RWF_NOWAIT) != 0 ? Errno.EAGAIN : moved;
    }

    /// <summary>What was moved counts even when an error came after it; a short transfer breaks the chain.</summary>
    protected IssueStatus Finish(Request request, SysResult end)
    {
        if (request.Moved == 0 && end.IsError)
        {
            if (end.Error == Errno.EPIPE && IsWrite && request.File!.RaisesSigpipe && (request.Flags & (RequestFlags.Worked | RequestFlags.OnWorker)) == 0
                && ((RwFlags)request.Sqe.rw_flags & RwFlags.RWF_NOSIGNAL) == 0)
            {
                request.Task.SendSigpipe();
            }
            return request.Done(end);
        }
        request.Result = (int)request.Moved;
        if (request.Moved != request.Length)
            request.SetFail();
        return IssueStatus.Done;
    }

    private static Errno CheckPriority(ushort priority, Request request)
    {
        const int ClassShift = 13, LevelMask = 7;
        return (priority >> ClassShift) switch
        {
            0 => (priority & LevelMask) != 0 ? Errno.EINVAL : Errno.OK,
            1 => request.Origin.Credentials.Has(Capability.CAP_SYS_ADMIN) ? Errno.OK : Errno.EPERM,
            2 or 3 => Errno.OK,
            _ => Errno.EINVAL,
        };
    }

    /// <summary>Integrity data (IORING_RW_ATTR_FLAG_PI) needs a block device that keeps it; there is none.</summary>
    private static Errno PrepareAttributes(Request request)
    {
        const ulong IORING_RW_ATTR_FLAG_PI = 1;
        if (request.Sqe.attr_type_mask != IORING_RW_ATTR_FLAG_PI)
            return Errno.EINVAL;
        Span<byte> attribute = stackalloc byte[32];
        Errno e = request.Origin.Mm.CopyIn(new UserPtr(request.Sqe.attr_ptr), attribute);
        return e != Errno.OK ? e : Errno.EINVAL;
    }
}

/// <summary>IORING_OP_READ, IORING_OP_WRITE: one buffer.</summary>
internal class ReadWrite(bool isWrite) : RwOperation(isWrite)
{
    /// <inheritdoc/>
    protected override Errno PrepareBuffer(Request request)
    {
        request.Wanted = request.Length = Math.Min(request.Sqe.len, MemoryManager.MAX_RW_COUNT);
        return (request.Flags & RequestFlags.BufferSelect) != 0 || MemoryManager.IsUserRange(request.Sqe.addr, request.Length) ? Errno.OK : Errno.EFAULT;
    }

    /// <inheritdoc/>
    protected override Errno Import(Request request, IoVector into, IssueFlags flags, PinnedRange? pin)
    {
        MapAccess access = IsWrite ? MapAccess.Read : MapAccess.Write;
        UserPtr at = new(request.Sqe.addr + request.Moved);
        ulong length = request.Length - request.Moved;
        ulong there;
        if (pin is null)
        {
            there = request.Origin.Mm.Translate(at, length, access, into);
        }
        else
        {
            there = request.Origin.Mm.PinPartly(at, length, access, pin);
            pin.AddTo(into, 0, there);
        }
        return there == 0 && length != 0 && request.Moved == 0 ? Errno.EFAULT : Errno.OK;
    }
}

/// <summary>
/// IORING_OP_READ_MULTISHOT: reads into provided buffers whenever there is something, one CQE each, until the end of the file, an error,
/// or no buffer.
/// </summary>
internal sealed class ReadMultishot() : ReadWrite(isWrite: false)
{
    /// <summary>CQEs in a row before others get their turn.</summary>
    private const int MaxAtOnce = 32;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
        => (request.Flags & RequestFlags.BufferSelect) == 0 ? Errno.EINVAL : base.Prepare(request);

    /// <inheritdoc/>
    protected override Errno PrepareBuffer(Request request)
    {
        if (request.Sqe.addr != 0 || request.Sqe.len != 0)
            return Errno.EINVAL;
        request.Flags |= RequestFlags.Multishot;
        return base.PrepareBuffer(request);
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        if (request.File!.Waiters is null)
            return request.Done(Errno.EBADFD);
        // A worker could only wait for the file.
        if ((flags & IssueFlags.Unlocked) != 0)
            return IssueStatus.WouldBlock;
        for (int i = 0; i < MaxAtOnce; i++)
        {
            request.Moved = 0;
            IssueStatus status = base.Issue(request, flags);
            // A short one, or the end, is no failure.
            if (status == IssueStatus.Done && request.Result >= 0)
                request.ClearFail();
            if (status != IssueStatus.Done || request.Result <= 0 || !request.Ring.PostMore(request, request.Result, request.CqeFlags | CqeFlags.MORE))
                return status;
            request.CqeFlags = CqeFlags.None;
            request.Retries = 0;
            // Between two reads it waits, which RWF_NOWAIT does not allow.
            if ((request.Flags & RequestFlags.NoWait) != 0)
                return request.Done(Errno.EAGAIN);
            // It takes a buffer, or ends for want of one, only when there is something to put into it.
            if ((request.File.Poll() & (PollEvents.POLLIN | PollEvents.POLLHUP | PollEvents.POLLERR)) == 0)
                return IssueStatus.WouldBlock;
        }
        request.Ring.MakeReady(request, RequestState.IssueHere);
        return IssueStatus.Queued;
    }
}

/// <summary>IORING_OP_READV, IORING_OP_WRITEV: an array of struct iovec, copied when the request is prepared.</summary>
internal class ReadWriteVector(bool isWrite) : RwOperation(isWrite)
{
    private const uint UIO_MAXIOV = 1024;

    /// <inheritdoc/>
    protected override Errno PrepareBuffer(Request request)
    {
        uint count = request.Sqe.len;
        if ((request.Flags & RequestFlags.BufferSelect) != 0 && count != 1)
            return Errno.EINVAL;
        if (count > UIO_MAXIOV)
            return Errno.EINVAL;
        if (request.Vectors.Length < count)
            request.Vectors = new IoVec[Math.Max(8, (int)count)];
        Span<IoVec> vectors = request.Vectors.AsSpan(0, (int)count);
        Errno e = request.Origin.Mm.CopyIn(new UserPtr(request.Sqe.addr), MemoryMarshal.AsBytes(vectors));
        if (e != Errno.OK)
            return e;
        if ((request.Flags & RequestFlags.BufferSelect) != 0)
        {
            request.Wanted = request.Length = Math.Min(vectors[0].Length, MemoryManager.MAX_RW_COUNT);
            return Errno.OK;
        }
        e = MemoryManager.CheckVectors(vectors, isOnly: count == 1);
        request.Length = e == Errno.OK ? MemoryManager.LimitVectors(vectors) : 0;
        return e;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        if (!MovesParts(request))
            return base.Issue(request, flags);
        // One part at a time, until one is not whole.
        while (true)
        {
            ulong end = request.Moved + NextLength(request);
            bool isFirst = request.Moved == 0;
            IssueStatus status = base.Issue(request, flags);
            if (status == IssueStatus.WouldBlock && !isFirst)
                return Finish(request, 0);
            if (status != IssueStatus.Done || request.Moved != end || end >= request.Length)
                return status;
            request.ClearFail();
        }
    }

    private bool MovesParts(Request request) => request.Sqe.len > 1 && request.File!.TakesParts(IsWrite);

    /// <inheritdoc/>
    protected override ulong NextLength(Request request)
    {
        if (!MovesParts(request))
            return base.NextLength(request);
        ulong skip = request.Moved;
        foreach (IoVec vector in request.Vectors.AsSpan(0, (int)request.Sqe.len))
        {
            if (skip < vector.Length)
                return vector.Length - skip;
            skip -= vector.Length;
        }
        return 0;
    }

    /// <inheritdoc/>
    protected override void SetBuffer(Request request, ulong address)
        => request.Vectors[0] = new IoVec { Base = address, Length = request.Length };

    /// <inheritdoc/>
    protected override Errno Import(Request request, IoVector into, IssueFlags flags, PinnedRange? pin)
    {
        MapAccess access = IsWrite ? MapAccess.Read : MapAccess.Write;
        ulong there;
        pin?.Unpin();
        do
        {
            if (into.IsStale)
                into.Clear();
            there = ImportVectors(request, into, access, pin);
        }
        while (into.IsStale);
        pin?.AddTo(into, 0, there);
        return there == 0 && request.Length != 0 && request.Moved == 0 ? Errno.EFAULT : Errno.OK;
    }

    private ulong ImportVectors(Request request, IoVector into, MapAccess access, PinnedRange? pin)
    {
        ulong skip = request.Moved, there = 0;
        foreach (IoVec vector in request.Vectors.AsSpan(0, (int)request.Sqe.len))
        {
            if (skip >= vector.Length)
            {
                skip -= vector.Length;
                continue;
            }
            UserPtr at = new(vector.Base + skip);
            ulong length = vector.Length - skip;
            ulong got = pin is null ? request.Origin.Mm.Translate(at, length, access, into) : request.Origin.Mm.PinMore(at, length, access, pin);
            there += got;
            if (got != length || MovesParts(request))
                break;
            skip = 0;
        }
        return there;
    }
}

/// <summary>IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED: a part of a registered buffer, which needs no translation.</summary>
internal sealed class ReadWriteFixed(bool isWrite) : RwOperation(isWrite)
{
    /// <inheritdoc/>
    protected override bool IsPinned => true;

    /// <inheritdoc/>
    protected override Errno PrepareBuffer(Request request)
    {
        request.Length = request.Sqe.len;
        return Errno.OK;
    }

    /// <inheritdoc/>
    protected override Errno Import(Request request, IoVector into, IssueFlags flags, PinnedRange? pin)
    {
        if (request.Length > MemoryManager.MAX_RW_COUNT || !request.Ring.TryAssignBuffer(request, flags))
            return Errno.EFAULT;
        return request.BufferNode!.Buffer!.AddTo(into, request.Sqe.addr + request.Moved, request.Length - request.Moved);
    }
}

/// <summary>IORING_OP_READV_FIXED, IORING_OP_WRITEV_FIXED: an array of struct iovec, all within one registered buffer.</summary>
internal sealed class ReadWriteVectorFixed(bool isWrite) : ReadWriteVector(isWrite)
{
    /// <inheritdoc/>
    protected override bool IsPinned => true;

    /// <inheritdoc/>
    protected override Errno PrepareBuffer(Request request) => request.Sqe.len > RegisteredBuffer.MostParts ? Errno.ENOMEM : base.PrepareBuffer(request);

    /// <inheritdoc/>
    protected override Errno Import(Request request, IoVector into, IssueFlags flags, PinnedRange? pin)
    {
        if (!request.Ring.TryAssignBuffer(request, flags))
            return Errno.EFAULT;
        Errno e = RegisteredBuffer.CheckParts(request.Vectors.AsSpan(0, (int)request.Sqe.len));
        if (e != Errno.OK)
            return e;
        ulong skip = request.Moved;
        foreach (IoVec vector in request.Vectors.AsSpan(0, (int)request.Sqe.len))
        {
            // A part of a registered buffer is never empty.
            if (vector.Length == 0)
                return Errno.EFAULT;
            if (skip >= vector.Length)
            {
                skip -= vector.Length;
                continue;
            }
            e = request.BufferNode!.Buffer!.AddTo(into, vector.Base + skip, vector.Length - skip);
            if (e != Errno.OK)
                return e;
            skip = 0;
        }
        return Errno.OK;
    }
}
