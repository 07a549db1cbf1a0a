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
    private readonly HostEpoll _epoll = new();
    private readonly HostEvent _stop = new();
    private WaitQueue?[] _queues = new WaitQueue?[16];
    private Thread? _thread;
    private int _firstFree;
    private bool _disposed;

    /// <summary>
    /// Wakes <paramref name="queue"/> whenever the host descriptor's readiness changes. OK, EPERM when it has none, ENOMEM.
    /// </summary>
    /// <returns>The watch's number for <see cref="Unwatch"/>, or an errno.</returns>
    public SysResult Watch(int hostFd, WaitQueue queue)
    {
        lock (_lock)
        {
            int slot = Array.IndexOf(_queues, null, _firstFree);
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
            if (_thread is null && !_disposed)
            {
                _thread = HostThread.Create("moat-notifier", Run);
                _epoll.Add(_stop.Fd, (uint)PollEvents.POLLIN, 0);
                _thread.Start();
            }
            return slot;
        }
    }

    /// <summary>Ends a watch, before the descriptor is closed. A wake that is under way may still arrive.</summary>
    public void Unwatch(int watch, int hostFd)
    {
        lock (_lock)
        {
            _epoll.Remove(hostFd);
            _queues[watch] = null;
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

    private void Run()
    {
        Span<HostEpollEvent> events = stackalloc HostEpollEvent[64];
        while (true)
        {
            int count = _epoll.Wait(events);
            for (int i = 0; i < count; i++)
            {
                if (events[i].Data == 0)
                    return;
                WaitQueue?[] queues = Volatile.Read(ref _queues);
                int slot = (int)events[i].Data - 1;
                // A stale event of a watch that ended wakes somebody else at worst, who looks and sees nothing.
                if (slot < queues.Length)
                    Volatile.Read(ref queues[slot])?.Wake((PollEvents)events[i].Events);
            }
        }
    }
}
