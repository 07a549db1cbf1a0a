using System.Globalization;
using System.Text;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>/proc/locks: the advisory locks of files that some descriptor of the sandbox stands for.</summary>
internal static class LockFile
{
    public static void Write(Sentry sentry, StringBuilder text)
    {
        HashSet<FdTable> tables = [];
        Dictionary<FileLocks, Inode> found = [];
        Dictionary<object, int> holders = [];
        foreach (ThreadGroup group in sentry.Tasks.GetGroups())
        {
            foreach (Task task in group.GetTasks())
            {
                FdTable table = task.Files;
                if (!tables.Add(table))
                    continue;
                holders.TryAdd(table, group.Id);
                for (int fd = table.NextOpen(0); fd >= 0; fd = table.NextOpen(fd + 1))
                {
                    if (table.Get(fd) is not { } file)
                        continue;
                    if (file.Inode.LocksIfAny is { } locks)
                    {
                        found.TryAdd(locks, file.Inode);
                        holders.TryAdd(file, group.Id);
                    }
                    file.DropReference();
                }
            }
        }
        int number = 0;
        foreach ((FileLocks locks, Inode inode) in found)
        {
            if (inode.GetStat(out FileStat stat) != Errno.OK)
                continue;
            string where = string.Create(CultureInfo.InvariantCulture, $"{DeviceNumber.Major(stat.Dev):x2}:{DeviceNumber.Minor(stat.Dev):x2}:{stat.Ino}");
            foreach ((string kind, object owner, bool isExclusive, long start, long end) in locks.GetAll())
            {
                // A lock of a description belongs to nobody in particular.
                int pid = kind == "OFDLCK" ? -1 : holders.GetValueOrDefault(owner, 0);
                string last = end == long.MaxValue ? "EOF" : end.ToString(CultureInfo.InvariantCulture);
                text.Append(CultureInfo.InvariantCulture, $"{++number}: {kind,-6} ADVISORY  {(isExclusive ? "WRITE" : "READ ")} {pid} {where} {start} {last}\n");
            }
        }
    }
}
