using Moat.Host;

namespace Moat.Kernel.Time;

/// <summary>
/// Expires the sandbox's timers, on one thread that sleeps until the next deadline. Armed timers are spread over a few
/// shards by the arming processor, so that threads that arm and cancel all the time do not meet at one lock.
/// </summary>
internal sealed class TimerService : IDisposable
{
    private readonly TimerShard[] _shards;
    private readonly Parker _parker = new();
    private readonly Lock _lock = new();
    private readonly Thread _thread;
    private long _sleepsUntil;
    private volatile bool _stopping;
    private ClockWatch? _watch;

    /// <summary>Starts the timer thread.</summary>
    public TimerService()
    {
        _shards = new TimerShard[Math.Clamp(Environment.ProcessorCount, 1, 8)];
        for (int i = 0; i < _shards.Length; i++)
            _shards[i] = new TimerShard();
        _thread = HostThread.Create("moat-timer", Run);
        _thread.Start();
    }

    /// <summary>
    /// Runs after somebody set CLOCK_REALTIME (TFD_TIMER_CANCEL_ON_SET), on a thread of its own; never blocks. Whoever
    /// subscribes also calls <see cref="WatchRealtime"/>.
    /// </summary>
    public event Action? ClockSet;

    /// <summary>How often CLOCK_REALTIME was set since <see cref="WatchRealtime"/>.</summary>
    public int ClockSetCount => Volatile.Read(ref _clockSetCount);

    private int _clockSetCount;

    /// <summary>See <see cref="KernelTimer.Arm"/>.</summary>
    internal bool Arm(KernelTimer timer, long when, int clock)
    {
        if (clock != HostClock.CLOCK_MONOTONIC)
            WatchRealtime();
        TimerShard? shard = Volatile.Read(ref timer.Shard);
        if (shard is null)
        {
            TimerShard chosen = _shards[(uint)Thread.GetCurrentProcessorId() % (uint)_shards.Length];
            shard = Interlocked.CompareExchange(ref timer.Shard, chosen, null) ?? chosen;
        }
        bool was = shard.Arm(timer, when, clock);
        // The thread publishes how long it means to sleep and then looks at the shards again; one of the two sees.
        Interlocked.MemoryBarrier();
        if (shard.Next < Volatile.Read(ref _sleepsUntil))
            _parker.Wake();
        return was;
    }

    /// <summary>Begins to watch for steps of CLOCK_REALTIME. Idempotent.</summary>
    public void WatchRealtime()
    {
        if (Volatile.Read(ref _watch) is not null)
            return;
        lock (_lock)
        {
            if (_watch is null && !_stopping)
                Volatile.Write(ref _watch, new ClockWatch(OnClockSet));
        }
    }

    /// <summary>Ends the threads; timers that are armed never expire.</summary>
    public void Dispose()
    {
        ClockWatch? watch;
        lock (_lock)
        {
            if (_stopping)
                return;
            _stopping = true;
            watch = _watch;
        }
        watch?.Dispose();
        _parker.Wake();
        _thread.Join();
    }

    private void OnClockSet()
    {
        foreach (TimerShard shard in _shards)
            shard.OnClockSet();
        Interlocked.Increment(ref _clockSetCount);
        _parker.Wake();
        ClockSet?.Invoke();
    }

    /// <summary>The timer that is due first, wherever it is kept: late ones expire in the order of their times too.</summary>
    private KernelTimer? TakeEarliest(long now)
    {
        while (true)
        {
            TimerShard? first = null;
            long earliest = long.MaxValue;
            foreach (TimerShard shard in _shards)
            {
                long next = shard.Next;
                if (next <= now && next < earliest)
                {
                    first = shard;
                    earliest = next;
                }
            }
            if (first is null)
                return null;
            if (first.TakeExpired(now) is { } timer)
                return timer;
        }
    }

    private void Run()
    {
        while (!_stopping)
        {
            long now = HostClock.Now;
            while (TakeEarliest(now) is { } timer)
                timer.OnExpired();
            Interlocked.Exchange(ref _sleepsUntil, long.MaxValue);
            long next = long.MaxValue;
            foreach (TimerShard shard in _shards)
                next = Math.Min(next, shard.Next);
            Interlocked.Exchange(ref _sleepsUntil, next);
            if (next > HostClock.Now && !_stopping)
                _parker.Wait(next);
            Volatile.Write(ref _sleepsUntil, long.MinValue);
        }
    }
}
