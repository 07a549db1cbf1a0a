using Moat.Kernel.Memory;
using Moat.Kernel.Signals;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    /// <summary>
    /// Replaces the process by a loaded program (execve(2)): all other threads end, this one becomes the leader. The image is used
    /// up. EAGAIN: the process is ending or another thread does the same.
    /// </summary>
    public SysResult Exec(ProgramImage image)
    {
        if (!Group.BeginExec(this))
        {
            image.Discard();
            return Errno.EAGAIN;
        }
        while (Group.ThreadCount > 1)
        {
            if (BlockKillable() == WaitOutcome.Interrupted)
            {
                image.Discard();
                return Errno.EAGAIN;
            }
        }
        Sentry.EndPollers(Group);
        EndIoUring(exec: true);
        LeaveMemory();
        BecomeLeader();
        MemoryManager oldMemory = Mm;
        if (!TakeMemory(image))
        {
            image.Discard();
            Group.BeginExit(Signal.SIGKILL);
            return RegistersAreSet;
        }
        oldMemory.DropUser();
        Group.SetExecutable(image.Program.Executable);
        Group.HasExecuted = true;
        StopSharingFiles();
        Files.CloseOnExec();
        SetName(image.Name);
        RobustList = ClearChildTid = 0;
        AlternateStack = new SignalStack { Flags = SignalStack.SS_DISABLE };
        FaultTrap = FaultError = FaultAddress = 0;
        bool changesIds = image.Credentials.EffectiveUid != Credentials.EffectiveUid || image.Credentials.EffectiveGid != Credentials.EffectiveGid;
        if (changesIds)
            ParentDeathSignal = 0;
        Credentials = image.Credentials;
        lock (Group.SignalLock)
            Group.Actions = Group.Actions.CopyForExec();
        Group.Dumpable = changesIds ? 0 : 1;
        Group.ExitSignal = Signal.SIGCHLD;
        Group.DeleteTimers(all: false);
        image.SetRegisters(Thread);
        Group.EndExec();
        return RegistersAreSet;
    }

    // False: the address space is of no use any more.
    private bool TakeMemory(ProgramImage image)
    {
        if (image.Thread is not { } thread)
        {
            if (!image.Memory.TakeOver(Mm, Thread))
                return false;
            Mm = image.Memory;
            return true;
        }
        // The host takes the stub process apart meanwhile.
        if (Mm.HasOnly(1))
            Mm.Space.Kill();
        GuestThread old = Thread;
        Thread = thread;
        if (Affinity is not null)
            thread.SetProcessors(Affinity);
        Mm = image.Memory;
        Group.AddEnded((old.GetCpuTime(), 0), default);
        old.Dispose();
        return true;
    }

    /// <summary>Makes the image the program of a task that has not run yet.</summary>
    internal void SetImage(ProgramImage image)
    {
        Thread = image.Thread!;
        Group.SetExecutable(image.Program.Executable);
        SetName(image.Name);
        image.SetRegisters(Thread);
    }

    private void BecomeLeader()
    {
        if (IsLeader)
            return;
        int old = Tid;
        Tid = Group.Id;
        Group.SetLeader(this);
        Sentry.Tasks.Add(this);
        Sentry.Tasks.Free(old);
    }

    private void StopSharingFiles()
    {
        if (!Files.IsShared)
            return;
        FdTable old = Files;
        Files = old.Copy();
        old.DropUser();
    }
}
