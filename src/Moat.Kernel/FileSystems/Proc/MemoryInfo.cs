using System.Globalization;
using System.Text;
using Moat.Host;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>/proc/meminfo: the sandbox's memory as sysinfo(2) tells it, within --memory.</summary>
internal static class MemoryInfo
{
    // Linux's lines behind the first ones, in order; what a sandbox has nothing of is zero.
    private static readonly string[] s_zero =
    [
        "SwapCached", "Active", "Inactive", "Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable", "Mlocked",
        "SwapTotal", "SwapFree", "Zswap", "Zswapped", "Dirty", "Writeback",
    ];

    private static readonly string[] s_zeroAtEnd =
    [
        "KReclaimable", "Slab", "SReclaimable", "SUnreclaim", "KernelStack", "PageTables", "SecPageTables", "NFS_Unstable", "Bounce",
        "WritebackTmp",
    ];

    private static readonly string[] s_huge =
    [
        "AnonHugePages", "ShmemHugePages", "ShmemPmdMapped", "FileHugePages", "FilePmdMapped", "Balloon",
    ];

    public static void Write(Sentry sentry, StringBuilder text)
    {
        Span<ulong> info = stackalloc ulong[14];
        HostSystem.GetSysInfo(info);
        // struct sysinfo: total, free, shared, buffers in words 4 to 7.
        ulong total = info[4], free = info[5], used = sentry.Frames.Used, limit = sentry.Frames.Limit;
        if (limit < total)
        {
            total = limit;
            free = Math.Min(free, limit - Math.Min(used, limit));
        }
        Line("MemTotal", total);
        Line("MemFree", free);
        Line("MemAvailable", free);
        Line("Buffers", 0);
        Line("Cached", 0);
        foreach (string name in s_zero)
            Line(name, 0);
        Line("AnonPages", used);
        Line("Mapped", 0);
        Line("Shmem", 0);
        foreach (string name in s_zeroAtEnd)
            Line(name, 0);
        Line("CommitLimit", total);
        Line("Committed_AS", sentry.Frames.Charged);
        Line("VmallocTotal", 34359738367UL * 1024);
        Line("VmallocUsed", 0);
        Line("VmallocChunk", 0);
        Line("Percpu", 0);
        foreach (string name in s_huge)
            Line(name, 0);
        foreach (string name in (ReadOnlySpan<string>)["Total", "Free", "Rsvd", "Surp"])
            text.Append(CultureInfo.InvariantCulture, $"HugePages_{name + ":",-6}{0,8}\n");
        Line("Hugepagesize", 2 << 20);
        Line("Hugetlb", 0);

        void Line(string name, ulong bytes) => text.Append(CultureInfo.InvariantCulture, $"{name + ":",-16}{bytes / 1024,8} kB\n");
    }
}
