using Moat.Kernel.Tasks;

namespace Moat.Kernel.Ipc;

/// <summary>A task's wait in semop(2), kept and reused. Guarded by the set's lock while queued.</summary>
internal sealed class SemaphoreWaiter(Task task) : Link<SemaphoreWaiter>
{
    private SemaphoreOperation[] _operations = new SemaphoreOperation[8];
    private int _count;
    private volatile bool _done;

    internal bool IsQueued;

    /// <summary>The one that it waits for.</summary>
    public SemaphoreOperation Blocking;

    public Span<SemaphoreOperation> Operations => _operations.AsSpan(0, _count);

    public SemaphoreUndo? Undo { get; set; }

    public int Pid => task.Group.Id;

    /// <summary>Some operation changes a value, rather than waiting for zero.</summary>
    public bool Alters { get; set; }

    /// <summary>The wait is over with <see cref="Result"/>.</summary>
    public bool IsDone => _done;

    public Errno Result { get; private set; }

    /// <summary>Room for the operations of the next call.</summary>
    public Span<SemaphoreOperation> Prepare(int count)
    {
        if (_operations.Length < count)
            _operations = new SemaphoreOperation[count];
        _count = count;
        _done = false;
        return Operations;
    }

    /// <summary>Ends the wait. Under the set's lock.</summary>
    internal void Finish(Errno result)
    {
        Result = result;
        _done = true;
        task.Wake();
    }
}

/// <summary>
/// What a process's operations with SEM_UNDO add up to, to be taken back at its end. Entries are changed under the lock of their set.
/// </summary>
internal sealed class SemaphoreUndo
{
    private readonly Lock _lock = new();
    private readonly Dictionary<SemaphoreSet, short[]> _adjustments = [];

    /// <summary>True when the sum stays in range. Under the set's lock.</summary>
    public bool Fits(SemaphoreSet set, int number, int change)
    {
        int sum = Of(set)[number] + change;
        return sum is >= -SemaphoreSet.MaxValue - 1 and <= SemaphoreSet.MaxValue;
    }

    /// <summary>Adds to the sum. Under the set's lock.</summary>
    public void Add(SemaphoreSet set, int number, int change) => Of(set)[number] += (short)change;

    /// <summary>Forgets a set, or one semaphore of it, whose value was set outright. Under the set's lock.</summary>
    public void Forget(SemaphoreSet set, int number)
    {
        lock (_lock)
        {
            if (!_adjustments.TryGetValue(set, out short[]? sums))
                return;
            if (number >= 0)
                sums[number] = 0;
            else if (set.IsRemoved)
                _adjustments.Remove(set);
            else
                Array.Clear(sums);
        }
    }

    /// <summary>The process has ended: its sums take effect.</summary>
    public void Apply(int pid)
    {
        KeyValuePair<SemaphoreSet, short[]>[] all;
        lock (_lock)
        {
            all = [.. _adjustments];
            _adjustments.Clear();
        }
        foreach ((SemaphoreSet set, short[] sums) in all)
        {
            lock (set.Lock)
            {
                if (set.IsRemoved)
                    continue;
                for (int i = 0; i < sums.Length; i++)
                {
                    if (sums[i] != 0)
                        set.Set(i, Math.Clamp(set.Values[i] + sums[i], 0, SemaphoreSet.MaxValue), pid);
                }
                set.WakeReady();
            }
        }
    }

    private short[] Of(SemaphoreSet set)
    {
        lock (_lock)
        {
            if (!_adjustments.TryGetValue(set, out short[]? sums))
                _adjustments[set] = sums = new short[set.Count];
            return sums;
        }
    }
}

/// <summary>All semaphore sets of a sandbox.</summary>
internal sealed class SemaphoreSets
{
    /// <summary>SEMMNI sets, SEMMSL in a set, SEMMNS in all, SEMOPM operations a call.</summary>
    public const int SEMMNI = 32000, SEMMSL = 32000, SEMMNS = 1024000000, SEMOPM = 500;

    public IpcTable<SemaphoreSet> Table { get; } = new(SEMMNI);

    /// <summary>Semaphores in all sets; under the table's lock.</summary>
    public int Total { get; set; }
}
