namespace Moat.Abi;

/// <summary>Readiness bits of poll(2) and epoll(7), which share their values (include/uapi/linux/eventpoll.h).</summary>
[Flags]
public enum PollEvents : uint
{
#pragma warning disable CS1591 // Linux's own names.
    None = 0,
    POLLIN = 0x1,
    POLLPRI = 0x2,
    POLLOUT = 0x4,
    POLLERR = 0x8,
    POLLHUP = 0x10,
    POLLNVAL = 0x20,
    POLLRDNORM = 0x40,
    POLLRDBAND = 0x80,
    POLLWRNORM = 0x100,
    POLLWRBAND = 0x200,
    POLLMSG = 0x400,
    POLLRDHUP = 0x2000,
    EPOLL_URING_WAKE = 1u << 27,
    EPOLLEXCLUSIVE = 1u << 28,
    EPOLLWAKEUP = 1u << 29,
    EPOLLONESHOT = 1u << 30,
    EPOLLET = 1u << 31,
#pragma warning restore CS1591
}
