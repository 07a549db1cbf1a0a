namespace Moat.Kernel.Tasks;

internal sealed partial class ThreadGroup
{
    private volatile bool _exiting;
    private int _leaderStatus;

    /// <summary>The process ends: no thread returns to guest code.</summary>
    public bool IsExiting => _exiting;

    /// <summary>How it ended, as wait(2) tells: code &lt;&lt; 8, or the signal. Final once no thread is left.</summary>
    public int ExitStatus { get; private set; }

    /// <summary>True when Moat, not the program, failed: `moat` exits with 128.</summary>
    public bool Failed { get; private set; }

    /// <summary>Begins the end of the process: all its threads leave (exit_group(2), a deadly signal). The first status wins.</summary>
    public void BeginExit(int status)
    {
        lock (SignalLock)
            BeginExitLocked(status);
    }

    /// <summary>Ends the process because Moat cannot go on with it.</summary>
    public void Fail()
    {
        lock (SignalLock)
        {
            if (!_exiting)
                Failed = true;
            BeginExitLocked(Signal.SIGKILL);
        }
    }

    private void BeginExitLocked(int status)
    {
        if (_exiting)
            return;
        ExitStatus = status;
        _exiting = true;
        IsStopped = false;
        bool others = false;
        foreach (Task task in _tasks)
        {
            task.Interrupt();
            others |= task != Task.Current;
        }
        // A guest can evade interrupts with signal frames of its own making, but not this.
        if (others && _tasks[0].Mm is { } mm && mm.HasOnly(_tasks.Count))
            mm.Space.Kill();
    }

    /// <summary>A thread has ended. True when it was the last one.</summary>
    public bool Remove(Task task, int status)
    {
        lock (SignalLock)
        {
            _tasks.Remove(task);
            task.HasEnded = true;
            if (task == Leader)
                _leaderStatus = status;
            FreeNodes(task.Pending.Discard(ulong.MaxValue, ref _spareNodes));
            if (_tasks.Count != 0)
            {
                Retarget(ulong.MaxValue);
                _execTask?.Wake();
                return false;
            }
            // Threads that ended one by one leave the leader's status, whoever was last.
            if (!_exiting)
                ExitStatus = _leaderStatus;
            _exiting = true;
            FreeNodes(Pending.Discard(ulong.MaxValue, ref _spareNodes));
            return true;
        }
    }
}
