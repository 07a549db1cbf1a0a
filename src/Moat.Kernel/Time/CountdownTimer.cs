using Moat.Kernel.Tasks;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Time;

/// <summary>
/// A timer of a process on any clock, CPU clocks included: setitimer(2) and timer_create(2). It expires once and goes on with its
/// interval only when its signal is taken (<see cref="GoOn"/>), so that a guest's nanosecond intervals cost the sentry nothing.
/// Guarded by the process's signal lock but for the expiry itself.
/// </summary>
internal abstract class CountdownTimer(ThreadGroup group) : KernelTimer
{
    /// <summary>Least time between two looks at a CPU clock, nanoseconds.</summary>
    private const long LeastLook = 1_000_000;

    private Task? _thread;
    private bool _isCpu, _armed, _waitsForSignal;
    private int _cpuClock, _plainClock;
    private long _next;

    protected ThreadGroup Group { get; } = group;

    /// <summary>Nanoseconds between expirations; 0: once.</summary>
    public long Interval { get; private set; }

    /// <summary>Which clock counts; set before the first arming. CPU clocks count for <paramref name="task"/> or its process.</summary>
    protected void SetClock(Task task, int clock)
    {
        _isCpu = Syscalls.TimeSyscalls.IsCpuClock(clock);
        _cpuClock = clock;
        _plainClock = _isCpu ? HostClock.CLOCK_MONOTONIC : clock;
        _thread = task;
    }

    /// <summary>Now on the timer's clock, nanoseconds.</summary>
    protected long Now => _isCpu ? Math.Max(0, CpuClock.Get(_thread!, _cpuClock).Value) : HostClock.Get(_plainClock);

    /// <summary>Under the lock: starts to count down to an absolute time, or stops (0).</summary>
    protected void StartLocked(long when, long interval)
    {
        Cancel();
        _waitsForSignal = false;
        Interval = interval;
        _armed = when != 0;
        if (!_armed)
            return;
        _next = when;
        Look();
    }

    /// <summary>Under the lock: nanoseconds until the next expiration, at least 1; 0 when stopped.</summary>
    protected long RemainingLocked()
    {
        if (!_armed)
            return 0;
        long now = Now, next = _next;
        if (_waitsForSignal && Interval == 0)
            return 0;
        if (next <= now && Interval > 0)
            next += ((now - next) / Interval + 1) * Interval;
        return next <= now ? (Interval == 0 && IsSilent ? 0 : 1) : next - now;
    }

    /// <summary>True for a timer that nobody is told of (SIGEV_NONE): it only counts.</summary>
    protected virtual bool IsSilent => false;

    /// <summary>
    /// Under the lock: the signal of an expiration was taken. Counts the expirations that were missed and goes on. Returns how many
    /// were missed.
    /// </summary>
    protected int GoOn()
    {
        if (!_waitsForSignal)
            return 0;
        _waitsForSignal = false;
        if (Interval == 0)
        {
            _armed = false;
            return 0;
        }
        long missed = Math.Max(0, (Now - _next) / Interval);
        _next = HostClock.Add(_next, (missed + 1) * Interval);
        Look();
        return (int)Math.Min(missed, int.MaxValue);
    }

    /// <summary>Under the lock: tells the process. False when the signal is ignored, so that nobody will take it.</summary>
    protected abstract bool Notify();

    protected internal override void OnExpired()
    {
        lock (Group.SignalLock)
        {
            if (!_armed || _waitsForSignal || Group.IsExiting)
                return;
            // A CPU clock may be slow, and the timer may have been set anew while this call was on its way.
            if (Now < _next)
            {
                Look();
                return;
            }
            if (IsSilent)
                return;
            _waitsForSignal = true;
            if (!Notify())
                SkipIgnored();
        }
    }

    /// <summary>Under the lock: a pending signal that may have been this timer's was thrown away.</summary>
    public void OnDiscarded()
    {
        if (_waitsForSignal)
            SkipIgnored();
    }

    private void SkipIgnored()
    {
        _waitsForSignal = false;
        if (Interval == 0)
        {
            _armed = false;
            return;
        }
        // Nobody takes the signal: no more often than the clock tick of a kernel.
        long now = Now;
        _next = HostClock.Add(_next, (Math.Max(0, (now - _next) / Interval) + 1) * Interval);
        Arm(Group.Sentry.Timers, Math.Max(_next, HostClock.Add(now, 4_000_000)), _plainClock);
    }

    private void Look()
    {
        if (!_isCpu)
        {
            Arm(Group.Sentry.Timers, _next, _plainClock);
            return;
        }
        // All threads together cannot use more than their number times the time that passes.
        long left = Math.Max(0, _next - Now) / Math.Max(1, Group.ThreadCount);
        Arm(Group.Sentry.Timers, HostClock.After(Math.Max(left, LeastLook)));
    }
}
