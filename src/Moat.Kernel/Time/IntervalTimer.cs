using Moat.Kernel.Tasks;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Time;

/// <summary>One of the three timers of setitimer(2): ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF.</summary>
internal sealed class IntervalTimer : CountdownTimer
{
    private readonly int _signal;

    public IntervalTimer(Task task, int which)
        : base(task.Group)
    {
        // The process's user time, and its user and system time (CPUCLOCK_VIRT and _PROF of clock_getcpuclockid(3)).
        const int CpuVirtual = (~0 << 3) | 1, CpuProfile = ~0 << 3;
        (_signal, int clock) = which switch
        {
            0 => (Signal.SIGALRM, HostClock.CLOCK_MONOTONIC),
            1 => (Signal.SIGVTALRM, CpuVirtual),
            _ => (Signal.SIGPROF, CpuProfile),
        };
        SetClock(task, clock);
    }

    /// <summary>The signal that it sends.</summary>
    public int SignalNumber => _signal;

    /// <summary>Sets it to expire in <paramref name="value"/> nanoseconds (0: never); returns what it was.</summary>
    public (long Remaining, long Interval) Set(long value, long interval)
    {
        lock (Group.SignalLock)
        {
            (long, long) old = (RemainingLocked(), Interval);
            StartLocked(value == 0 ? 0 : HostClock.Add(Now, value), value == 0 ? 0 : interval);
            return old;
        }
    }

    /// <summary>Nanoseconds left and interval.</summary>
    public (long Remaining, long Interval) Get()
    {
        lock (Group.SignalLock)
            return (RemainingLocked(), Interval);
    }

    /// <summary>Under the signal lock: the process takes this timer's signal.</summary>
    public void OnTaken(int signal)
    {
        if (signal == _signal)
            GoOn();
    }

    protected override bool Notify()
    {
        Group.Send(new SigInfo { Signo = _signal, Code = Signal.SI_KERNEL });
        // One that was pending already stands for this one, too.
        return (Group.Pending.Bits & Signal.Bit(_signal)) != 0;
    }
}
