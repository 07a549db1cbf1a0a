using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Signals;
using Moat.Kernel.Syscalls;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private Task? _vforkParent;
    private volatile bool _hasLeftMemory;

    /// <summary>True when the caller's real user has as many threads as RLIMIT_NPROC says. They are only counted when all of them are as many.</summary>
    private bool ExceedsProcessLimit(int all)
    {
        ulong limit = Group.Limits.Get(Resource.RLIMIT_NPROC).Current, own = 0;
        if ((ulong)all < limit)
            return false;
        foreach (ThreadGroup group in Sentry.Tasks.GetGroups())
        {
            // One that has ended and waits to be waited for counts too.
            if (group.Leader.Credentials.Uid == Credentials.Uid)
                own += (ulong)Math.Max(1, group.ThreadCount);
        }
        return own >= limit;
    }

    /// <summary>
    /// Makes a new thread or process and starts it (clone(2), clone3(2), fork(2), vfork(2)). Returns its id, EAGAIN (limits, the host gives
    /// no thread or address space), ENOMEM, EPERM (thread pointer), EMFILE, EFAULT (the descriptor), ERESTARTNOINTR (a signal comes first).
    /// </summary>
    public SysResult Clone(in CloneRequest request)
    {
        if (request.Has(CloneFlags.CLONE_SETTLS) && request.Tls >= Sentry.Platform.MaxAddress)
            return Errno.EPERM;
        if (HasDeliverableSignal)
            return Errno.ERESTARTNOINTR;
        int count = Sentry.Tasks.Count;
        bool isFree = Credentials.Has(Capability.CAP_SYS_RESOURCE) || Credentials.Has(Capability.CAP_SYS_ADMIN);
        if (Sentry.Tasks.WithoutWorkers >= Sentry.TaskLimit || (!isFree && ExceedsProcessLimit(count)))
            return Errno.EAGAIN;
        int tid = Sentry.Tasks.Allocate();
        if (tid < 0)
            return Errno.EAGAIN;
        Errno error = CloneMemory(request.Has(CloneFlags.CLONE_VM), out MemoryManager? mm, out GuestThread? thread);
        if (error != Errno.OK)
        {
            Sentry.Tasks.Free(tid);
            return error;
        }
        Task child = MakeChild(in request, tid, mm!, thread!);
        SysResult pidFd = request.Has(CloneFlags.CLONE_PIDFD) ? InstallPidFd(child, in request) : -1;
        if (pidFd.Value < -1)
        {
            child.Discard();
            return pidFd;
        }
        return Start(child, in request, (int)pidFd.Value);
    }

    private SysResult Start(Task child, in CloneRequest request, int pidFd)
    {
        bool isThread = request.Has(CloneFlags.CLONE_THREAD);
        if (isThread ? !Group.TryAdd(child, this) : !Sentry.Processes.Add(child.Group, child, this, request.Has(CloneFlags.CLONE_PARENT)))
        {
            if (pidFd >= 0)
                Files.Close(pidFd);
            child.Discard();
            return Errno.ERESTARTNOINTR;
        }
        // Before the thread can run; a bad address is the caller's loss, as on Linux.
        if (request.Has(CloneFlags.CLONE_PARENT_SETTID))
            Mm.Write(new UserPtr<int>(request.ParentTid), child.Tid);
        bool waits = request.Has(CloneFlags.CLONE_VFORK);
        if (waits)
            child._vforkParent = this;
        int tid = child.Tid;
        TraceEvent traced = PrepareTrace(child, in request);
        if (!Sentry.Launch(child))
        {
            if (pidFd >= 0)
                Files.Close(pidFd);
            return Errno.EAGAIN;
        }
        if (traced != TraceEvent.None)
            TraceHappened(traced, (ulong)tid);
        while (waits && !child._hasLeftMemory)
        {
            if (BlockKillable() == WaitOutcome.Interrupted)
                break;
        }
        if (waits && _tracing is { } t && t.Has(TraceOptions.PTRACE_O_TRACEVFORKDONE))
            TraceHappened(TraceEvent.VForkDone, (ulong)tid);
        return tid;
    }

    private SysResult InstallPidFd(Task child, in CloneRequest request)
    {
        PidFd file = new(child, request.Has(CloneFlags.CLONE_THREAD), default);
        SysResult fd = AnonymousFiles.Install(this, file, closeOnExec: true);
        if (fd.IsError || Mm.Write(new UserPtr<int>(request.PidFd), (int)fd.Value) == Errno.OK)
            return fd;
        Files.Close((int)fd.Value);
        return Errno.EFAULT;
    }

    /// <summary>The memory of a new thread or process, with a user counted, and its guest thread.</summary>
    private Errno CloneMemory(bool shares, out MemoryManager? mm, out GuestThread? thread)
    {
        mm = null;
        thread = null;
        try
        {
            if (shares)
            {
                Mm.AddUser();
                mm = Mm;
                thread = mm.CreateThread();
                return Errno.OK;
            }
            Errno error = Mm.Fork(out mm, out List<MapChange> changes);
            if (error == Errno.OK)
                thread = mm!.Space.CreateThread(CollectionsMarshal.AsSpan(changes));
            return error;
        }
        catch (HostException e)
        {
            Sentry.Log?.Invoke($"no thread or address space: {e.Message}");
            mm?.DropUser();
            return Errno.EAGAIN;
        }
    }

    private Task MakeChild(in CloneRequest request, int tid, MemoryManager mm, GuestThread thread)
    {
        bool sharesFiles = request.Has(CloneFlags.CLONE_FILES), sharesFs = request.Has(CloneFlags.CLONE_FS);
        if (sharesFiles)
            Files.AddUser();
        ThreadGroup group = request.Has(CloneFlags.CLONE_THREAD) ? Group : MakeGroup(in request, tid);
        Task child = new(group, tid, mm, sharesFiles ? Files : Files.Copy(), sharesFs ? Fs : Fs.Copy(), Credentials)
        {
            Thread = thread,
            Blocked = Blocked,
            ClearChildTid = request.Has(CloneFlags.CLONE_CHILD_CLEARTID) ? request.ChildTid : 0,
            SetChildTid = request.Has(CloneFlags.CLONE_CHILD_SETTID) ? request.ChildTid : 0,
            Uts = request.Has(CloneFlags.CLONE_NEWUTS) ? Uts.Copy() : Uts,
            TimerSlack = TimerSlack,
            Nice = Nice,
            SchedulerPolicy = SchedulerPolicy,
            SchedulerPriority = SchedulerPriority,
            IoPriority = IoPriority,
            Affinity = Affinity,
        };
        // What shares memory would run on the same alternate stack; a vfork child borrows its parent's.
        if ((request.Flags & (CloneFlags.CLONE_VM | CloneFlags.CLONE_VFORK)) != CloneFlags.CLONE_VM)
            child.AlternateStack = AlternateStack;
        child.SetName(Name);
        child.ShareConfinement(this);
        if (Affinity is not null)
            thread.SetProcessors(Affinity);
        CopyRegistersTo(child, in request);
        return child;
    }

    private ThreadGroup MakeGroup(in CloneRequest request, int id)
    {
        ThreadGroup group = new(Sentry, id)
        {
            Limits = Group.Limits.Copy(),
            Dumpable = Group.Dumpable,
            Personality = Group.Personality,
            HugePagesDisabled = Group.HugePagesDisabled,
            OomScoreAdjust = Group.OomScoreAdjust,
            ExitSignal = request.Has(CloneFlags.CLONE_PARENT) ? Group.ExitSignal : request.ExitSignal,
        };
        SignalActions actions = Group.Actions;
        group.Actions = request.Has(CloneFlags.CLONE_SIGHAND) ? actions
            : request.Has(CloneFlags.CLONE_CLEAR_SIGHAND) ? actions.CopyForExec() : actions.Copy();
        if (Group.Executable is { } executable && executable.TryAddReference())
            group.SetExecutable(executable);
        return group;
    }

    private void CopyRegistersTo(Task child, in CloneRequest request)
    {
        ref GuestRegisters regs = ref child.Thread.Registers;
        regs = Thread.Registers;
        regs.Rax = 0;
        if (request.StackPointer != 0)
            regs.Rsp = request.StackPointer;
        child.Thread.RestoreFpuState(Thread.FpuState);
        child.Thread.FsBase = request.Has(CloneFlags.CLONE_SETTLS) ? request.Tls : Thread.FsBase;
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
        if (Tid == Group.Id)
            Group.SetExecutable(null);
    }

    /// <summary>The host gave no sentry thread for a task that its process knows already: undoes it all.</summary>
    internal void Abandon()
    {
        if (IsLeader)
            Sentry.Processes.Remove(Group);
        Files.DropUser();
        Finish();
    }

    /// <summary>The memory is left, by exit or execve: who waits in vfork(2) goes on.</summary>
    private void ReleaseVforkParent()
    {
        Task? parent = _vforkParent;
        _vforkParent = null;
        _hasLeftMemory = true;
        parent?.Wake();
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
