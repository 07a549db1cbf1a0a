namespace Moat.Host;

/// <summary>A host eventfd that one thread signals and others wait for with poll (man 2 eventfd).</summary>
public sealed unsafe class HostEvent : IDisposable
{
    /// <summary>Makes one that is not signalled. Throws <see cref="HostException"/> when the host refuses.</summary>
    public HostEvent()
    {
        const int EFD_NONBLOCK = 0x800, EFD_CLOEXEC = 0x80000;
        long fd = HostSyscall.Call(290 /* eventfd2 */, 0, EFD_NONBLOCK | EFD_CLOEXEC);
        HostException.Check(fd, "eventfd2");
        Fd = (int)fd;
    }

    /// <summary>The descriptor, readable once signalled.</summary>
    public int Fd { get; }

    /// <summary>Makes it readable.</summary>
    public void Signal()
    {
        long one = 1;
        HostSyscall.CallQuick(1 /* write */, Fd, (long)&one, 8);
    }

    /// <summary>Takes the signals there are.</summary>
    public void Clear()
    {
        long count;
        HostSyscall.CallQuick(0 /* read */, Fd, (long)&count, 8);
    }

    /// <summary>Closes it.</summary>
    public void Dispose() => HostSyscall.Call(3 /* close */, Fd);
}
