using Moat.Host;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    /// <summary>What a new thread shares is decided by these; all others of clone(2) have no meaning for threads or are refused.</summary>
    private const CloneFlags ThreadFlags = CloneFlags.CLONE_VM | CloneFlags.CLONE_SIGHAND | CloneFlags.CLONE_THREAD;

    /// <summary>
    /// Makes a new thread of this process from checked arguments (clone(2), clone3(2)) and starts it. Returns its id, EAGAIN
    /// (limits, the host gives no thread), EPERM (thread pointer), ERESTARTNOINTR (the process ends).
    /// </summary>
    public SysResult CloneThread(CloneFlags flags, ulong stackPointer, ulong tls, ulong parentTid, ulong childTid)
    {
        if ((flags & CloneFlags.CLONE_SETTLS) != 0 && tls >= Sentry.Platform.MaxAddress)
            return Errno.EPERM;
        if ((ulong)Group.ThreadCount >= Group.Limits.Get(Resource.RLIMIT_NPROC).Current && !Credentials.Has(Capability.CAP_SYS_RESOURCE) && !Credentials.Has(Capability.CAP_SYS_ADMIN))
            return Errno.EAGAIN;
        int tid = Sentry.Tasks.Allocate();
        if (tid < 0)
            return Errno.EAGAIN;
        GuestThread? thread = CreateGuestThread();
        if (thread is null)
        {
            Sentry.Tasks.Free(tid);
            return Errno.EAGAIN;
        }
        bool sharesFs = (flags & CloneFlags.CLONE_FS) != 0, sharesFiles = (flags & CloneFlags.CLONE_FILES) != 0;
        if (sharesFiles)
            Files.AddUser();
        Mm.AddUser();
        Task child = new(Group, tid, Mm, sharesFiles ? Files : Files.Copy(), sharesFs ? Fs : Fs.Copy(), Credentials)
        {
            Thread = thread,
            Blocked = Blocked,
            ClearChildTid = (flags & CloneFlags.CLONE_CHILD_CLEARTID) != 0 ? childTid : 0,
            SetChildTid = (flags & CloneFlags.CLONE_CHILD_SETTID) != 0 ? childTid : 0,
            NoNewPrivileges = NoNewPrivileges,
            TimerSlack = TimerSlack,
            Nice = Nice,
            SchedulerPolicy = SchedulerPolicy,
            IoPriority = IoPriority,
            Affinity = Affinity,
        };
        child.SetName(Name);
        CopyRegistersTo(child, flags, stackPointer, tls);
        if (!Group.TryAdd(child))
        {
            child.Discard();
            return Errno.ERESTARTNOINTR;
        }
        // Before the thread can run; a bad address is the caller's loss, as on Linux.
        if ((flags & CloneFlags.CLONE_PARENT_SETTID) != 0)
            Mm.Write(new Syscalls.UserPtr<int>(parentTid), tid);
        return Sentry.Launch(child) ? tid : Errno.EAGAIN;
    }

    private GuestThread? CreateGuestThread()
    {
        try
        {
            return Mm.Space.CreateThread();
        }
        catch (HostException e)
        {
            Sentry.Log?.Invoke($"no thread: {e.Message}");
            return null;
        }
    }

    private void CopyRegistersTo(Task child, CloneFlags flags, ulong stackPointer, ulong tls)
    {
        ref GuestRegisters regs = ref child.Thread.Registers;
        regs = Thread.Registers;
        regs.Rax = 0;
        if (stackPointer != 0)
            regs.Rsp = stackPointer;
        child.Thread.RestoreFpuState(Thread.FpuState);
        child.Thread.FsBase = (flags & CloneFlags.CLONE_SETTLS) != 0 ? tls : Thread.FsBase;
        child.Thread.GsBase = Thread.GsBase;
    }

    /// <summary>Gives back what a task holds that never ran and belongs to no process yet.</summary>
    private void Discard()
    {
        Thread.Dispose();
        Vector.Dispose();
        Files.DropUser();
        Mm.DropUser();
        ParkerPool.Return(_parker);
        Sentry.Tasks.Free(Tid);
    }

    /// <summary>The host gave no sentry thread for a task that its process knows already: undoes it all.</summary>
    internal void Abandon()
    {
        Files.DropUser();
        Finish();
    }

    /// <summary>Stops sharing the file system context or the descriptors with other tasks (unshare(2)).</summary>
    public void Unshare(bool fs, bool files)
    {
        if (fs)
            Fs = Fs.Copy();
        if (!files)
            return;
        Vfs.FdTable old = Files;
        Files = old.Copy();
        old.DropUser();
    }
}
