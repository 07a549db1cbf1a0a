using Moat.Kernel.Time;

namespace Moat.Kernel.Tasks;

internal sealed partial class ThreadGroup
{
    private readonly IntervalTimer?[] _intervalTimers = new IntervalTimer?[3];
    private readonly Dictionary<int, PosixTimer> _posixTimers = [];
    private int _nextTimerId;
    private CpuLimit? _cpuLimit;

    /// <summary>RLIMIT_CPU was set, or came with the start of the process.</summary>
    internal void WatchCpuLimit()
    {
        if (_cpuLimit is null && Limits.Get(Resource.RLIMIT_CPU).Current == ResourceLimit.RLIM_INFINITY)
            return;
        LazyInitializer.EnsureInitialized(ref _cpuLimit, () => new CpuLimit(this)).Look();
    }

    /// <summary>One of the three timers of setitimer(2), made on first use; null when it is not wanted yet.</summary>
    public IntervalTimer? GetIntervalTimer(Task task, int which, bool create)
    {
        lock (SignalLock)
        {
            if (create)
                _intervalTimers[which] ??= new IntervalTimer(task, which);
            return _intervalTimers[which];
        }
    }

    /// <summary>Makes a timer (timer_create(2)). Null: RLIMIT_SIGPENDING, which counts them, is reached.</summary>
    public PosixTimer? CreateTimer(Task task, int clock, Func<int, TimerNotice> notice)
    {
        lock (SignalLock)
        {
            if ((ulong)_posixTimers.Count >= Limits.Get(Resource.RLIMIT_SIGPENDING).Current)
                return null;
            while (_posixTimers.ContainsKey(_nextTimerId))
                _nextTimerId = (_nextTimerId + 1) & int.MaxValue;
            int number = _nextTimerId;
            _nextTimerId = (_nextTimerId + 1) & int.MaxValue;
            PosixTimer timer = new(task, number, clock, notice(number));
            _posixTimers.Add(number, timer);
            return timer;
        }
    }

    /// <summary>A timer by its number, or null.</summary>
    public PosixTimer? FindTimer(int id)
    {
        lock (SignalLock)
            return _posixTimers.GetValueOrDefault(id);
    }

    /// <summary>Ends a timer (timer_delete(2)). False: there is none.</summary>
    public bool DeleteTimer(int id)
    {
        lock (SignalLock)
        {
            if (!_posixTimers.Remove(id, out PosixTimer? timer))
                return false;
            timer.Delete();
            return true;
        }
    }

    /// <summary>Ends timers: those of timer_create(2) with the program, all of them with the process.</summary>
    internal void DeleteTimers(bool all)
    {
        lock (SignalLock)
        {
            foreach (PosixTimer timer in _posixTimers.Values)
                timer.Delete();
            _posixTimers.Clear();
            foreach (IntervalTimer? timer in all ? _intervalTimers : [])
                timer?.Set(0, 0);
            if (all)
                _cpuLimit?.Cancel();
        }
    }

    /// <summary>
    /// Queues a timer's signal; unlike others it is queued even when the same signal is pending. False when it is ignored.
    /// </summary>
    internal bool SendTimerSignal(Task? target, in SigInfo info)
    {
        lock (SignalLock)
            return SendLocked(target, in info, isTimer: true, out bool queued) == Errno.OK && queued;
    }

    /// <summary>Under the lock: the pending signal of a timer counts no more.</summary>
    internal void DropTimerSignal(int timerId, Task? target)
    {
        if ((target?.Pending ?? Pending).DropTimer(timerId, ref _spareNodes))
            FreeNodes(1);
    }

    private void TimerSignalTaken(ref SigInfo info)
    {
        if (info.Code == Signal.SI_TIMER && _posixTimers.TryGetValue(info.TimerId, out PosixTimer? timer))
            timer.OnTaken(ref info);
        foreach (IntervalTimer? interval in _intervalTimers)
            interval?.OnTaken(info.Signo);
    }

    private void TimerSignalsDiscarded(ulong set)
    {
        foreach (PosixTimer timer in _posixTimers.Values)
        {
            if ((Signal.Bit(timer.SignalNumber) & set) != 0)
                timer.OnDiscarded();
        }
        foreach (IntervalTimer? timer in _intervalTimers)
        {
            if (timer is not null && (Signal.Bit(timer.SignalNumber) & set) != 0)
                timer.OnDiscarded();
        }
    }
}
