using Moat.Host;

namespace Moat.Kernel.IoUring;

/// <summary>
/// The sentry thread that runs task work when no task of the guest is in io_uring_enter(2) to do it, and ends rings.
/// Started at first use.
/// </summary>
internal sealed class UringThread : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Parker _parker = new();
    private Ring? _list;
    private Thread? _thread;
    private bool _stopping;

    /// <summary>Has the ring looked at soon. Any thread, any lock held; allocates nothing.</summary>
    public void Schedule(Ring ring)
    {
        if (Interlocked.Exchange(ref ring.Scheduled, 1) != 0)
            return;
        Ring? head;
        do
        {
            head = Volatile.Read(ref _list);
            ring.NextScheduled = head;
        }
        while (Interlocked.CompareExchange(ref _list, ring, head) != head);
        if (Volatile.Read(ref _thread) is null)
            Start();
        _parker.Wake();
    }

    /// <summary>Ends the thread after what is queued.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _stopping, true);
        _parker.Wake();
        _thread?.Join();
    }

    private void Start()
    {
        lock (_lock)
        {
            if (_thread is not null || _stopping)
                return;
            Thread thread = HostThread.Create("moat-uring", Run);
            thread.Start();
            Volatile.Write(ref _thread, thread);
        }
    }

    private void Run()
    {
        while (true)
        {
            Ring? newest = Interlocked.Exchange(ref _list, null), oldest = null;
            while (newest is not null)
            {
                Ring? next = newest.NextScheduled;
                newest.NextScheduled = oldest;
                oldest = newest;
                newest = next;
            }
            if (oldest is null)
            {
                if (Volatile.Read(ref _stopping))
                    return;
                _parker.Wait(long.MaxValue);
            }
            while (oldest is not null)
            {
                Ring? next = oldest.NextScheduled;
                oldest.NextScheduled = null;
                Volatile.Write(ref oldest.Scheduled, 0);
                Interlocked.MemoryBarrier();
                oldest.RunScheduled();
                oldest = next;
            }
        }
    }
}
