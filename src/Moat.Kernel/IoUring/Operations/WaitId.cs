using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_WAITID: sqe.len and sqe.fd say which child, sqe.file_index the options; the siginfo_t goes to sqe.addr2.</summary>
internal sealed class WaitId : Operation
{
    /// <summary>What is waited for.</summary>
    private sealed class Wanted
    {
        public ChildWait Wait;
        public bool NonBlocking;
    }

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        return sqe.addr != 0 || sqe.buf_index != 0 || sqe.addr3 != 0 || sqe.waitid_flags != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        Wanted wanted = request.Data as Wanted ?? new Wanted();
        request.Data = wanted;
        Errno e = WaitSyscalls.Prepare(request.Task, (int)sqe.len, sqe.fd, (WaitOptions)sqe.file_index, out wanted.Wait, out wanted.NonBlocking);
        return e != Errno.OK ? request.Done(e) : Arm(request, wanted);
    }

    /// <inheritdoc/>
    public override void OnWoken(Request request)
    {
        request.PollWait.Remove();
        if (Arm(request, (Wanted)request.Data!) == IssueStatus.Done)
            request.Ring.Complete(request);
    }

    /// <summary>Waits for the next child's change, and looks.</summary>
    private static IssueStatus Arm(Request request, Wanted wanted)
    {
        Ring ring = request.Ring;
        Task task = request.Task;
        request.PollWait.Persistent = false;
        request.PendingEvents = 0;
        request.Flags |= RequestFlags.Polled;
        ring.Hash(request, RequestState.PollArmed);
        task.Group.ChildWaiters.Add(request.PollWait, PollEvents.POLLIN);
        Errno e = task.Sentry.Processes.Take(task, in wanted.Wait, out ChildReport report);
        if (e == Errno.OK && report.Pid == 0 && !wanted.Wait.Has(WaitOptions.WNOHANG))
            return IssueStatus.Queued;
        request.PollWait.Remove();
        if (e == Errno.OK && report.Pid == 0 && wanted.NonBlocking)
            e = Errno.EAGAIN;
        // Zeroes are written also when there is no child.
        if (request.Sqe.addr2 != 0 && WaitSyscalls.WriteInfo(task, new UserPtr<SigInfo>(request.Sqe.addr2), in report) != Errno.OK)
            e = Errno.EFAULT;
        request.Done(e);
        if (!request.IsPending)
        {
            ring.Unhash(request);
            return IssueStatus.Done;
        }
        // A wake-up has it queued already: it completes from there.
        request.State = RequestState.Complete;
        return IssueStatus.Queued;
    }
}
