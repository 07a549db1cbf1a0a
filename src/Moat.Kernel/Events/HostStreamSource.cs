using Moat.Host;

namespace Moat.Kernel.Events;

/// <summary>
/// One of the descriptors that Moat was started with, counted: the stream itself and what guests open through
/// /proc/self/fd hold it. With the last one gone a peer sees the end now, and not when Moat ends.
/// </summary>
internal sealed class HostStreamSource
{
    private int _references = 1;

    private HostStreamSource(int fd, in Stat stat, OpenFlags flags)
    {
        Fd = fd;
        Stat = stat;
        Flags = flags;
        Name = HostStreamCalls.GetName(fd);
        // Asked to seek by nothing: pipes, sockets and terminals refuse.
        IsSeekable = Type is not (FileMode.S_IFIFO or FileMode.S_IFSOCK) && HostStreamCalls.Seek(fd, 0, 1 /* SEEK_CUR */) >= 0;
        using HostEpoll probe = new();
        HasReadiness = probe.Add(fd, 0, 0) == 0;
    }

    /// <summary>
    /// Wraps a descriptor, or null when Moat was not started with it. One that is close-on-exec did not come from there: the runtime
    /// has opened it since.
    /// </summary>
    public static HostStreamSource? Create(int fd)
    {
        int flags = HostStreamCalls.GetFlags(fd);
        return flags < 0 || HostStreamCalls.IsCloseOnExec(fd) || HostStreamCalls.GetStat(fd, out Stat stat) < 0 ? null : new HostStreamSource(fd, stat, (OpenFlags)flags);
    }

    public int Fd { get; }

    /// <summary>As it was at the start; type and numbers stay.</summary>
    public Stat Stat { get; }

    /// <summary>F_GETFL of the shared description.</summary>
    public OpenFlags Flags { get; }

    /// <summary>The host's name for it: a path or <c>pipe:[7]</c>.</summary>
    public string Name { get; }

    public bool IsSeekable { get; }

    /// <summary>poll(2) and epoll(7) work on it.</summary>
    public bool HasReadiness { get; }

    /// <summary>S_IFMT bits.</summary>
    public uint Type => Stat.st_mode & FileMode.S_IFMT;

    /// <summary>True for a terminal (isatty(3)).</summary>
    public bool IsTerminal
    {
        get
        {
            Span<byte> termios = stackalloc byte[64];
            return Type == FileMode.S_IFCHR && HostStreamCalls.Ioctl(Fd, 0x5401 /* TCGETS */, termios) == 0;
        }
    }

    /// <summary>One holder more; false when the last is already gone.</summary>
    public bool TryAddReference()
    {
        int n = Volatile.Read(ref _references);
        while (n > 0)
        {
            int seen = Interlocked.CompareExchange(ref _references, n + 1, n);
            if (seen == n)
                return true;
            n = seen;
        }
        return false;
    }

    /// <summary>One holder less.</summary>
    public void DropReference()
    {
        // Standard error stays: Moat itself may have to say something.
        if (Interlocked.Decrement(ref _references) == 0 && Fd is 0 or 1)
            HostStreamCalls.ReplaceByNull(Fd);
    }
}
