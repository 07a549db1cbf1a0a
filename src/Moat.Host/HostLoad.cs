namespace Moat.Host;

/// <summary>How many threads of the whole host want a processor right now: proc(5), /proc/loadavg.</summary>
public static unsafe class HostLoad
{
    private static readonly int s_file = OwnsAllProcessors() ? HostSyscall.OpenReadOnly("/proc/loadavg"u8) : -1;

    /// <summary>
    /// Threads that run or wait for a processor, the caller included. 0 when the host does not tell, or when it has more processors than
    /// this process may use: then the number says nothing about these. About 2 us, no allocation.
    /// </summary>
    public static int Runnable
    {
        get
        {
            if (s_file < 0)
                return 0;
            const int size = 64, pread64 = 17;
            byte* text = stackalloc byte[size];
            // SAFETY: reads into a buffer of that size.
            long length = HostSyscall.Call(pread64, s_file, (long)text, size, 0);
            return LastNumber(new ReadOnlySpan<byte>(text, (int)Math.Max(0, length)), (byte)'/');
        }
    }

    // 0.20 0.18 0.12 1/80 11206 and '/': 1.
    private static int LastNumber(ReadOnlySpan<byte> text, byte end)
    {
        var value = 0;
        foreach (byte c in text)
        {
            if (c == end)
                return value;
            value = c is >= (byte)'0' and <= (byte)'9' ? value * 10 + c - '0' : 0;
        }

        return 0;
    }

    private static bool OwnsAllProcessors()
    {
        const int size = 256, read = 0;
        int file = HostSyscall.OpenReadOnly("/sys/devices/system/cpu/online"u8);
        if (file < 0)
            return false;
        byte* text = stackalloc byte[size];
        // SAFETY: reads into a buffer of that size.
        long length = HostSyscall.Call(read, file, (long)text, size);
        HostSyscall.Close(file);
        // 0-1: the last processor is the highest.
        return LastNumber(new ReadOnlySpan<byte>(text, (int)Math.Max(0, length)), (byte)'\n') + 1 == Environment.ProcessorCount;
    }
}
