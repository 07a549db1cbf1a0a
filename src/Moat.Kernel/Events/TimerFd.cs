using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Events;

/// <summary>struct itimerspec.</summary>
internal struct ITimerSpec
{
    public Timespec Interval, Value;
}

/// <summary>
/// A timer that is read (timerfd_create(2)). A repeating one that has expired is not armed again until somebody reads it or asks:
/// then what passed meanwhile is counted. So an idle reader costs nothing, and there is one wake per read.
/// </summary>
internal sealed class TimerFd : AnonymousFile
{
    public const int TFD_TIMER_ABSTIME = 1, TFD_TIMER_CANCEL_ON_SET = 2;

    private readonly TimerService _service;
    private readonly int _clockId, _settableClock;
    private readonly Timer _timer;
    private readonly Lock _lock = new();

    // When it expires next, or did last, on _clock; 0: disarmed.
    private long _expiry, _interval;
    private int _clock;
    private bool _isArmed, _hasExpired, _watchesClock;
    private int _stale, _settings, _clockSetsSeen;
    private ulong _ticks;

    /// <summary>Makes one; <paramref name="clockId"/> as timerfd_create(2) takes it.</summary>
    public TimerFd(TimerService service, int clockId, OpenFlags flags)
        : base(OpenFlags.O_RDWR | flags, "[timerfd]")
    {
        _service = service;
        _clockId = clockId;
        // Alarm clocks wake a sleeping machine; a sandbox has none, and they tell the same time.
        _settableClock = clockId switch
        {
            HostClock.CLOCK_REALTIME_ALARM => HostClock.CLOCK_REALTIME,
            HostClock.CLOCK_BOOTTIME_ALARM => HostClock.CLOCK_BOOTTIME,
            _ => clockId,
        };
        _timer = new Timer(this);
    }

    public override WaitQueue Waiters { get; } = new();

    /// <inheritdoc/>
    public override bool CanTransfer(bool write) => !write;

    public override PollEvents Poll()
    {
        lock (_lock)
        {
            CatchUp();
            return _ticks > 0 ? PollEvents.POLLIN : PollEvents.None;
        }
    }

    /// <summary>Expirations since the last read. EINVAL below 8 bytes, EAGAIN, ECANCELED: the clock was set.</summary>
    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        if (to.Remaining < sizeof(ulong) && !to.IsCut)
            return Errno.EINVAL;
        ulong ticks;
        lock (_lock)
        {
            CatchUp();
            if (TakeCanceled())
                return Errno.ECANCELED;
            if (_ticks == 0)
                return Errno.EAGAIN;
            Forward();
            ticks = _ticks;
            _ticks = 0;
        }
        return to.CopyFrom(MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in ticks))) == sizeof(ulong) ? sizeof(ulong) : Errno.EFAULT;
    }

    /// <summary>timerfd_settime(2); values are valid.</summary>
    public void Set(int flags, in ITimerSpec value, out ITimerSpec old)
    {
        bool watch = (flags & (TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) == (TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)
            && _settableClock == HostClock.CLOCK_REALTIME;
        bool ready;
        lock (_lock)
        {
            WatchClock(watch);
            CatchUp();
            Forward();
            Describe(out old);
            Disarm();
            _settings = flags;
            _ticks = 0;
            _hasExpired = false;
            _interval = HostClock.ToNanoseconds(in value.Interval);
            long first = HostClock.ToNanoseconds(in value.Value);
            if (first != 0)
            {
                bool absolute = (flags & TFD_TIMER_ABSTIME) != 0;
                // Relative times are not moved by setting the clock.
                _clock = !absolute && _settableClock == HostClock.CLOCK_REALTIME ? HostClock.CLOCK_MONOTONIC : _settableClock;
                _expiry = absolute ? first : HostClock.Add(HostClock.Get(_clock), first);
                Arm();
            }
            CatchUp();
            ready = _ticks > 0;
        }
        if (ready)
            Waiters.Wake(PollEvents.POLLIN);
    }

    /// <summary>timerfd_gettime(2).</summary>
    public void Get(out ITimerSpec value)
    {
        lock (_lock)
        {
            CatchUp();
            Forward();
            Describe(out value);
        }
    }

    /// <summary>TFD_IOC_SET_TICKS.</summary>
    public override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        const uint TFD_IOC_SET_TICKS = 0x40085400;
        if (command != TFD_IOC_SET_TICKS)
            return Errno.ENOTTY;
        if (task.Mm.Read(new UserPtr<ulong>(argument), out ulong ticks) != Errno.OK)
            return Errno.EFAULT;
        if (ticks == 0)
            return Errno.EINVAL;
        lock (_lock)
            _ticks = ticks;
        Waiters.Wake(PollEvents.POLLIN);
        return 0;
    }

    public override void AppendFdInfo(StringBuilder text)
    {
        lock (_lock)
        {
            Describe(out ITimerSpec spec);
            text.Append(CultureInfo.InvariantCulture, $"clockid: {_clockId}\nticks: {_ticks}\nsettime flags: 0{Convert.ToString(_settings, 8)}\n")
                .Append(CultureInfo.InvariantCulture, $"it_value: ({spec.Value.Seconds}, {spec.Value.Nanoseconds})\n")
                .Append(CultureInfo.InvariantCulture, $"it_interval: ({spec.Interval.Seconds}, {spec.Interval.Nanoseconds})\n");
        }
    }

    protected override void Release()
    {
        lock (_lock)
        {
            WatchClock(false);
            Disarm();
        }
    }

    private void Arm()
    {
        _isArmed = true;
        _timer.Arm(_service, _expiry, _clock);
    }

    private void Disarm()
    {
        if (_isArmed && !_timer.Cancel())
            _stale++; // Its expiry is on the way and must not count for what is armed next.
        _isArmed = false;
        _expiry = 0;
    }

    /// <summary>A time that has passed counts now, also when the timer thread is late.</summary>
    private void CatchUp()
    {
        if (!_isArmed || HostClock.Get(_clock) < _expiry)
            return;
        if (!_timer.Cancel())
            _stale++;
        Expire();
    }

    private void Expire()
    {
        _isArmed = false;
        _hasExpired = true;
        _ticks++;
    }

    /// <summary>Counts the intervals that passed since a repeating timer expired, and arms it for the next.</summary>
    private void Forward()
    {
        if (!_hasExpired || _interval == 0)
            return;
        _hasExpired = false;
        long passed = Math.Max(0, HostClock.Get(_clock) - _expiry);
        long more = passed / _interval;
        _ticks += (ulong)more;
        _expiry = HostClock.Add(_expiry, (more + 1) * _interval);
        Arm();
    }

    private void Describe(out ITimerSpec spec)
    {
        long left = _isArmed ? Math.Max(1, _expiry - HostClock.Get(_clock)) : 0;
        spec = new ITimerSpec { Interval = HostClock.ToTimespec(_interval), Value = HostClock.ToTimespec(left) };
    }

    private void WatchClock(bool watch)
    {
        if (watch)
            _service.WatchRealtime();
        _clockSetsSeen = _service.ClockSetCount;
        if (watch == _watchesClock)
            return;
        _watchesClock = watch;
        if (watch)
            _service.ClockSet += OnClockSet;
        else
            _service.ClockSet -= OnClockSet;
    }

    private bool TakeCanceled()
    {
        if (!_watchesClock || _clockSetsSeen == _service.ClockSetCount)
            return false;
        _clockSetsSeen = _service.ClockSetCount;
        _ticks = 0;
        _hasExpired = false;
        return true;
    }

    private void OnClockSet()
    {
        lock (_lock)
        {
            if (!_watchesClock)
                return;
            _ticks++;
        }
        Waiters.Wake(PollEvents.POLLIN);
    }

    private void OnExpired()
    {
        lock (_lock)
        {
            if (_stale > 0)
            {
                _stale--;
                return;
            }
            if (!_isArmed)
                return;
            Expire();
        }
        Waiters.Wake(PollEvents.POLLIN);
    }

    private sealed class Timer(TimerFd owner) : KernelTimer
    {
        protected internal override void OnExpired() => owner.OnExpired();
    }
}
