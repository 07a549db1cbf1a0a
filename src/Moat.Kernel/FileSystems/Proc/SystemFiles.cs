using System.Globalization;
using System.Text;
using Moat.Host;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>Files of /proc about the machine and the sandbox as a whole.</summary>
internal static class SystemFiles
{
    private static string? s_cpuInfo;

    /// <summary>The processors are the host's, and so is what it says of them.</summary>
    public static void CpuInfo(Sentry sentry, StringBuilder text)
        => text.Append(LazyInitializer.EnsureInitialized(ref s_cpuInfo, static () => HostText.Read("/proc/cpuinfo") is { Length: > 0 } host ? host : ShortCpuInfo()));

    public static void Version(Sentry sentry, StringBuilder text)
        => text.Append(CultureInfo.InvariantCulture, $"Linux version {SystemSyscalls.Release} (moat@moat) (.NET {Environment.Version}) {SystemSyscalls.Version}\n");

    public static void FileSystems(Sentry sentry, StringBuilder text)
        => text.Append("nodev\ttmpfs\nnodev\tproc\nnodev\toverlay\nnodev\tpipefs\nnodev\tanon_inodefs\n");

    public static void Devices(Sentry sentry, StringBuilder text)
        => text.Append("Character devices:\n  1 mem\n  5 /dev/tty\n136 pts\n\nBlock devices:\n");

    public static void Cgroups(Sentry sentry, StringBuilder text) => text.Append("#subsys_name\thierarchy\tnum_cgroups\tenabled\n");

    public static void CommandLine(Sentry sentry, StringBuilder text) => text.Append('\n');

    public static void Swaps(Sentry sentry, StringBuilder text) => text.Append("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");

    /// <summary>Seconds since the machine started, as sysinfo(2) has it, and those that the sandbox left its processors idle.</summary>
    public static void Uptime(Sentry sentry, StringBuilder text)
    {
        long up = HostClock.Get(HostClock.CLOCK_BOOTTIME);
        (long user, long system) = GetTimes(sentry);
        Append(text, up);
        text.Append(' ');
        Append(text, Math.Max(0, (up * Environment.ProcessorCount) - user - system));
        text.Append('\n');

        static void Append(StringBuilder text, long time)
            => text.Append(CultureInfo.InvariantCulture, $"{time / HostClock.Second}.{time % HostClock.Second / 10_000_000:00}");
    }

    /// <summary>The host's load averages, as sysinfo(2) has them; the sandbox's threads.</summary>
    public static void LoadAverage(Sentry sentry, StringBuilder text)
    {
        const int FixedPoint = 16;
        Span<ulong> info = stackalloc ulong[14];
        HostSystem.GetSysInfo(info);
        for (int i = 1; i <= 3; i++)
        {
            ulong hundredths = ((info[i] * 100) + (1 << (FixedPoint - 1))) >> FixedPoint;
            text.Append(CultureInfo.InvariantCulture, $"{hundredths / 100}.{hundredths % 100:00} ");
        }
        Count(sentry, out int threads, out int running);
        text.Append(CultureInfo.InvariantCulture, $"{running}/{threads} {sentry.Tasks.Last}\n");
    }

    public static void Stat(Sentry sentry, StringBuilder text)
    {
        long up = HostClock.Get(HostClock.CLOCK_BOOTTIME);
        int processors = Environment.ProcessorCount;
        (long user, long system) = GetTimes(sentry);
        long idle = Math.Max(0, (up * processors) - user - system);
        Line("cpu ", 1);
        for (int i = 0; i < processors; i++)
            Line(string.Create(CultureInfo.InvariantCulture, $"cpu{i}"), processors);
        Count(sentry, out _, out int running);
        text.Append(CultureInfo.InvariantCulture, $"intr 0\nctxt 0\nbtime {(HostClock.RealtimeNow - up) / HostClock.Second}\nprocesses {sentry.Tasks.Last}\n")
            .Append(CultureInfo.InvariantCulture, $"procs_running {running}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n");

        // What the sandbox used is spread evenly; nobody counts it by processor.
        void Line(string name, int share)
            => text.Append(CultureInfo.InvariantCulture, $"{name} {user / share / TaskStat.Tick} 0 {system / share / TaskStat.Tick} {idle / share / TaskStat.Tick} 0 0 0 0 0 0\n");
    }

    private static (long User, long System) GetTimes(Sentry sentry)
    {
        long user = 0, system = 0;
        foreach (ThreadGroup group in sentry.Tasks.GetGroups())
        {
            (long u, long s) = group.GetTimes();
            user += u;
            system += s;
        }
        return (user, system);
    }

    private static void Count(Sentry sentry, out int threads, out int running)
    {
        threads = running = 0;
        foreach (ThreadGroup group in sentry.Tasks.GetGroups())
        {
            foreach (Task task in group.GetTasks())
            {
                threads++;
                if (task.StateLetter == 'R')
                    running++;
            }
        }
    }

    private static string ShortCpuInfo()
    {
        StringBuilder text = new();
        for (int i = 0; i < Environment.ProcessorCount; i++)
            text.Append(CultureInfo.InvariantCulture, $"processor\t: {i}\nvendor_id\t: unknown\n\n");
        return text.ToString();
    }
}
