using Moat.Kernel.Memory;
using Moat.Kernel.Signals;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

internal static partial class FileOperations
{
    /// <summary>
    /// RLIMIT_FSIZE before a write to a regular file: cuts the vector at the limit; at or beyond it EFBIG and, unless
    /// <paramref name="signals"/> is false, SIGXFSZ (man 2 getrlimit).
    /// </summary>
    public static Errno LimitWrite(Task task, FileDescription file, IoVector from, long offset, RwFlags flags, bool signals = true)
    {
        ulong limit = task.Group.Limits.FileSize;
        if (limit >= long.MaxValue || !file.IsRegular || from.Remaining == 0)
            return Errno.OK;
        if (((file.Flags & OpenFlags.O_APPEND) != 0 && (flags & RwFlags.RWF_NOAPPEND) == 0) || (flags & RwFlags.RWF_APPEND) != 0)
            offset = file.GetStat(out FileStat stat) == Errno.OK ? stat.Size : 0;
        else if (offset < 0)
            offset = file.Position;
        if ((ulong)offset >= limit)
            return signals ? Exceeded(task) : Errno.EFBIG;
        from.Truncate(limit - (ulong)offset);
        return Errno.OK;
    }

    /// <summary>RLIMIT_FSIZE before a file gets another size. EFBIG and, unless <paramref name="signals"/> is false, SIGXFSZ.</summary>
    public static Errno LimitSize(Task task, FileDescription file, long size, bool signals = true)
    {
        if ((ulong)size <= task.Group.Limits.FileSize || !file.CanWrite)
            return Errno.OK;
        Errno error = file.GetStat(out FileStat stat);
        if (error != Errno.OK || size <= stat.Size)
            return error;
        return signals ? Exceeded(task) : Errno.EFBIG;
    }

    /// <summary>As above, for what fallocate(2) may make of the file.</summary>
    public static Errno LimitAllocation(Task task, FileDescription file, FallocFlags mode, long offset, long length, bool signals = true)
        => (mode & FallocFlags.FALLOC_FL_KEEP_SIZE) == 0 && offset >= 0 && length > 0 && offset <= long.MaxValue - length
            ? LimitSize(task, file, offset + length, signals) : Errno.OK;

    /// <summary>As above, for a file of a known size.</summary>
    public static Errno LimitSize(Task task, long now, long size)
        => size > now && (ulong)size > task.Group.Limits.FileSize ? Exceeded(task) : Errno.OK;

    private static Errno Exceeded(Task task)
    {
        task.Send(new SigInfo { Signo = Signal.SIGXFSZ, Code = Signal.SI_USER, Pid = task.Group.Id, Uid = task.Credentials.Uid });
        return Errno.EFBIG;
    }
}
