using System.Globalization;
using System.Runtime.InteropServices;
using Moat.Host;

namespace Moat.Cli;

/// <summary>How bad a finding is.</summary>
internal enum Weight
{
    /// <summary>Moat works, but slower or with less room.</summary>
    Advice,

    /// <summary>Moat cannot work.</summary>
    Fatal,
}

/// <summary>What the host lacks and how to mend it: together one sentence.</summary>
internal sealed record Finding(Weight Weight, string What, string Mend);

/// <summary>Looks at the host, cheapest first. Each check yields at most one finding.</summary>
internal static class HostChecks
{
    private const int EPERM = 1, EACCES = 13, ENOSYS = 38;

    public static IEnumerable<Finding> All()
        => new Func<Finding?>[] { Architecture, KernelVersion, Proc, Memfd, MemfdExec, Filters, AddressSpaceLimit, Processes, Descriptors, MapCount, Cores }
            .Select(check => check()).OfType<Finding>();

    private static Finding? Architecture()
        => RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64 ? null
            : new(Weight.Fatal, "the processor is no x86-64", "use such a machine");

    private static Finding? KernelVersion()
    {
        Version version = Environment.OSVersion.Version;
        return version >= new Version(5, 14) ? null
            : new(Weight.Fatal, $"the kernel is {version.Major}.{version.Minor}, older than 5.14", "install a newer kernel");
    }

    private static Finding? Proc()
        => File.Exists("/proc/self/maps") ? null : new(Weight.Fatal, "/proc is not mounted", "run `mount -t proc proc /proc`");

    private static Finding? Memfd()
    {
        long fd = HostFile.TryMemfd();
        return fd >= 0 ? null
            : new(Weight.Fatal, $"the host refuses memfd_create ({Why(fd)})", "allow it in the container's seccomp profile");
    }

    private static Finding? MemfdExec()
    {
        if (ReadNumber("/proc/sys/vm/memfd_noexec") == 2)
            return new(Weight.Fatal, "memory files must not be executed here", "run `sysctl vm.memfd_noexec=1` as root");
        return null;
    }

    private static Finding? Filters()
    {
        long result = 0;
        // A thread of its own: a filter cannot be taken off again.
        Thread thread = new(() => result = HostSeccomp.Try());
        thread.Start();
        thread.Join();
        return result >= 0 ? null
            : new(Weight.Fatal, $"the host refuses system call filters ({Why(result)})",
                "use a kernel with CONFIG_SECCOMP_FILTER, and allow prctl and seccomp in the container's profile");
    }

    private static Finding? AddressSpaceLimit()
    {
        return Limit("Max address space") < (10L << 40)
            ? new(Weight.Fatal, "the address space of a process is limited", "run `ulimit -v unlimited`") : null;
    }

    private static Finding? Processes()
    {
        return Limit("Max processes") < 256
            ? new(Weight.Advice, "this user may have few threads, and each guest thread needs two", "raise the limit with `ulimit -u`") : null;
    }

    private static Finding? Descriptors()
    {
        return Limit("Max open files") < 1024
            ? new(Weight.Advice, "fewer than 1024 files may be open", "run `ulimit -n 1024` or more") : null;
    }

    private static Finding? MapCount()
    {
        return ReadNumber("/proc/sys/vm/max_map_count") is { } count and < 65530
            ? new(Weight.Advice, $"a process may have {count} mappings only", "run `sysctl vm.max_map_count=262144` as root") : null;
    }

    private static Finding? Cores()
        => Environment.ProcessorCount > 1 ? null
            : new(Weight.Advice, "there is one core, so each system call of a guest costs a context switch", "give Moat two cores");

    private static string Why(long result) => -result switch
    {
        EPERM => "EPERM: a filter or a policy denies it",
        EACCES => "EACCES: a policy denies it",
        ENOSYS => "ENOSYS: the kernel or a filter does not know it",
        _ => $"errno {-result}",
    };

    private static long? ReadNumber(string path)
    {
        try
        {
            return long.Parse(File.ReadAllText(path), CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            return null; // Older kernels do not have it, and then it does not limit.
        }
    }

    /// <summary>A soft limit as /proc/self/limits tells it; the largest number when there is none.</summary>
    private static long Limit(string name)
    {
        string? line = File.ReadLines("/proc/self/limits").FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal));
        string? soft = line?[name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
        return long.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : long.MaxValue;
    }
}
