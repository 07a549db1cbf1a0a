using System.Globalization;
using Moat.Host;
using Moat.Kernel.IoUring;

namespace Moat.Cli;

/// <summary>The running sandboxes of this user that tell what their io_uring does.</summary>
internal sealed class UringWatch : IDisposable
{
    private const long Patience = 500_000_000;
    private const int Attempts = 20;

    // By process; null where a process has nothing to tell.
    private readonly Dictionary<int, SharedRegion> _known = [];

    /// <summary>Asks all of them, the oldest first. Those that have ended meanwhile, or do not answer, are left out.</summary>
    public List<MonitorSnapshot> Ask()
    {
        List<int> there = [.. Processes()];
        foreach (int gone in _known.Keys.Except(there).ToList())
        {
            _known[gone].Dispose();
            _known.Remove(gone);
        }
        foreach (int pid in there)
        {
            if (!_known.ContainsKey(pid) && Find(pid) is { } region)
                _known.Add(pid, region);
        }
        // A copy of a sandbox's process that is about to become another has the same file for a moment.
        return [.. _known.OrderBy(k => k.Key).Select(k => Ask(k.Value)).OfType<MonitorSnapshot>().DistinctBy(s => (s.Pid, s.Started))
            .OrderBy(s => s.Started)];
    }

    /// <summary>Lets go of them.</summary>
    public void Dispose()
    {
        foreach (SharedRegion region in _known.Values)
            region.Dispose();
        _known.Clear();
    }

    private static MonitorSnapshot? Ask(SharedRegion region)
    {
        uint before = Volatile.Read(ref region.Word(MonitorSnapshot.SequenceAt));
        if (before == 0)
            return null;
        Interlocked.Increment(ref region.Word(MonitorSnapshot.RequestAt));
        region.Wake(MonitorSnapshot.RequestAt);
        byte[] copy = new byte[MonitorSnapshot.Size];
        for (int i = 0; i < Attempts; i++)
        {
            uint now = Volatile.Read(ref region.Word(MonitorSnapshot.SequenceAt));
            if (now == before || (now & 1) != 0)
            {
                region.Wait(MonitorSnapshot.SequenceAt, now, Patience / Attempts);
                continue;
            }
            region.Bytes.CopyTo(copy);
            Interlocked.MemoryBarrier();
            if (Volatile.Read(ref region.Word(MonitorSnapshot.SequenceAt)) == now)
                return MonitorSnapshot.Read(copy);
        }
        return null;
    }

    private static IEnumerable<int> Processes()
        => Directory.EnumerateDirectories("/proc").Select(Path.GetFileName)
            .Where(n => int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out _)).Select(n => int.Parse(n!, CultureInfo.InvariantCulture));

    private static SharedRegion? Find(int pid)
    {
        string process = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}");
        try
        {
            if (pid == Environment.ProcessId || OwnerOf(process) != OwnerOf("/proc/self"))
                return null;
            foreach (string fd in Directory.EnumerateFiles(process + "/fd"))
            {
                if (new FileInfo(fd).LinkTarget == MonitorSnapshot.LinkText)
                    return SharedRegion.Open(fd, MonitorSnapshot.Size);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It has ended, or is somebody else's.
        }
        return null;
    }

    /// <summary>Real and effective user ids, as text.</summary>
    private static string? OwnerOf(string process)
        => File.ReadLines(process + "/status").FirstOrDefault(l => l.StartsWith("Uid:", StringComparison.Ordinal));
}
