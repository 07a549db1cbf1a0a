using System.Globalization;
using System.Runtime.InteropServices;

namespace Moat.Host;

/// <summary>What the host says of itself and of the sentry's own use of it.</summary>
public static unsafe class HostSystem
{
    private const int RUSAGE_SELF = 0;

    /// <summary>struct sysinfo's first words (man 2 sysinfo): uptime in seconds, three loads, then sizes in bytes.</summary>
    public static void GetSysInfo(Span<ulong> words)
    {
        byte* buffer = stackalloc byte[128];
        HostSyscall.CallQuick(99 /* sysinfo */, (long)buffer);
        new ReadOnlySpan<ulong>(buffer, Math.Min(words.Length, 14)).CopyTo(words);
        // Sizes are in units of mem_unit bytes.
        uint unit = *(uint*)(buffer + 104);
        for (int i = 4; i < Math.Min(words.Length, 10); i++)
            words[i] *= Math.Max(unit, 1);
    }

    /// <summary>The host's name (uname(2), nodename), Latin-1.</summary>
    public static string GetHostName()
    {
        const int FieldSize = 65;
        byte* buffer = stackalloc byte[6 * FieldSize];
        HostSyscall.CallQuick(63 /* uname */, (long)buffer);
        return Marshal.PtrToStringAnsi((nint)(buffer + FieldSize)) ?? "localhost";
    }

    /// <summary>One of the sentry's own limits (getrlimit(2)); false when the host does not tell.</summary>
    public static bool TryGetLimit(int resource, out ulong current, out ulong maximum)
    {
        ulong* limit = stackalloc ulong[2];
        bool told = HostSyscall.CallQuick(302 /* prlimit64 */, 0, resource, 0, (long)limit) == 0;
        (current, maximum) = (limit[0], limit[1]);
        return told;
    }

    /// <summary>The soft limit of descriptors of the process that started this one (/proc/PID/limits); the largest number when it is unknown or unlimited.</summary>
    public static ulong GetParentFileLimit()
    {
        const string Name = "Max open files";
        string text = HostText.Read(string.Create(CultureInfo.InvariantCulture, $"/proc/{HostSyscall.CallQuick(110 /* getppid */)}/limits"));
        int at = text.IndexOf(Name, StringComparison.Ordinal);
        ReadOnlySpan<char> rest = at < 0 ? default : text.AsSpan(at + Name.Length).TrimStart();
        int end = rest.IndexOf(' ');
        return ulong.TryParse(end < 0 ? rest : rest[..end], NumberStyles.None, CultureInfo.InvariantCulture, out ulong soft) ? soft : ulong.MaxValue;
    }

    /// <summary>The calling thread's id on the host.</summary>
    public static int GetThreadId() => (int)HostSyscall.CallQuick(186 /* gettid */);

    /// <summary>Gives the processor to others (sched_yield(2)).</summary>
    public static void Yield() => HostSyscall.Call(24);

    /// <summary>The host's time slice, nanoseconds (sched_rr_get_interval(2)).</summary>
    public static long GetTimeSlice()
    {
        long* ts = stackalloc long[2];
        return HostSyscall.CallQuick(148, 0, (long)ts) == 0 ? (ts[0] * 1_000_000_000) + ts[1] : 0;
    }

    /// <summary>Processor and node on which the caller runs (getcpu(2)).</summary>
    public static (uint Processor, uint Node) GetCpu()
    {
        uint* words = stackalloc uint[2];
        HostSyscall.CallQuick(309, (long)words, (long)(words + 1));
        return (words[0], words[1]);
    }

    /// <summary>The sentry's own resource use: user and system time in nanoseconds, context switches and so on (getrusage(2)).</summary>
    public static void GetUsage(Span<long> words)
    {
        long* buffer = stackalloc long[18];
        HostSyscall.CallQuick(98, RUSAGE_SELF, (long)buffer);
        new ReadOnlySpan<long>(buffer, Math.Min(18, words.Length)).CopyTo(words);
    }

    /// <summary>membarrier(2), MEMBARRIER_CMD_GLOBAL: a barrier on all processors. 0 or -errno.</summary>
    public static long GlobalBarrier() => HostSyscall.Call(324, 1, 0, 0);

    /// <summary>Whether the host has that barrier.</summary>
    public static bool HasGlobalBarrier => (HostSyscall.Call(324, 0, 0, 0) & 1) == 1;

    /// <summary>adjtimex(2) without changing anything: fills a struct timex of 208 bytes; the clock's state or -errno.</summary>
    public static long ReadTimex(int clock, Span<byte> timex)
    {
        timex.Clear();
        fixed (byte* p = timex)
            return HostSyscall.CallQuick(305 /* clock_adjtime */, clock, (long)p);
    }

    /// <summary>The value of an arch_prctl(2) that writes a word, or -errno.</summary>
    public static long ReadArch(int code, out ulong value)
    {
        ulong word = 0;
        long r = HostSyscall.CallQuick(158, code, (long)&word);
        value = word;
        return r;
    }
}
