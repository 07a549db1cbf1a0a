namespace Moat.Kernel.FileSystems.Tmp;

/// <summary>
/// The lock of one file's data: many readers or one writer. Uncontended it is one interlocked instruction each way; who has to wait
/// spins briefly and then sleeps. Waiting writers go before new readers. Not reentrant.
/// </summary>
internal sealed class DataLock
{
    private const int Spins = 30;

    private readonly object _sleepers = new();
    private int _state; // -1: a writer; else readers
    private int _waiting, _waitingWriters;

    public void EnterRead()
    {
        if (!TryRead())
            Wait(write: false);
    }

    public void EnterWrite()
    {
        if (!TryWrite())
            Wait(write: true);
    }

    public void ExitRead()
    {
        if (Interlocked.Decrement(ref _state) == 0)
            WakeSleepers();
    }

    public void ExitWrite()
    {
        Interlocked.Exchange(ref _state, 0);
        WakeSleepers();
    }

    private bool TryRead()
    {
        int readers = Volatile.Read(ref _state);
        return readers >= 0 && Volatile.Read(ref _waitingWriters) == 0
            && Interlocked.CompareExchange(ref _state, readers + 1, readers) == readers;
    }

    private bool TryWrite() => Interlocked.CompareExchange(ref _state, -1, 0) == 0;

    private void Wait(bool write)
    {
        for (int i = 0; i < Spins; i++)
        {
            if (write ? TryWrite() : TryRead())
                return;
            Thread.SpinWait(4);
        }
        lock (_sleepers)
        {
            // Announced before the last try: who leaves either is seen by it or sees the announcement.
            Interlocked.Increment(ref _waiting);
            if (write)
                Interlocked.Increment(ref _waitingWriters);
            while (!(write ? TryWrite() : TryRead()))
                Monitor.Wait(_sleepers);
            Interlocked.Decrement(ref _waiting);
            if (write && Interlocked.Decrement(ref _waitingWriters) == 0)
                Monitor.PulseAll(_sleepers);
        }
    }

    private void WakeSleepers()
    {
        if (Volatile.Read(ref _waiting) == 0)
            return;
        lock (_sleepers)
            Monitor.PulseAll(_sleepers);
    }
}
