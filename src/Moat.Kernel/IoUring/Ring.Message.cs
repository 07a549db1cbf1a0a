using Moat.Kernel.IoUring.Operations;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>What comes from other rings (MSG_RING), and from no ring at all (IORING_REGISTER_SEND_MSG_RING).</summary>
internal sealed partial class Ring
{
    /// <summary>
    /// Posts a CQE that belongs to no request of this ring; with DEFER_TASKRUN its task finds it when it comes by. Any thread, perhaps under
    /// another ring's lock. False: this ring's lock is taken and <paramref name="waits"/> is false.
    /// </summary>
    public bool TryPost(Task sender, ulong userData, int result, CqeFlags flags, bool waits)
    {
        // To itself: in order with its other completions.
        if (_lock.IsHeldByCurrentThread)
        {
            AddToBatch(userData, result, flags);
            return true;
        }
        if (!TryVisit(waits))
            return false;
        TellSelf(sender, userData, result, flags);
        Leave(waits);
        return true;
    }

    /// <summary>The task that alone may run this ring's work (DEFER_TASKRUN) has ended.</summary>
    public bool LacksOwner => _defer && Volatile.Read(ref _issuer) is { IoUringEnded: true };

    /// <summary>Gets this ring's lock; a sender that holds its own ring's only tries.</summary>
    private bool TryVisit(bool waits)
    {
        if (!waits)
            return !_lock.IsHeldByCurrentThread && _lock.TryEnter();
        _lock.Enter();
        return true;
    }

    /// <summary>Under a sender's lock this ring's work is not run: it might lead back to the sender.</summary>
    private void Leave(bool runsWork)
    {
        FlushBatch();
        if (runsWork)
        {
            Unlock();
            return;
        }
        ExitLock();
        Interlocked.MemoryBarrier();
        if (!_defer && HasWork)
            _sentry.UringThread.Schedule(this);
    }

    /// <summary>A CQE of no request: at once, or where the task must come by for it. Under the lock.</summary>
    private void TellSelf(Task sender, ulong userData, int result, CqeFlags flags)
    {
        if (_defer && !_released)
        {
            Request message = Take(_origin ??= new Submitter(sender));
            message.Op = OperationTable.Operations[(int)IoUringOp.MSG_RING]!;
            message.Flags = RequestFlags.None;
            message.Sqe.user_data = userData;
            message.Result = result;
            message.CqeFlags = flags;
            CountLive(1);
            bool isFirst = !HasWork;
            MakeReady(message, RequestState.Complete);
            Volatile.Read(ref _sleeper)?.Wake();
            // Who listens to the eventfd knows of it before the sender goes on.
            if (isFirst && Volatile.Read(ref _eventfd) is not null)
                SignalEventfd(fromWorker: false);
        }
        else
        {
            AddToBatch(userData, result, flags);
        }
    }

    /// <summary>
    /// Installs a file that another ring sends, taking over a reference on success, and <paramref name="tells"/> so in a CQE. False: this
    /// ring's lock is taken and <paramref name="waits"/> is false.
    /// </summary>
    public bool TryReceive(Task sender, FileDescription file, in IoUringSqe sqe, bool tells, bool waits, out SysResult result)
    {
        result = default;
        if (!TryVisit(waits))
            return false;
        result = InstallFile(file, sqe.file_index);
        if (tells && !result.IsError)
            TellSelf(sender, sqe.off, (int)result.Value, CqeFlags.None);
        Leave(waits);
        return true;
    }

    /// <summary>SEND_MSG_RING: an SQE of MSG_RING with data, without a ring of one's own. EINVAL, EFAULT, EBADF, EBADFD (no ring).</summary>
    public static SysResult SendMessage(Task task, UserPtr argument)
    {
        Errno e = task.Mm.Read(new UserPtr<IoUringSqe>(argument.Address), out IoUringSqe sqe);
        if (e != Errno.OK)
            return e;
        if (sqe.flags != 0 || sqe.opcode != (byte)IoUringOp.MSG_RING)
            return Errno.EINVAL;
        e = MsgRing.Check(in sqe);
        if (e != Errno.OK)
            return e;
        if ((uint)sqe.addr != IoUringConst.IORING_MSG_DATA)
            return Errno.EINVAL;
        FileDescription? file = GetFile(task.Files, sqe.fd);
        if (file is null)
            return Errno.EBADF;
        SysResult result = file is Ring target ? MsgRing.PostData(task, target, in sqe, waits: true)!.Value : Errno.EBADFD;
        file.DropReference();
        return result;
    }
}
