using Moat.Kernel.IoUring.Operations;
using Moat.Kernel.Pipes;
using Moat.Kernel.Sockets;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>
/// An operation whose requests meet with faults: stands in the table of rings instead of it. What changes results happens here, before the
/// first attempt; what changes the time of completion is the ring's (<see cref="RequestFlags.Injected"/>).
/// </summary>
internal sealed class FaultyOperation : Operation
{
    private const ulong PIPE_BUF = 4096, DirectUnit = 4096;

    private readonly Operation _inner;
    private readonly UringFaults _faults;

    public FaultyOperation(Operation inner, UringFaults faults)
    {
        _inner = inner;
        _faults = faults;
        Bind(inner.Number, inner.Flags, inner.Support, inner.Note);
    }

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        request.Fault = default;
        Errno error = _inner.Prepare(request);
        if (error != Errno.OK)
            return error;
        request.Fault = request.Ring.PlanFault(Number);
        request.Flags |= RequestFlags.Injected;
        return Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        FaultKinds kind = request.Fault.Kinds & FaultKinds.OfResult;
        if (kind == FaultKinds.None)
            return _inner.Issue(request, flags);
        request.Fault.Kinds &= ~FaultKinds.OfResult;
        if (kind != FaultKinds.Short)
        {
            _faults.Count(kind);
            return request.Done(kind == FaultKinds.Again ? Errno.EAGAIN : Errno.EINTR);
        }
        if (_inner is RwOperation transfer ? Shorten(request, transfer) : ShortenMessage(request))
            _faults.Count(FaultKinds.Short);
        return _inner.Issue(request, flags);
    }

    /// <inheritdoc/>
    public override void OnWoken(Request request) => _inner.OnWoken(request);

    /// <inheritdoc/>
    public override bool Disarm(Request request) => _inner.Disarm(request);

    /// <inheritdoc/>
    public override void Cleanup(Request request) => _inner.Cleanup(request);

    /// <inheritdoc/>
    public override void OnFail(Request request) => _inner.OnFail(request);

    /// <summary>Reads and writes: what Linux moves at once or not at all stays whole.</summary>
    private static bool Shorten(Request request, RwOperation transfer)
    {
        FileDescription file = request.File!;
        bool direct = (file.Flags & OpenFlags.O_DIRECT) != 0, picks = (request.Flags & RequestFlags.BufferSelect) != 0;
        ulong length = picks ? request.Wanted : request.Length;
        bool divisible = file switch
        {
            { IsRegular: true } => true,
            PipeFile => !direct && (!transfer.IsWrite || length > PIPE_BUF),
            Socket socket => socket.IsStream,
            _ => false,
        };
        ulong cut = UringFaults.Cut(length, direct ? DirectUnit : 1, request.Fault.Amount);
        if (!divisible || cut == 0)
            return false;
        if (picks)
            request.Wanted = cut;
        else if (transfer is ReadWriteVector)
            TrimVectors(request, cut);
        request.Length = cut;
        request.Fault.Kinds |= FaultKinds.Shortened;
        return true;
    }

    private static void TrimVectors(Request request, ulong length)
    {
        foreach (ref IoVec vector in request.Vectors.AsSpan(0, (int)request.Sqe.len))
        {
            vector.Length = Math.Min(vector.Length, length);
            length -= vector.Length;
        }
    }

    /// <summary>Sends and receives of streams, without MSG_WAITALL and provided buffers. A short one breaks no chain.</summary>
    private static bool ShortenMessage(Request request)
    {
        if (request.File is not Socket { IsStream: true } || request.Message is not { } message
            || (request.Flags & RequestFlags.BufferSelect) != 0 || (message.Flags & MsgFlags.MSG_WAITALL) != 0)
        {
            return false;
        }
        ulong cut = UringFaults.Cut(message.Length, 1, request.Fault.Amount);
        if (cut != 0)
            message.Shorten(cut);
        return cut != 0;
    }
}
