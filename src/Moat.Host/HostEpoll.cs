using System.Runtime.InteropServices;

namespace Moat.Host;

/// <summary>An event of a host epoll instance: struct epoll_event, packed on x86-64.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public struct HostEpollEvent
{
    /// <summary>Readiness bits (epoll(7)).</summary>
    public uint Events;

    /// <summary>The name that the descriptor was added with.</summary>
    public ulong Data;
}

/// <summary>A host epoll instance (epoll(7)) and the host's poll(2).</summary>
public sealed unsafe class HostEpoll : IDisposable
{
    private readonly int _fd;

    /// <summary>Makes one. Throws <see cref="HostException"/> when the host refuses.</summary>
    public HostEpoll()
    {
        const int EPOLL_CLOEXEC = 0x80000;
        long fd = HostSyscall.Call(291 /* epoll_create1 */, EPOLL_CLOEXEC);
        HostException.Check(fd, "epoll_create1");
        _fd = (int)fd;
    }

    /// <summary>
    /// Watches a descriptor for <paramref name="events"/> (EPOLL bits, EPOLLET and so on included). Returns 0 or -errno:
    /// -EPERM when it has no readiness.
    /// </summary>
    public int Add(int fd, uint events, ulong data)
    {
        HostEpollEvent e = new() { Events = events, Data = data };
        // SAFETY: e outlives the call.
        return (int)HostSyscall.CallQuick(233 /* epoll_ctl */, _fd, 1 /* EPOLL_CTL_ADD */, fd, (long)&e);
    }

    /// <summary>Changes what is watched of a descriptor; it counts as newly added. Returns 0 or -errno.</summary>
    public int Modify(int fd, uint events, ulong data)
    {
        HostEpollEvent e = new() { Events = events, Data = data };
        // SAFETY: e outlives the call.
        return (int)HostSyscall.CallQuick(233 /* epoll_ctl */, _fd, 3 /* EPOLL_CTL_MOD */, fd, (long)&e);
    }

    /// <summary>Stops watching a descriptor. Returns 0 or -errno.</summary>
    public int Remove(int fd) => (int)HostSyscall.CallQuick(233 /* epoll_ctl */, _fd, 2 /* EPOLL_CTL_DEL */, fd);

    /// <summary>The instance's own descriptor: readable while something is ready.</summary>
    public int Descriptor => _fd;

    /// <summary>Takes events without waiting. Returns how many.</summary>
    public int Look(Span<HostEpollEvent> events)
    {
        // SAFETY: pinned for the call.
        fixed (HostEpollEvent* p = events)
            return Math.Max(0, (int)HostSyscall.Call(232 /* epoll_wait */, _fd, (long)p, events.Length, 0));
    }

    /// <summary>Waits without limit until there are events, and takes none. False: interrupted.</summary>
    public bool WaitReady()
    {
        const ulong POLLIN = 1;
        // struct pollfd: int fd; short events, revents.
        ulong pollfd = (uint)_fd | (POLLIN << 32);
        // SAFETY: pollfd outlives the call.
        return HostSyscall.Call(7 /* poll */, (long)&pollfd, 1, -1) > 0;
    }

    /// <summary>What is ready of <paramref name="events"/> (poll(2) bits) right now; POLLERR, POLLHUP and POLLNVAL always are asked for.</summary>
    public static uint PollNow(int fd, uint events)
    {
        // struct pollfd: int fd; short events, revents.
        ulong pollfd = (uint)fd | ((ulong)(ushort)events << 32);
        // SAFETY: pollfd outlives the call. A time-out of zero never sleeps.
        long r = HostSyscall.CallQuick(7 /* poll */, (long)&pollfd, 1, 0);
        return r > 0 ? (uint)(pollfd >> 48) : 0;
    }

    /// <summary>Closes it.</summary>
    public void Dispose() => HostSyscall.Call(3 /* close */, _fd);
}
