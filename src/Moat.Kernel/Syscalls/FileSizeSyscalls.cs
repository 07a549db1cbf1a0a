using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Positions, lengths, and what is on stable storage (man 2 lseek, truncate, fallocate, fsync).</summary>
internal static class FileSizeSyscalls
{
    [Syscall(8, "lseek", Support.Full)]
    public static SysResult Lseek(Task task, Fd fd, long offset, int whence)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = FileOperations.Seek(file, offset, whence);
        file.DropReference();
        return result;
    }

    [Syscall(76, "truncate", Support.Full)]
    public static SysResult Truncate(Task task, UserPath path, long length)
    {
        if (length < 0)
            return Errno.EINVAL;
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        if (error != Errno.OK)
            return error;
        if ((ulong)length <= task.Group.Limits.FileSize)
            return PathOperations.Truncate(new Caller(task), text, length);
        error = PathOperations.Stat(new Caller(task), Fd.AT_FDCWD, text, 0, out FileStat stat, out _);
        if (error == Errno.OK)
            error = FileOperations.LimitSize(task, stat.Size, length);
        return error == Errno.OK ? PathOperations.Truncate(new Caller(task), text, length) : error;
    }

    [Syscall(77, "ftruncate", Support.Full)]
    public static SysResult Ftruncate(Task task, Fd fd, long length)
    {
        if (length < 0)
            return Errno.EINVAL;
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        Errno error = FileOperations.LimitSize(task, file, length);
        if (error == Errno.OK)
            error = FileOperations.Truncate(file, length);
        file.DropReference();
        return error;
    }

    [Syscall(285, "fallocate", Support.Full)]
    public static SysResult Fallocate(Task task, Fd fd, FallocFlags mode, long offset, long length)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = FileOperations.LimitAllocation(task, file, mode, offset, length);
        if (!result.IsError)
            result = FileOperations.Allocate(file, mode, offset, length);
        file.DropReference();
        return result;
    }

    [Syscall(74, "fsync", Support.Full)]
    public static SysResult Fsync(Task task, Fd fd) => Sync(task, fd, false);

    [Syscall(75, "fdatasync", Support.Full)]
    public static SysResult Fdatasync(Task task, Fd fd) => Sync(task, fd, true);

    private static SysResult Sync(Task task, Fd fd, bool dataOnly)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = FileOperations.Sync(file, dataOnly);
        file.DropReference();
        return result;
    }

    [Syscall(162, "sync", Support.Full)]
    public static SysResult Sync(Task task)
    {
        foreach (Mount mount in task.Fs.Root.Mount.Table.All)
            mount.FileSystem.Sync();
        return 0;
    }

    [Syscall(306, "syncfs", Support.Full)]
    public static SysResult Syncfs(Task task, Fd fd)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = (file.Flags & OpenFlags.O_PATH) != 0 ? Errno.EBADF : file.Inode.FileSystem.Sync();
        file.DropReference();
        return result;
    }

    [Syscall(277, "sync_file_range", Support.Full)]
    public static SysResult SyncFileRange(Task task, Fd fd, long offset, long length, uint flags)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        Errno error = FileOperations.SyncRange(file, offset, length, flags);
        file.DropReference();
        return error;
    }

    [Syscall(221, "fadvise64", Support.Full)]
    public static SysResult Fadvise64(Task task, Fd fd, long offset, long length, int advice)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        Errno error = FileOperations.Advise(file, offset, length, advice);
        file.DropReference();
        return error;
    }

    [Syscall(187, "readahead", Support.Full)]
    public static SysResult Readahead(Task task, Fd fd, long offset, ulong count)
    {
        const int POSIX_FADV_WILLNEED = 3;
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = Errno.OK;
        if (!file.CanRead)
            result = Errno.EBADF;
        else if (!file.Inode.IsRegular)
            result = Errno.EINVAL;
        else
            file.Advise(offset, (long)Math.Min(count, long.MaxValue), POSIX_FADV_WILLNEED);
        file.DropReference();
        return result;
    }
}
