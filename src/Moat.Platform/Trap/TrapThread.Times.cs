using System.Globalization;
using System.Text;
using Moat.Host;

namespace Moat.Platform.Trap;

public sealed unsafe partial class TrapThread
{
    /// <inheritdoc/>
    public override long GetCpuTime()
    {
        // Of the only guest thread there ever was: what the service thread did was for it.
        if (_space.HadOneThread)
            return HostTime.GetOfProcess(_space.Pid);
        // The first number of schedstat: nanoseconds on a processor. No clock reads another process's thread.
        Span<byte> path = stackalloc byte[64];
        if (!Encoding.ASCII.TryGetBytes(string.Create(CultureInfo.InvariantCulture, $"/proc/{_space.Pid}/task/{_tid}/schedstat\0"), path, out _))
            return 0;
        long fd;
        fixed (byte* p = path)
            fd = HostSyscall.Call(2 /* open */, (long)p, 0x80000 /* O_CLOEXEC */, 0);
        if (fd < 0)
            return 0;
        byte* text = stackalloc byte[64];
        long n = HostSyscall.Call(0 /* read */, fd, (long)text, 64);
        HostSyscall.Close((int)fd);
        long time = 0;
        for (long i = 0; i < n && text[i] is >= (byte)'0' and <= (byte)'9'; i++)
            time = (time * 10) + (text[i] - '0');
        return time;
    }
}
