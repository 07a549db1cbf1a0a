using System.Runtime.InteropServices;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Sockets;

/// <summary>SO_RCVTIMEO and SO_SNDTIMEO: a struct timeval, zero for no time-out.</summary>
internal static class SocketTime
{
    private const long Micro = 1_000_000;

    /// <summary>Writes a time-out as getsockopt(2) shows it, cut to the room there is.</summary>
    public static SysResult Put(Span<byte> room, long time)
    {
        Timeval value = default;
        if (time != Task.Forever)
            value = new Timeval { Seconds = time / HostClock.Second, Microseconds = time % HostClock.Second / 1000 };
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<Timeval>(in value));
        int length = Math.Min(room.Length, bytes.Length);
        bytes[..length].CopyTo(room);
        return length;
    }

    /// <summary>Reads a time-out, nanoseconds; a negative one is zero, which does not wait at all. EINVAL, EDOM.</summary>
    public static Errno Parse(ReadOnlySpan<byte> bytes, out long time)
    {
        time = 0;
        if (bytes.Length < Marshal.SizeOf<Timeval>())
            return Errno.EINVAL;
        Timeval value = MemoryMarshal.Read<Timeval>(bytes);
        if (value.Microseconds is < 0 or >= Micro)
            return Errno.EDOM;
        if (value.Seconds < 0)
            return Errno.OK;
        time = (value.Seconds == 0 && value.Microseconds == 0) || value.Seconds >= long.MaxValue / HostClock.Second - 1
            ? Task.Forever : (value.Seconds * HostClock.Second) + (value.Microseconds * 1000);
        return Errno.OK;
    }
}
