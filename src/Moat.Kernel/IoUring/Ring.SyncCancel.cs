using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>IORING_REGISTER_SYNC_CANCEL: cancels, and waits for what a worker is in the middle of.</summary>
internal sealed partial class Ring
{
    /// <summary>IORING_ASYNC_CANCEL_ flags that there are.</summary>
    public const CancelFlags KnownCancel = CancelFlags.ALL | CancelFlags.FD | CancelFlags.ANY | CancelFlags.FD_FIXED
        | CancelFlags.USERDATA | CancelFlags.OP;

    // As with ASYNC_CANCEL, and ETIME, EINTR.
    private SysResult CancelAndWait(Task task, UserPtr argument)
    {
        const long LookAgain = 1_000_000;
        Errno e = task.Mm.Read(new UserPtr<IoUringSyncCancelReg>(argument.Address), out IoUringSyncCancelReg reg);
        if (e != Errno.OK)
            return e;
        CancelFlags flags = (CancelFlags)reg.flags;
        if ((flags & ~KnownCancel) != 0 || ((ReadOnlySpan<byte>)reg.pad).ContainsAnyExcept((byte)0) || (reg.pad2_0 | reg.pad2_1 | reg.pad2_2) != 0)
            return Errno.EINVAL;
        CancelMatch match = new() { Flags = flags, UserData = reg.addr, Opcode = reg.opcode };
        SysResult result = TryCancel(task, reg.fd, ref match, out FileDescription? file);
        long deadline = reg.timeout is { Seconds: -1, Nanoseconds: -1 } ? Task.Forever : HostClock.Add(HostClock.Now, ToNanoseconds(reg.timeout));
        bool waited = false;
        while (result.Error == Errno.EALREADY)
        {
            waited = true;
            WaitOutcome outcome = WaitForCompletion(task, Math.Min(deadline, HostClock.Now + LookAgain));
            result = outcome == WaitOutcome.Interrupted ? Errno.EINTR
                : HostClock.Now >= deadline ? Errno.ETIME : TryCancel(task, reg.fd, ref match, out _);
        }
        file?.DropReference();
        return waited && (result.Error == Errno.ENOENT || result.Value > 0) ? 0 : result;
    }

    private SysResult TryCancel(Task task, int fd, ref CancelMatch match, out FileDescription? file)
    {
        file = null;
        _lock.Enter();
        SysResult result;
        if (IsForeign(task) || IsForbidden(IoUringRegisterOp.REGISTER_SYNC_CANCEL))
        {
            result = IsForeign(task) ? Errno.EEXIST : Errno.EACCES;
        }
        else
        {
            if ((match.Flags & CancelFlags.FD) != 0 && match.File is null)
                match.File = file = (match.Flags & CancelFlags.FD_FIXED) != 0 ? GetFixedFile(fd) : GetFile(task.Files, fd);
            result = (match.Flags & CancelFlags.FD) != 0 && match.File is null ? Errno.EBADF : Cancel(match);
            TakeFinished();
            RunWork();
        }
        Unlock();
        return result;
    }

    /// <summary>Sleeps until some completion is posted, or the deadline.</summary>
    private WaitOutcome WaitForCompletion(Task task, long deadline)
    {
        Waiter waiter;
        lock (_cqLock)
            waiter = AddWaiter(task, _cqTail + 1);
        WaitOutcome outcome = WaitOutcome.Woken;
        while (outcome == WaitOutcome.Woken && !IsSatisfied(waiter))
        {
            if (HasWork)
                RunAsWaiter(uint.MaxValue);
            outcome = IsSatisfied(waiter) ? WaitOutcome.Woken : task.Block(deadline);
        }
        lock (_cqLock)
            RemoveWaiter(waiter);
        if (!_defer)
            RunPending();
        return outcome;
    }
}
