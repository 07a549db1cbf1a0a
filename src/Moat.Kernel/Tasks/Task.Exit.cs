using Moat.Kernel.Futex;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Trace;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private const int RobustListLimit = 2048;
    private const uint FUTEX_WAITERS = 0x80000000, FUTEX_OWNER_DIED = 0x40000000, FUTEX_TID_MASK = 0x3fffffff;

    /// <summary>Where the new thread finds its id when it first runs (CLONE_CHILD_SETTID); 0: nowhere.</summary>
    internal ulong SetChildTid { get; set; }

    /// <summary>The thread is gone; only a leader is still found by its id. Guarded by the signal lock.</summary>
    internal bool HasEnded { get; set; }

    private void BeforeFirstRun()
    {
        if (SetChildTid != 0)
            Mm.Write(new UserPtr<int>(SetChildTid), Tid);
    }

    /// <summary>Everything that the end of a thread does in guest memory and with what it shares (exit(2)).</summary>
    private void Exit()
    {
        if (Group.IsExiting || Group.ThreadCount == 1)
            Sentry.EndPollers(Group);
        EndIoUring(exec: false);
        LeaveMemory();
        EndTimes();
        // The host takes the stub process apart while descriptors are closed here.
        if (Mm.HasOnly(1))
            Mm.Space.Kill();
        Files.DropUser();
    }

    /// <summary>What the end of a thread in its memory, by exit or execve, does there.</summary>
    private void LeaveMemory()
    {
        if (RobustList != 0)
            WalkRobustList();
        Sentry.Futexes.ReleasePi(this);
        // As on Linux, nobody is told when nobody is left to look.
        if (ClearChildTid != 0 && !Mm.HasOnly(1))
        {
            UserPtr<int> word = new(ClearChildTid);
            if (Mm.Write(word, 0) == Errno.OK)
                Sentry.Futexes.Wake(Mm, word, isPrivate: false, 1, FutexTable.AnyBitset);
        }
        ReleaseVforkParent();
    }

    /// <summary>
    /// The dead thread's robust mutexes get FUTEX_OWNER_DIED, and one waiter each wakes (get_robust_list(2)). The list lies in guest memory
    /// and may be anything: each word is read once, and the walk is bounded.
    /// </summary>
    private void WalkRobustList()
    {
        ulong head = RobustList;
        if (!ReadRobustEntry(head, out ulong entry, out bool pi)
            || Mm.Read(new UserPtr<ulong>(head + 8), out ulong offset) != Errno.OK
            || !ReadRobustEntry(head + 16, out ulong pending, out bool pendingPi))
            return;
        for (int i = 0; entry != head && i < RobustListLimit; i++)
        {
            // The next link first: the owner may free the entry once it is unlocked.
            bool more = ReadRobustEntry(entry, out ulong next, out bool nextPi);
            if (entry != pending && !MarkOwnerDead(entry + offset, pi, isPending: false))
                return;
            if (!more)
                return;
            entry = next;
            pi = nextPi;
        }
        if (pending != 0)
            MarkOwnerDead(pending + offset, pendingPi, isPending: true);
    }

    private bool ReadRobustEntry(ulong address, out ulong entry, out bool pi)
    {
        Errno error = Mm.Read(new UserPtr<ulong>(address), out ulong word);
        entry = word & ~1UL;
        pi = (word & 1) != 0;
        return error == Errno.OK;
    }

    private bool MarkOwnerDead(ulong address, bool pi, bool isPending)
    {
        if ((address & 3) != 0)
            return false;
        UserPtr<uint> word = new(address);
        if (Mm.Read(word, out uint value) != Errno.OK)
            return false;
        // The owner died between unlocking and waking: the wake-up must not be lost.
        if (isPending && !pi && value == 0)
        {
            Sentry.Futexes.Wake(Mm, word, isPrivate: false, 1, FutexTable.AnyBitset);
            return true;
        }
        while ((value & FUTEX_TID_MASK) == (uint)Tid)
        {
            uint dead = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
            if (Mm.CompareExchange32(word, value, dead, out uint seen) != Errno.OK)
                return false;
            if (seen != value)
            {
                value = seen;
                continue;
            }
            if (!pi && (value & FUTEX_WAITERS) != 0)
                Sentry.Futexes.Wake(Mm, word, isPrivate: false, 1, FutexTable.AnyBitset);
            break;
        }
        return true;
    }

    /// <summary>The last steps: gives back the stub thread, the address space with its last user, and the id.</summary>
    private void Finish()
    {
        SendNotice();
        if (Tracer.Active)
            Tracer.Exit(this, Group.IsExiting ? Group.ExitStatus : _exitStatus);
        Group.Peak = Math.Max(Group.Peak, Mm.PeakBytes);
        Thread.Dispose();
        Vector.Dispose();
        Mm.DropUser();
        ParkerPool.Return(_parker);
        bool last = Group.Remove(this, _exitStatus);
        if (last)
        {
            Group.DeleteTimers(all: true);
            Group.SetExecutable(null);
            Group.UndoSemaphores();
        }
        if (_tracing is not null || Group.Tracees.Count != 0 || Group.Leader.Tracing is not null)
            Sentry.Processes.EndTracing(this, _exitStatus, last);
        Sentry.TaskEnded(this, last);
    }
}
