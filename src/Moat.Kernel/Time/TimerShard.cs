namespace Moat.Kernel.Time;

/// <summary>A part of the armed timers: a binary heap by host CLOCK_MONOTONIC. The lock is a leaf.</summary>
internal sealed class TimerShard
{
    private readonly Lock _lock = new();
    private KernelTimer?[] _heap = new KernelTimer?[64];
    private int _count;
    private long _next = long.MaxValue;

    /// <summary>When the first timer expires; <see cref="long.MaxValue"/>: none is armed.</summary>
    public long Next => Volatile.Read(ref _next);

    /// <summary>Arms or moves a timer of this shard. True when it was armed.</summary>
    public bool Arm(KernelTimer timer, long when, int clock)
    {
        lock (_lock)
        {
            bool was = timer.Index >= 0;
            timer.When = when;
            timer.Clock = clock;
            timer.Key = when == long.MaxValue ? when : HostClock.FromAbsolute(clock, when);
            if (!was)
            {
                if (_count == _heap.Length)
                    Array.Resize(ref _heap, _count * 2);
                Place(timer, _count++);
            }
            Sift(timer);
            Volatile.Write(ref _next, _heap[0]!.Key);
            return was;
        }
    }

    /// <summary>Takes a timer out. True when it was armed.</summary>
    public bool Cancel(KernelTimer timer)
    {
        lock (_lock)
        {
            if (timer.Index < 0)
                return false;
            RemoveAt(timer.Index);
            return true;
        }
    }

    /// <summary>Nanoseconds left, at least 1; 0 when not armed.</summary>
    public long GetRemaining(KernelTimer timer)
    {
        lock (_lock)
            return timer.Index < 0 ? 0 : Math.Max(1, HostClock.Add(timer.Key, -HostClock.Now));
    }

    /// <summary>Takes one timer that is due at <paramref name="now"/>, or null.</summary>
    public KernelTimer? TakeExpired(long now)
    {
        if (Next > now)
            return null;
        lock (_lock)
        {
            if (_count == 0 || _heap[0]!.Key > now || _heap[0]!.Key == long.MaxValue)
                return null;
            KernelTimer timer = _heap[0]!;
            RemoveAt(0);
            return timer;
        }
    }

    /// <summary>Somebody set the clock: timers of settable clocks find their new places.</summary>
    public void OnClockSet()
    {
        lock (_lock)
        {
            for (int i = 0; i < _count; i++)
            {
                KernelTimer t = _heap[i]!;
                if (t.Clock != HostClock.CLOCK_MONOTONIC && t.When != long.MaxValue)
                    t.Key = HostClock.FromAbsolute(t.Clock, t.When);
            }
            for (int i = (_count / 2) - 1; i >= 0; i--)
                Down(_heap[i]!);
            Volatile.Write(ref _next, _count == 0 ? long.MaxValue : _heap[0]!.Key);
        }
    }

    private void RemoveAt(int index)
    {
        KernelTimer removed = _heap[index]!, last = _heap[--_count]!;
        _heap[_count] = null;
        if (last != removed)
        {
            Place(last, index);
            Sift(last);
        }
        Volatile.Write(ref removed.Index, -1);
        Volatile.Write(ref _next, _count == 0 ? long.MaxValue : _heap[0]!.Key);
    }

    private void Sift(KernelTimer timer)
    {
        int index = timer.Index;
        while (index > 0 && _heap[(index - 1) / 2]!.Key > timer.Key)
        {
            Place(_heap[(index - 1) / 2]!, index);
            index = (index - 1) / 2;
        }
        Place(timer, index);
        Down(timer);
    }

    private void Down(KernelTimer timer)
    {
        int index = timer.Index;
        while (true)
        {
            int child = (2 * index) + 1;
            if (child >= _count)
                break;
            if (child + 1 < _count && _heap[child + 1]!.Key < _heap[child]!.Key)
                child++;
            if (_heap[child]!.Key >= timer.Key)
                break;
            Place(_heap[child]!, index);
            index = child;
        }
        Place(timer, index);
    }

    private void Place(KernelTimer timer, int index)
    {
        _heap[index] = timer;
        Volatile.Write(ref timer.Index, index);
    }
}
