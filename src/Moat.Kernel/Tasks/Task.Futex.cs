using Moat.Kernel.Futex;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Time;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private readonly TaskFutexWaiter _futexWaiter;
    private TaskFutexWaiter[] _futexVector = [];
    private FutexRestart? _futexRestart;

    /// <summary>This task's waiters for futex_waitv(2); grown once.</summary>
    internal Span<TaskFutexWaiter> RentFutexVector(int count)
    {
        int have = _futexVector.Length;
        if (have < count)
        {
            Array.Resize(ref _futexVector, count);
            for (int i = have; i < count; i++)
                _futexVector[i] = new TaskFutexWaiter(this);
        }
        return _futexVector.AsSpan(0, count);
    }

    /// <summary>
    /// Waits until a wake-up of the word (FUTEX_WAIT_BITSET). <paramref name="time"/> is absolute on <paramref name="clock"/>,
    /// <see cref="Forever"/> for none. EAGAIN: the word has another value. ETIMEDOUT, EFAULT, EINVAL, restart codes.
    /// </summary>
    public SysResult WaitOnFutex(UserPtr address, bool isPrivate, uint expected, uint bitset, long time, int clock)
    {
        if (bitset == 0)
            return Errno.EINVAL;
        Errno error = Sentry.Futexes.Enqueue(Mm, address, isPrivate, expected, bitset, _futexWaiter);
        if (error != Errno.OK)
            return error;
        WaitOutcome outcome;
        do
        {
            outcome = BlockUntil(time, clock);
        }
        while (outcome == WaitOutcome.Woken && !_futexWaiter.IsWoken);
        if (_futexWaiter.IsWoken || !Sentry.Futexes.Cancel(_futexWaiter))
            return 0;
        if (outcome == WaitOutcome.TimedOut)
            return Errno.ETIMEDOUT;
        if (time == Forever)
            return Errno.ERESTARTSYS;
        _futexRestart ??= new FutexRestart();
        _futexRestart.Set(address, isPrivate, expected, bitset, time, clock);
        return RestartWith(_futexRestart);
    }

    /// <summary>This task's wait for a lock word, if it ever had one.</summary>
    internal PiWaiter? WaitsForLock { get; private set; }

    /// <summary>
    /// Takes a lock word, waiting for it unless <paramref name="tries"/> (FUTEX_LOCK_PI, FUTEX_TRYLOCK_PI). The time as in
    /// <see cref="WaitOnFutex"/>. EAGAIN, ETIMEDOUT, EDEADLK, ESRCH, EFAULT, EINVAL, ERESTARTNOINTR.
    /// </summary>
    public SysResult LockPi(UserPtr address, bool isPrivate, bool tries, long time, int clock)
    {
        PiWaiter? waiter = tries ? null : WaitsForLock ??= new PiWaiter(this);
        Errno error = Sentry.Futexes.LockPi(this, address, isPrivate, waiter);
        if (error != Errno.EAGAIN || waiter is null)
            return error;
        if (WaitForLock(waiter, time, clock, out WaitOutcome outcome))
            return 0;
        return outcome == WaitOutcome.TimedOut ? Errno.ETIMEDOUT : Errno.ERESTARTNOINTR;
    }

    /// <summary>
    /// Waits on a word until it has the lock that FUTEX_CMP_REQUEUE_PI moves it to (FUTEX_WAIT_REQUEUE_PI). The time as in
    /// <see cref="WaitOnFutex"/>. EAGAIN: another value, or a signal came when it already waited for the lock. ETIMEDOUT, EFAULT, EINVAL, ERESTARTNOINTR.
    /// </summary>
    public SysResult WaitForRequeue(UserPtr address, UserPtr target, bool isPrivate, uint expected, long time, int clock)
    {
        PiWaiter waiter = WaitsForLock ??= new PiWaiter(this);
        Errno error = Sentry.Futexes.EnqueueForLock(this, address, target, isPrivate, expected, waiter);
        if (error != Errno.OK)
            return error;
        if (WaitForLock(waiter, time, clock, out WaitOutcome outcome))
            return 0;
        return outcome == WaitOutcome.TimedOut ? Errno.ETIMEDOUT : waiter.IsOnLock ? Errno.EAGAIN : Errno.ERESTARTNOINTR;
    }

    /// <summary>Waits until the waiter has its lock, or until the time or a signal comes first: false.</summary>
    private bool WaitForLock(PiWaiter waiter, long time, int clock, out WaitOutcome outcome)
    {
        do
        {
            outcome = BlockUntil(time, clock);
        }
        while (outcome == WaitOutcome.Woken && !waiter.IsWoken);
        return waiter.IsWoken || !Sentry.Futexes.CancelPi(waiter);
    }

    /// <summary><see cref="Block"/> with a deadline on any clock; one that is set back while the task sleeps is waited for again.</summary>
    public WaitOutcome BlockUntil(long time, int clock)
    {
        while (true)
        {
            WaitOutcome outcome = Block(time == Forever ? Forever : HostClock.FromAbsolute(clock, time));
            if (outcome != WaitOutcome.TimedOut || clock == HostClock.CLOCK_MONOTONIC || HostClock.Get(clock) >= time)
                return outcome;
        }
    }

    private sealed class FutexRestart : RestartBlock
    {
        private UserPtr _address;
        private bool _isPrivate;
        private uint _expected, _bitset;
        private long _time;
        private int _clock;

        public void Set(UserPtr address, bool isPrivate, uint expected, uint bitset, long time, int clock)
        {
            _address = address;
            _isPrivate = isPrivate;
            _expected = expected;
            _bitset = bitset;
            _time = time;
            _clock = clock;
        }

        public override SysResult Restart(Task task)
            => task.WaitOnFutex(_address, _isPrivate, _expected, _bitset, _time, _clock);
    }
}
