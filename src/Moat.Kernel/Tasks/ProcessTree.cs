using Moat.Kernel.Events;

namespace Moat.Kernel.Tasks;

/// <summary>
/// The relations among processes: parents and children, ended ones that wait to be waited for, process groups, sessions. One lock,
/// taken by fork, exit, wait, stops and setpgid only; signal locks come after it.
/// </summary>
internal sealed partial class ProcessTree(Sentry sentry)
{
    private readonly Lock _lock = new();

    /// <summary>Guards all relations.</summary>
    public Lock Lock => _lock;

    /// <summary>
    /// Makes a new process known. False when its creator has a signal to look at first, so that a signal to a group reaches either the
    /// creator before the fork or both processes.
    /// </summary>
    public bool Add(ThreadGroup child, Task childTask, Task creator, bool asSibling)
    {
        lock (_lock)
        {
            if (creator.HasDeliverableSignal)
                return false;
            ThreadGroup maker = creator.Group;
            child.ProcessGroupId = maker.ProcessGroupId;
            child.SessionId = maker.SessionId;
            child.Terminal = maker.Terminal;
            child.Parent = asSibling ? maker.Parent : maker;
            child.Creator = asSibling ? maker.Creator : creator;
            child.Parent?.Children.Add(child);
            child.TryAdd(childTask);
            sentry.Tasks.Add(childTask);
            return true;
        }
    }

    /// <summary>Forgets a process that never ran: nobody is told of its end.</summary>
    public void Remove(ThreadGroup child)
    {
        lock (_lock)
        {
            child.Parent?.Children.Remove(child);
            child.Parent = null;
        }
    }

    /// <summary>
    /// Looks for a child to which what is waited for has happened, and takes it unless WNOWAIT says to leave it. ECHILD: no child is
    /// meant. OK with no process id: nothing yet; <see cref="ThreadGroup.ChildWaiters"/> wakes.
    /// </summary>
    public Errno Take(Task waiter, in ChildWait wait, out ChildReport report)
    {
        report = default;
        bool any = false;
        lock (_lock)
        {
            foreach (ThreadGroup child in waiter.Group.Children)
            {
                if (!wait.Matches(waiter, child))
                    continue;
                any = true;
                // Of whom one traces one hears as its tracer.
                bool traced = child.Leader.Tracing is { } t && t.Tracer.Group == waiter.Group;
                if (TakeEnd(child, in wait, ref report) || (!traced && child.TakeStop(in wait, ref report)))
                    return Errno.OK;
            }
            if (waiter.Group.Tracees.Count + waiter.Group.EndedTracees.Count != 0 && TakeTraced(waiter, in wait, ref report, ref any))
                return Errno.OK;
        }
        return any ? Errno.OK : Errno.ECHILD;
    }

    private bool TakeEnd(ThreadGroup child, in ChildWait wait, ref ChildReport report)
    {
        if (!child.HasEnded || !wait.Has(WaitOptions.WEXITED))
            return false;
        report = Describe(child);
        if (wait.Has(WaitOptions.WNOWAIT))
            return true;
        ThreadGroup parent = child.Parent!;
        parent.ChildTimes = (parent.ChildTimes.User + report.User, parent.ChildTimes.System + report.System);
        parent.ChildCounts += report.Counts;
        parent.ChildPeak = Math.Max(parent.ChildPeak, report.Peak);
        Reap(child);
        return true;
    }

    private static ChildReport Describe(ThreadGroup child)
    {
        int status = child.ExitStatus, signal = status & 0x7f;
        (long user, long system) = child.GetTimes();
        return new ChildReport
        {
            Pid = child.Id,
            Uid = child.Leader.Credentials.Uid,
            Code = signal == 0 ? Signal.CLD_EXITED : Signal.CLD_KILLED,
            Value = signal == 0 ? (status >> 8) & 0xff : signal,
            Status = status,
            User = user + child.ChildTimes.User,
            System = system + child.ChildTimes.System,
            Peak = Math.Max(child.Peak, child.ChildPeak),
            Counts = child.GetCounts() + child.ChildCounts,
        };
    }

    /// <summary>A thread has ended and its process lives on: processes that it made learn of it (PR_SET_PDEATHSIG).</summary>
    public void ThreadEnded(Task task)
    {
        lock (_lock)
        {
            foreach (ThreadGroup child in task.Group.Children)
            {
                if (child.Creator != task)
                    continue;
                child.Creator = task.Group.Leader;
                TellParentDeath(child, task.Group);
            }
        }
    }

    /// <summary>The last thread of a process has ended: its children get another parent, and its parent is told.</summary>
    public void ProcessEnded(ThreadGroup group)
    {
        lock (_lock)
        {
            group.HasEnded = true;
            if (group.SessionId == group.Id)
                group.Terminal?.LeaderEnded(group);
            group.Terminal = null;
            ThreadGroup? heir = FindHeir(group);
            foreach (ThreadGroup child in group.Children)
            {
                child.Parent = heir;
                child.Creator = heir?.Leader;
                child.ExitSignal = Signal.SIGCHLD;
                heir?.Children.Add(child);
                TellParentDeath(child, group);
            }
            ThreadGroup[] orphans = [.. group.Children];
            group.Children.Clear();
            foreach (ThreadGroup child in orphans)
            {
                if (child.HasEnded)
                    TellParent(child);
            }
            foreach (ThreadGroup child in orphans)
                HangUpIfOrphaned(child.ProcessGroupId, child.SessionId, null);
            if (group.Parent is { } parent && parent.SessionId == group.SessionId && parent.ProcessGroupId != group.ProcessGroupId)
                HangUpIfOrphaned(group.ProcessGroupId, group.SessionId, group);
            group.EndWaiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM);
            TellParent(group);
        }
    }

    /// <summary>The nearest ancestor that asked for orphans (PR_SET_CHILD_SUBREAPER), or null.</summary>
    private static ThreadGroup? FindHeir(ThreadGroup group)
    {
        for (ThreadGroup? p = group.Parent; p is not null; p = p.Parent)
        {
            if (p.IsChildSubreaper && !p.IsExiting)
                return p;
        }
        return null;
    }

    private static void TellParentDeath(ThreadGroup child, ThreadGroup parent)
    {
        foreach (Task task in child.GetTasks())
        {
            if (task.ParentDeathSignal != 0)
            {
                child.Send(new SigInfo
                {
                    Signo = task.ParentDeathSignal,
                    Code = Signal.SI_USER,
                    Pid = parent.Id,
                    Uid = parent.Leader.Credentials.Uid,
                });
            }
        }
    }

    /// <summary>Tells the parent of an end, and reaps when the parent does not care (SIG_IGN, SA_NOCLDWAIT) or there is none.</summary>
    private void TellParent(ThreadGroup group)
    {
        ThreadGroup? parent = group.Parent;
        if (parent is null)
        {
            Reap(group);
            return;
        }
        bool reaped = false;
        if (group.ExitSignal != 0)
        {
            bool ignored = false;
            if (group.ExitSignal == Signal.SIGCHLD)
            {
                SigAction action = parent.Actions.Get(Signal.SIGCHLD);
                ignored = action.Handler == SigAction.SIG_IGN;
                reaped = ignored || (action.Flags & SigActionFlags.SA_NOCLDWAIT) != 0;
            }
            if (!ignored && Signal.IsValid(group.ExitSignal))
                parent.Send(ToSigInfo(group.ExitSignal, Describe(group)));
        }
        if (reaped)
            Reap(group);
        parent.ChildWaiters.Wake(PollEvents.POLLIN);
    }

    /// <summary>A process has stopped (<paramref name="signal"/> says why) or goes on (0): the parent learns of it, whatever the exit signal is.</summary>
    public void TellStop(ThreadGroup group, int signal)
    {
        lock (_lock)
        {
            if (group.Parent is not { } parent)
                return;
            SigAction action = parent.Actions.Get(Signal.SIGCHLD);
            if (action.Handler != SigAction.SIG_IGN && (action.Flags & SigActionFlags.SA_NOCLDSTOP) == 0)
            {
                ChildReport report = Describe(group);
                report.Code = signal != 0 ? Signal.CLD_STOPPED : Signal.CLD_CONTINUED;
                report.Value = signal != 0 ? signal : Signal.SIGCONT;
                parent.Send(ToSigInfo(Signal.SIGCHLD, report));
            }
            parent.ChildWaiters.Wake(PollEvents.POLLIN);
        }
    }

    private static SigInfo ToSigInfo(int signal, in ChildReport report) => new()
    {
        Signo = signal,
        Code = report.Code,
        Pid = report.Pid,
        Uid = report.Uid,
        Status = report.Value,
        UserTime = report.User / FileSystems.Proc.TaskStat.Tick,
        SystemTime = report.System / FileSystems.Proc.TaskStat.Tick,
    };

    private void Reap(ThreadGroup group)
    {
        group.Parent?.Children.Remove(group);
        group.IsReaped = true;
        sentry.Tasks.Free(group.Id);
        group.EndWaiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM | PollEvents.POLLHUP);
    }

    /// <summary>Sends to every member of a process group, as the terminal does: without asking whether it may.</summary>
    public void SendToGroup(int processGroup, in SigInfo info)
    {
        lock (_lock)
        {
            foreach (ThreadGroup member in sentry.Tasks.GetGroups())
            {
                if (member.ProcessGroupId == processGroup)
                    member.Send(in info);
            }
        }
    }

    /// <summary>True when no member of a process group has a parent in another group of the session: nobody could continue it.</summary>
    public bool IsOrphaned(int processGroup, int session)
    {
        lock (_lock)
            return IsOrphaned(processGroup, session, null, out _);
    }

    private bool IsOrphaned(int processGroup, int session, ThreadGroup? ignored, out bool hasStopped)
    {
        hasStopped = false;
        bool orphaned = true;
        foreach (ThreadGroup member in sentry.Tasks.GetGroups())
        {
            if (member.ProcessGroupId != processGroup || member == ignored || member.HasEnded)
                continue;
            hasStopped |= member.IsStopped;
            if (member.Parent is { } parent && parent.SessionId == session && parent.ProcessGroupId != processGroup)
                orphaned = false;
        }
        return orphaned;
    }

    /// <summary>A stopped group that has lost the last one who could continue it gets SIGHUP and SIGCONT (setpgid(2)).</summary>
    private void HangUpIfOrphaned(int processGroup, int session, ThreadGroup? leaving)
    {
        if (!IsOrphaned(processGroup, session, leaving, out bool hasStopped) || !hasStopped)
            return;
        foreach (ThreadGroup member in sentry.Tasks.GetGroups())
        {
            if (member.ProcessGroupId != processGroup)
                continue;
            member.Send(new SigInfo { Signo = Signal.SIGHUP, Code = Signal.SI_KERNEL });
            member.Send(new SigInfo { Signo = Signal.SIGCONT, Code = Signal.SI_KERNEL });
        }
    }

    /// <summary>The first process has ended: so has the sandbox. No guest can evade it.</summary>
    public void KillAll()
    {
        lock (_lock)
        {
            foreach (ThreadGroup group in sentry.Tasks.GetGroups())
            {
                group.BeginExit(Signal.SIGKILL);
                foreach (Task task in group.GetTasks())
                    task.Mm.Space.Kill();
            }
        }
    }
}
