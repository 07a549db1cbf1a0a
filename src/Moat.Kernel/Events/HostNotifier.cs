using Moat.Host;

namespace Moat.Kernel.Events;

/// <summary>
/// One sentry thread that watches host descriptors, edge-triggered, and wakes the queues of the files behind them. It starts
/// with the first watch.
/// </summary>
internal sealed class HostNotifier : IDisposable
{
    private const uint EPOLLET = 1u << 31;
    private const uint Everything = (uint)(PollEvents.POLLIN | PollEvents.POLLPRI | PollEvents.POLLOUT | PollEvents.POLLRDNORM
        | PollEvents.POLLWRNORM | PollEvents.POLLRDBAND | PollEvents.POLLWRBAND | PollEvents.POLLRDHUP);

    private readonly Lock _lock = new();

    /// <summary>Held from taking events until their queues are woken, so that who has looked knows all of them told. Taken first.</summary>
    private readonly Lock _telling = new();
    private readonly HostEpoll _epoll = new();
    private readonly HostEvent _stop = new();
    private WaitQueue?[] _queues = new WaitQueue?[16];
    private Thread? _thread;
    private int _firstFree;
    private int _watched;
    private volatile bool _disposed;

    /// <summary>True while descriptors are watched. A hint.</summary>
    public bool IsWatching => Volatile.Read(ref _watched) != 0;

    /// <summary>
    /// Wakes <paramref name="queue"/> whenever the host descriptor's readiness changes. OK, EPERM when it has none, ENOMEM.
    /// </summary>
    /// <returns>The watch's number for <see cref="Unwatch"/>, or an errno.</returns>
    public SysResult Watch(int hostFd, WaitQueue queue)
    {
        int slot;
        lock (_lock)
        {
            slot = Array.IndexOf(_queues, null, _firstFree);
            if (slot < 0)
            {
                slot = _queues.Length;
                Array.Resize(ref _queues, slot * 2);
            }
            _firstFree = slot + 1;
            Volatile.Write(ref _queues[slot], queue);
            int r = _epoll.Add(hostFd, Everything | EPOLLET, (ulong)slot + 1);
            if (r < 0)
            {
                _queues[slot] = null;
                _firstFree = slot;
                return (Errno)(-r);
            }
            Volatile.Write(ref _watched, _watched + 1);
            if (_thread is null && !_disposed)
            {
                _thread = HostThread.Create("moat-notifier", Run);
                _epoll.Add(_stop.Fd, (uint)PollEvents.POLLIN, 0);
                _thread.Start();
            }
        }
        // What is ready already is no change, but the first event: it is told before somebody waits.
        Look();
        return slot;
    }

    /// <summary>Ends a watch, before the descriptor is closed. A wake that is under way may still arrive.</summary>
    public void Unwatch(int watch, int hostFd)
    {
        lock (_lock)
        {
            _epoll.Remove(hostFd);
            _queues[watch] = null;
            Volatile.Write(ref _watched, _watched - 1);
            _firstFree = Math.Min(_firstFree, watch);
        }
    }

    /// <summary>Ends the thread. Descriptors that are still watched go unwatched.</summary>
    public void Dispose()
    {
        Thread? thread;
        lock (_lock)
        {
            if (_disposed)
                return;
            _disposed = true;
            thread = _thread;
        }
        _stop.Signal();
        thread?.Join();
        _stop.Dispose();
        _epoll.Dispose();
    }

    /// <summary>
    /// Wakes the queues of what is ready right now. For whoever has changed something on the host that others may wait for here: what
    /// they are told they then know as early as on Linux. Takes no lock that is held around a wait queue's.
    /// </summary>
    public void Look()
    {
        const int AtOnce = 64;
        Span<HostEpollEvent> events = stackalloc HostEpollEvent[AtOnce];
        lock (_telling)
        {
            int count;
            do
            {
                count = _epoll.Look(events);
                for (int i = 0; i < count; i++)
                    Tell(events[i]);
            }
            while (count == AtOnce);
        }
    }

    private void Tell(in HostEpollEvent what)
    {
        // 0: the end, which the thread sees for itself.
        int slot = (int)what.Data - 1;
        WaitQueue?[] queues = Volatile.Read(ref _queues);
        // A stale event of a watch that ended wakes somebody else at worst, who looks and sees nothing.
        if (slot >= 0 && slot < queues.Length)
            Volatile.Read(ref queues[slot])?.Wake((PollEvents)what.Events);
    }

    private void Run()
    {
        while (!_disposed)
        {
            if (_epoll.WaitReady())
                Look();
        }
    }
}
