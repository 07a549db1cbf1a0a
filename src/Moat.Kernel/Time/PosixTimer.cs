using Moat.Kernel.Tasks;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Time;

/// <summary>How a timer tells of its expiration (struct sigevent; sigevent(7)).</summary>
internal readonly record struct TimerNotice(int Signal, ulong Value, Task? Thread, bool IsSilent);

/// <summary>A timer of timer_create(2).</summary>
internal sealed class PosixTimer : CountdownTimer
{
    private readonly TimerNotice _notice;

    public PosixTimer(Task task, int id, int clock, TimerNotice notice)
        : base(task.Group)
    {
        Id = id;
        _notice = notice;
        SetClock(task, clock);
    }

    /// <summary>Its number in the process.</summary>
    public int Id { get; }

    /// <summary>The signal that it sends.</summary>
    public int SignalNumber => _notice.Signal;

    /// <summary>Expirations that the last signal stood for beside its own (timer_getoverrun(2)).</summary>
    public int Overrun { get; private set; }

    protected override bool IsSilent => _notice.IsSilent;

    /// <summary>Sets it; <paramref name="isAbsolute"/>: a time of its clock. Returns what it was.</summary>
    public (long Remaining, long Interval) Set(long value, long interval, bool isAbsolute)
    {
        lock (Group.SignalLock)
        {
            (long, long) old = (RemainingLocked(), Interval);
            long when = value == 0 ? 0 : isAbsolute ? value : HostClock.Add(Now, value);
            Overrun = 0;
            DropSignal();
            StartLocked(when, value == 0 ? 0 : interval);
            return old;
        }
    }

    /// <summary>Nanoseconds left and interval.</summary>
    public (long Remaining, long Interval) Get()
    {
        lock (Group.SignalLock)
            return (RemainingLocked(), Interval);
    }

    /// <summary>Stops it for good.</summary>
    public void Delete()
    {
        lock (Group.SignalLock)
        {
            DropSignal();
            StartLocked(0, 0);
        }
    }

    /// <summary>A signal of the time before is not delivered any more.</summary>
    private void DropSignal()
    {
        if (!_notice.IsSilent)
            Group.DropTimerSignal(Id, Target);
    }

    private Task? Target => _notice.Thread is { HasEnded: false } thread ? thread : null;

    /// <summary>Under the signal lock: its signal is taken, and tells how many expirations it stands for.</summary>
    public void OnTaken(ref SigInfo info) => info.Overrun = Overrun = GoOn();

    protected override bool Notify()
    {
        SigInfo info = new() { Signo = _notice.Signal, Code = Signal.SI_TIMER, TimerId = Id, Value = _notice.Value };
        return Group.SendTimerSignal(Target, in info);
    }
}
