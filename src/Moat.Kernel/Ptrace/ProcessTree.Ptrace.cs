using Moat.Kernel.Events;

namespace Moat.Kernel.Tasks;

/// <summary>Who traces whom.</summary>
internal sealed partial class ProcessTree
{
    /// <summary>Begins to trace a thread (PTRACE_TRACEME, ATTACH, SEIZE). EPERM: somebody does already. ESRCH: it has ended.</summary>
    public Errno Trace(Task tracer, Task target, TraceOptions options, bool seized)
    {
        lock (_lock)
        {
            if (target.Tracing is not null)
                return Errno.EPERM;
            if (target.HasEnded || target.IsKilled || tracer.HasEnded)
                return Errno.ESRCH;
            AddTracee(tracer, target, new Tracing(tracer, options, seized));
            return Errno.OK;
        }
    }

    /// <summary>A thread that a traced one made, before it runs: it begins with a stop.</summary>
    public void InheritTracing(Task child, Tracing parents)
    {
        lock (_lock)
        {
            AddTracee(parents.Tracer, child, new Tracing(parents.Tracer, parents.Options, parents.IsSeized) { TrapIsDue = parents.IsSeized });
            if (!parents.IsSeized)
                child.Send(new SigInfo { Signo = Signal.SIGSTOP, Code = Signal.SI_USER });
        }
    }

    private static void AddTracee(Task tracer, Task target, Tracing tracing)
    {
        tracer.Group.Tracees.Add(target);
        target.SetTracing(tracing);
    }

    /// <summary>A traced thread stops, and its tracer is told. False: nobody traces it any more, or it is to end.</summary>
    public bool BeginTraceStop(Task task, Tracing t, int status, SigInfo? info, ulong message, bool atExit)
    {
        lock (_lock)
        {
            if (task.Tracing != t || (!atExit && task.IsKilled))
                return false;
            t.Status = status;
            t.HasInfo = info is not null;
            t.Info = info ?? default;
            t.Message = message;
            t.Signal = 0;
            t.IsReported = t.IsListening = false;
            t.IsStopped = true;
            TellTracer(task, t.Tracer.Group, Signal.CLD_TRAPPED, status >> 8);
            return true;
        }
    }

    /// <summary>The stop is over. True when the thread had only listened: nobody told it to go on.</summary>
    public bool EndTraceStop(Task task, Tracing t)
    {
        lock (_lock)
        {
            bool listened = t.IsStopped && t.IsListening;
            t.IsStopped = false;
            return listened;
        }
    }

    /// <summary>Lets a stopped thread go on, or stops tracing it (<paramref name="detach"/>). Under the lock.</summary>
    public static void Resume(Task task, Tracing t, TraceMode mode, int signal, bool detach)
    {
        t.Mode = mode;
        t.Signal = signal;
        t.IsListening = false;
        if (detach)
        {
            t.Tracer.Group.Tracees.Remove(task);
            task.SetTracing(null);
            return;
        }
        t.IsStopped = false;
        task.Wake();
    }

    private static void TellTracer(Task task, ThreadGroup tracer, int code, int value)
    {
        SigAction action = tracer.Actions.Get(Signal.SIGCHLD);
        bool ended = code is Signal.CLD_EXITED or Signal.CLD_KILLED;
        if (action.Handler != SigAction.SIG_IGN && (ended || (action.Flags & SigActionFlags.SA_NOCLDSTOP) == 0))
            tracer.Send(new SigInfo { Signo = Signal.SIGCHLD, Code = code, Pid = task.Tid, Uid = task.Credentials.Uid, Status = value });
        tracer.ChildWaiters.Wake(PollEvents.POLLIN);
    }

    /// <summary>Looks for a traced thread that has stopped or ended. <paramref name="any"/>: there is one that is meant.</summary>
    private static bool TakeTraced(Task waiter, in ChildWait wait, ref ChildReport report, ref bool any)
    {
        ThreadGroup group = waiter.Group;
        for (int i = 0; i < group.EndedTracees.Count; i++)
        {
            ChildReport ended = group.EndedTracees[i];
            if (!wait.Names(ended.Pid, null) || !wait.Has(WaitOptions.WEXITED))
                continue;
            if (!wait.Has(WaitOptions.WNOWAIT))
                group.EndedTracees.RemoveAt(i);
            report = ended;
            return any = true;
        }
        foreach (Task task in group.Tracees)
        {
            if (!wait.Names(task.Tid, task.Group) || task.Tracing is not { } t || (wait.Has(WaitOptions.__WNOTHREAD) && t.Tracer != waiter))
                continue;
            any = true;
            if (!t.IsStopped || t.IsReported)
                continue;
            t.IsReported = !wait.Has(WaitOptions.WNOWAIT);
            report = new ChildReport { Pid = task.Tid, Uid = task.Credentials.Uid, Code = Signal.CLD_TRAPPED, Value = t.Status >> 8, Status = t.Status };
            return true;
        }
        return false;
    }

    /// <summary>
    /// A thread has ended, with all its process if <paramref name="last"/>: whom it traces goes free, and its own tracer is told, unless that
    /// waits for the process as its parent.
    /// </summary>
    public void EndTracing(Task task, int status, bool last)
    {
        lock (_lock)
        {
            foreach (Task tracee in (Task[])[.. task.Group.Tracees])
            {
                if (tracee.Tracing is not { } t || t.Tracer != task)
                    continue;
                Resume(tracee, t, TraceMode.Continue, 0, detach: true);
                if (t.Has(TraceOptions.PTRACE_O_EXITKILL))
                    tracee.Group.BeginExit(Signal.SIGKILL);
            }
            if (task.Tracing is { } own)
                LeaveTracer(task, own, status);
            // The leader's end is the process's.
            if (last && !task.IsLeader && task.Group.Leader.Tracing is { } leaders)
                LeaveTracer(task.Group.Leader, leaders, status);
        }
    }

    private static void LeaveTracer(Task task, Tracing t, int status)
    {
        ThreadGroup tracer = t.Tracer.Group;
        // A leader that leaves threads behind is still there, for its tracer too.
        if (task.IsLeader && task.Group.ThreadCount != 0)
            return;
        tracer.Tracees.Remove(task);
        task.SetTracing(null);
        if (task.IsLeader && task.Group.Parent == tracer)
            return;
        status = task.IsLeader ? task.Group.ExitStatus : task.Group.IsExiting ? task.Group.ExitStatus : status;
        int signal = status & 0x7f;
        int code = signal == 0 ? Signal.CLD_EXITED : Signal.CLD_KILLED, value = signal == 0 ? (status >> 8) & 0xff : signal;
        tracer.EndedTracees.Add(new ChildReport { Pid = task.Tid, Uid = task.Credentials.Uid, Code = code, Value = value, Status = status });
        TellTracer(task, tracer, code, value);
    }
}
