using System.Numerics;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>What a cancellation looks for (IORING_ASYNC_CANCEL_).</summary>
internal struct CancelMatch
{
    public CancelFlags Flags;
    public ulong UserData;
    public FileDescription? File;
    public byte Opcode;

    /// <summary>Only requests of this task; null: of all.</summary>
    public Task? Task;

    /// <summary>True when every match is meant.</summary>
    public readonly bool IsAll => (Flags & (CancelFlags.ALL | CancelFlags.ANY)) != 0;

    /// <summary>True when the user data alone decides: the table finds it without a search.</summary>
    public readonly bool IsByUserData => (Flags & (CancelFlags.FD | CancelFlags.OP | CancelFlags.ANY)) == 0;

    public readonly bool Matches(Request request)
    {
        if (Task is not null && request.Task != Task)
            return false;
        if ((Flags & CancelFlags.ANY) != 0)
            return true;
        if ((Flags & CancelFlags.FD) != 0 && request.File != File)
            return false;
        if ((Flags & CancelFlags.OP) != 0 && request.Sqe.opcode != Opcode)
            return false;
        bool byUserData = (Flags & CancelFlags.USERDATA) != 0 || (Flags & (CancelFlags.FD | CancelFlags.OP)) == 0;
        return !byUserData || request.Sqe.user_data == UserData;
    }
}

/// <summary>Finding requests that wait, and taking them back.</summary>
internal sealed partial class Ring
{
    // Every request that waits for readiness, a timer or a worker, by user data. Under the lock. Made as Linux makes its own: where all are
    // looked through the places decide who comes first.
    private readonly Request?[] _hash;
    private readonly int _hashBits;
    private int _hashed;

    /// <summary>Binary logarithm of the places for as many CQEs.</summary>
    private static int HashBitsFor(uint cqEntries) => Math.Clamp(BitOperations.Log2(cqEntries) - 5, 1, 8);

    /// <summary>
    /// Cancels as ASYNC_CANCEL and IORING_REGISTER_SYNC_CANCEL ask. Returns 0 (or how many, when all are meant), ENOENT, or
    /// EALREADY when a worker runs it. Under the lock.
    /// </summary>
    public SysResult Cancel(in CancelMatch match)
    {
        if (!match.IsAll)
            return CancelOne(match);
        // One pass for each kind: programs may have very many that wait. What can only be interrupted is not counted.
        int cancelled = CancelEach(match, RequestState.Worker, WaitKind.Any) + CancelEach(match, RequestState.PollArmed, WaitKind.Poll);
        // All of futexes or of children count as one, unless they are any.
        int most = (match.Flags & CancelFlags.ALL) != 0 ? 1 : int.MaxValue;
        cancelled += Math.Min(CancelEach(match, RequestState.PollArmed, WaitKind.Child), most);
        cancelled += Math.Min(CancelEach(match, RequestState.PollArmed, WaitKind.Futex), most);
        if ((match.Flags & CancelFlags.FD) == 0)
            cancelled += CancelEach(match, RequestState.TimerArmed, WaitKind.Any);
        return cancelled;
    }

    private SysResult CancelOne(in CancelMatch match)
    {
        SysResult result = Errno.ENOENT;
        Request? request = Find(match, RequestState.Worker);
        if (request is not null)
        {
            result = CancelRequest(request);
            if (!result.IsError)
                return result;
        }
        request = Find(match, RequestState.PollArmed, WaitKind.Poll) ?? Find(match, RequestState.PollArmed);
        if (request is null && (match.Flags & CancelFlags.FD) == 0)
            request = Find(match, RequestState.TimerArmed);
        if (request is null)
            return result;
        return CancelArmed(request);
    }

    /// <summary>As <see cref="CancelRequest"/>, but waits for futexes and children are counted even when there can be only one: 1.</summary>
    public SysResult CancelArmed(Request request)
    {
        WaitKind kind = KindOf(request);
        SysResult result = CancelRequest(request);
        return kind == WaitKind.Poll || result.IsError ? result : 1;
    }

    /// <summary>Cancels every request in a state that matches, and counts those that are cancelled. Under the lock.</summary>
    private int CancelEach(in CancelMatch match, RequestState state, WaitKind kind)
    {
        int first = match.IsByUserData ? BucketOf(match.UserData) : 0;
        int last = match.IsByUserData ? first : _hash.Length - 1, cancelled = 0;
        for (int i = first; i <= last; i++)
        {
            for (Request? r = _hash[i]; r is not null;)
            {
                Request? next = r.HashNext;
                if (IsMeant(r, match, state, kind) && !CancelRequest(r).IsError)
                    cancelled++;
                r = next;
            }
        }
        return cancelled;
    }

    /// <summary>What an armed request waits for; Linux keeps them apart.</summary>
    private enum WaitKind : byte
    {
        Any,
        Poll,
        Child,
        Futex,
    }

    private static WaitKind KindOf(Request request) => request.Op.Number switch
    {
        IoUringOp.FUTEX_WAIT or IoUringOp.FUTEX_WAITV => WaitKind.Futex,
        IoUringOp.WAITID => WaitKind.Child,
        _ => WaitKind.Poll,
    };

    /// <summary>The first request in a state that matches and was not cancelled before.</summary>
    private Request? Find(in CancelMatch match, RequestState state, WaitKind kind = WaitKind.Any)
    {
        int first = match.IsByUserData ? BucketOf(match.UserData) : 0;
        int last = match.IsByUserData ? first : _hash.Length - 1;
        for (int i = first; i <= last; i++)
        {
            for (Request? r = _hash[i]; r is not null; r = r.HashNext)
            {
                if (IsMeant(r, match, state, kind))
                    return r;
            }
        }
        return null;
    }

    private static bool IsMeant(Request request, in CancelMatch match, RequestState state, WaitKind kind)
    {
        bool isThere = request.State == state || (state == RequestState.Worker && request.State == RequestState.WorkerDone);
        return isThere && !request.CancelRequested && request.Op.Number != IoUringOp.LINK_TIMEOUT && match.Matches(request)
            && (kind == WaitKind.Any || kind == KindOf(request));
    }

    /// <summary>The armed request of an operation with this user data, or null.</summary>
    public Request? FindArmed(ulong userData, IoUringOp op)
    {
        for (Request? r = _hash[BucketOf(userData)]; r is not null; r = r.HashNext)
        {
            if (r.Sqe.user_data == userData && r.Op.Number == op)
                return r;
        }
        return null;
    }

    /// <summary>Takes one waiting request back; it completes with ECANCELED. 0, EALREADY or ENOENT. Under the lock.</summary>
    public SysResult CancelRequest(Request request)
    {
        // What a worker has attempted and brings back may still be about to wait.
        if (request.State is RequestState.Worker or RequestState.WorkerDone)
        {
            if (request.Workers!.TryRemove(request))
            {
                Unhash(request);
                MakeComplete(request, -(int)Errno.ECANCELED);
                return SysResult.Ok;
            }
            request.CancelRequested = true;
            return Errno.EALREADY;
        }
        if (request.State is not (RequestState.PollArmed or RequestState.TimerArmed))
            return Errno.ENOENT;
        // A poll is found, and cancelled with success, until it is complete.
        bool isFound = KindOf(request) == WaitKind.Poll && (request.Flags & RequestFlags.Waits) == 0 && request.State == RequestState.PollArmed;
        if (isFound && (request.Flags & RequestFlags.Canceled) != 0)
            return SysResult.Ok;
        request.Flags |= RequestFlags.Canceled;
        if (!isFound)
            Unhash(request);
        if (request.Op.Disarm(request) && !request.IsPending)
            MakeReady(request, request.State);
        return (request.Flags & RequestFlags.Waits) != 0 ? Errno.EALREADY : SysResult.Ok;
    }

    /// <summary>
    /// A task ends or executes another program: what workers have of it is cancelled, and what could keep rings alive; with
    /// <paramref name="all"/> everything. What else waits ends when it is woken.
    /// </summary>
    public void CancelOf(Task task, bool all)
    {
        _lock.Enter();
        RemoveUser(task);
        // First what has not begun: the end of the others would start it.
        if (all)
            CancelDeferred(task);
        // Chains that go on may have begun what ends too.
        while (CancelPass(task, all))
            RunWork();
        TakeFinished();
        RunWork();
        Unlock();
    }

    /// <summary>Cancels what of a task ends with it. True when something was that waits no more.</summary>
    private bool CancelPass(Task task, bool all)
    {
        bool any = false;
        for (int i = 0; i < _hash.Length; i++)
        {
            for (Request? r = _hash[i]; r is not null;)
            {
                Request? next = r.HashNext;
                bool ends = r.Task == task && (r.Flags & RequestFlags.Canceled) == 0;
                if (ends && (all || r.State == RequestState.Worker || (r.Flags & RequestFlags.Waits) != 0 || EndsWithTask(r)))
                    any |= !CancelRequest(r).IsError;
                r = next;
            }
        }
        return any;
    }

    /// <summary>The request, or one that is linked behind it, does not outlive the task that submitted it.</summary>
    private static bool EndsWithTask(Request? request)
    {
        while (request is not null && (request.Flags & RequestFlags.Inflight) == 0)
            request = request.Link;
        return request is not null;
    }

    /// <summary>Enters a request that begins to wait.</summary>
    public void Hash(Request request, RequestState state)
    {
        request.State = state;
        request.CancelRequested = false;
        if ((request.Flags & RequestFlags.Hashed) != 0)
            return;
        request.Flags |= RequestFlags.Hashed;
        _hashed++;
        Insert(request);
    }

    /// <summary>A request waits no longer.</summary>
    public void Unhash(Request request)
    {
        if ((request.Flags & RequestFlags.Hashed) == 0)
            return;
        request.Flags &= ~RequestFlags.Hashed;
        if (request.HoldsWorker)
        {
            request.HoldsWorker = false;
            request.Workers!.Release(request);
        }
        _hashed--;
        if (request.HashPrevious is null)
            _hash[BucketOf(request.Sqe.user_data)] = request.HashNext;
        else
            request.HashPrevious.HashNext = request.HashNext;
        if (request.HashNext is not null)
            request.HashNext.HashPrevious = request.HashPrevious;
        request.HashNext = request.HashPrevious = null;
    }

    private void Insert(Request request)
    {
        ref Request? bucket = ref _hash[BucketOf(request.Sqe.user_data)];
        request.HashPrevious = null;
        request.HashNext = bucket;
        if (bucket is not null)
            bucket.HashPrevious = request;
        bucket = request;
    }

    private int BucketOf(ulong userData)
    {
        // Often a pointer or a small number: mix, then take the top bits.
        const ulong GoldenRatio = 0x61C8864680B583EB;
        return (int)((userData * GoldenRatio) >> (64 - _hashBits));
    }
}
