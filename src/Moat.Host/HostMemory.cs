using System.Globalization;

namespace Moat.Host;

/// <summary>How much memory this process may use.</summary>
public static class HostMemory
{
    private const string CgroupRoot = "/sys/fs/cgroup";

    /// <summary>
    /// Bytes that the host can give without swapping (MemAvailable, man 5 proc_meminfo), less where a control group gives less
    /// (memory.max of cgroup v2, memory.limit_in_bytes of v1). <see cref="ulong.MaxValue"/> when the host does not say.
    /// </summary>
    public static ulong GetAvailable()
    {
        ulong available = ulong.MaxValue;
        if (FindField(HostText.Read("/proc/meminfo"), "MemAvailable:") is { } kilobytes)
            available = kilobytes * 1024;
        foreach (string line in HostText.Read("/proc/self/cgroup").Split('\n'))
        {
            // hierarchy:controllers:path
            string[] parts = line.Split(':', 3);
            if (parts.Length == 3 && parts[1].Length == 0)
                available = Math.Min(available, GetRoom(CgroupRoot, parts[2], "memory.max", "memory.current", "inactive_file "));
            else if (parts.Length == 3 && parts[1].Split(',').Contains("memory"))
                available = Math.Min(available, GetRoom(CgroupRoot + "/memory", parts[2], "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "));
        }
        return available;
    }

    /// <summary>The least room of a group and those above it. In a namespace of its own a group's path is that of the mount.</summary>
    private static ulong GetRoom(string root, string path, string limitFile, string usageFile, string cacheField)
    {
        ulong room = ulong.MaxValue;
        for (path = path.TrimEnd('/'); ; path = path[..path.LastIndexOf('/')])
        {
            string directory = root + path;
            if (TryReadNumber($"{directory}/{limitFile}", out ulong limit) && TryReadNumber($"{directory}/{usageFile}", out ulong used))
            {
                // Cached files give way.
                used -= Math.Min(used, FindField(HostText.Read(directory + "/memory.stat"), cacheField) ?? 0);
                room = Math.Min(room, limit - Math.Min(limit, used));
            }
            if (path.Length == 0)
                return room;
        }
    }

    /// <summary>False for "max" and what is not there.</summary>
    private static bool TryReadNumber(string path, out ulong number)
        => ulong.TryParse(HostText.Read(path).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private static ulong? FindField(string text, string name)
    {
        int at = text.StartsWith(name, StringComparison.Ordinal) ? 0 : text.IndexOf("\n" + name, StringComparison.Ordinal);
        if (at < 0)
            return null;
        ReadOnlySpan<char> rest = text.AsSpan(text.IndexOf(name, at, StringComparison.Ordinal) + name.Length).TrimStart();
        int end = 0;
        while (end < rest.Length && char.IsAsciiDigit(rest[end]))
            end++;
        return ulong.TryParse(rest[..end], NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) ? value : null;
    }
}
