using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Moat.Kernel.Memory;

namespace Moat.Kernel.Events;

/// <summary>An event counter (eventfd(2)).</summary>
internal sealed class EventFd : AnonymousFile
{
    private const ulong Max = ulong.MaxValue - 1;

    private static int s_nextId;

    private readonly Lock _lock = new();
    private readonly bool _semaphore;
    private readonly int _id = Interlocked.Increment(ref s_nextId);
    private ulong _count;

    /// <summary>Makes one; <paramref name="flags"/>: O_NONBLOCK.</summary>
    public EventFd(uint initial, bool semaphore, OpenFlags flags)
        : base(OpenFlags.O_RDWR | flags, "[eventfd]")
    {
        _count = initial;
        _semaphore = semaphore;
    }

    public override WaitQueue Waiters { get; } = new();

    /// <inheritdoc/>
    public override bool SkipsEmpty(bool write) => write;

    /// <inheritdoc/>
    public override bool TakesParts(bool write) => write;

    public override PollEvents Poll()
    {
        ulong count = Volatile.Read(ref _count);
        PollEvents events = PollEvents.None;
        if (count > 0)
            events |= PollEvents.POLLIN;
        if (count == ulong.MaxValue)
            events |= PollEvents.POLLERR;
        if (count < Max)
            events |= PollEvents.POLLOUT;
        return events;
    }

    /// <summary>Takes the count, or one of it (EFD_SEMAPHORE). EINVAL for less than 8 bytes of room.</summary>
    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        if (to.Remaining < sizeof(ulong) && !to.IsCut)
            return Errno.EINVAL;
        ulong value;
        lock (_lock)
        {
            if (_count == 0)
                return Errno.EAGAIN;
            value = _semaphore ? 1 : _count;
            Volatile.Write(ref _count, _count - value);
        }
        Waiters.Wake(PollEvents.POLLOUT);
        return to.CopyFrom(MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in value))) == sizeof(ulong) ? sizeof(ulong) : Errno.EFAULT;
    }

    /// <summary>
    /// Adds to the count; EAGAIN when that overflows, EINVAL for ULLONG_MAX or not exactly 8 bytes. RWF_NOWAIT (only a
    /// request of io_uring can have it) is EAGAIN unless the descriptor is non-blocking.
    /// </summary>
    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
    {
        if ((flags & RwFlags.RWF_NOWAIT) != 0 && !IsNonBlocking)
            return Errno.EAGAIN;
        if (from.Remaining != sizeof(ulong))
            return Errno.EINVAL;
        ulong value = 0;
        if (from.CopyTo(MemoryMarshal.AsBytes(new Span<ulong>(ref value))) != sizeof(ulong))
            return Errno.EFAULT;
        if (value == ulong.MaxValue)
            return Errno.EINVAL;
        lock (_lock)
        {
            if (value >= ulong.MaxValue - _count)
                return Errno.EAGAIN;
            Volatile.Write(ref _count, _count + value);
        }
        Waiters.Wake(PollEvents.POLLIN);
        return sizeof(ulong);
    }

    /// <summary>
    /// The kernel's own notification (io_uring's registered eventfd): adds, and stays at ULLONG_MAX (POLLERR) on overflow.
    /// <paramref name="mark"/>: what pollers are told beside POLLIN. Any thread.
    /// </summary>
    public void Signal(ulong value = 1, PollEvents mark = PollEvents.None)
    {
        lock (_lock)
            Volatile.Write(ref _count, value > ulong.MaxValue - _count ? ulong.MaxValue : _count + value);
        Waiters.Wake(PollEvents.POLLIN | mark);
    }

    public override void AppendFdInfo(StringBuilder text)
        => text.Append(CultureInfo.InvariantCulture,
            $"eventfd-count: {Volatile.Read(ref _count),16:x}\neventfd-id: {_id}\neventfd-semaphore: {(_semaphore ? 1 : 0)}\n");
}
