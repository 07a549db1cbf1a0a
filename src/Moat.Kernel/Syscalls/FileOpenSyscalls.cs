using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Opening and closing (man 2 open, openat2, close, close_range, dup).</summary>
internal static class FileOpenSyscalls
{
    [Syscall(2, "open", Support.Full)]
    public static SysResult Open(Task task, UserPath path, OpenFlags flags, uint mode)
        => Open(task, Fd.AT_FDCWD, path, PathOperations.HowFor(flags, mode));

    [Syscall(257, "openat", Support.Full)]
    public static SysResult Openat(Task task, Fd dirfd, UserPath path, OpenFlags flags, uint mode)
        => Open(task, dirfd.Value, path, PathOperations.HowFor(flags, mode));

    [Syscall(85, "creat", Support.Full)]
    public static SysResult Creat(Task task, UserPath path, uint mode)
        => Open(task, Fd.AT_FDCWD, path, PathOperations.HowFor(OpenFlags.O_CREAT | OpenFlags.O_WRONLY | OpenFlags.O_TRUNC, mode));

    [Syscall(437, "openat2", Support.Full)]
    public static SysResult Openat2(Task task, Fd dirfd, UserPath path, UserPtr<OpenHow> how, nuint size)
    {
        const int OPEN_HOW_SIZE_VER0 = 24;
        if (size < OPEN_HOW_SIZE_VER0)
            return Errno.EINVAL;
        if (size > 4096)
            return Errno.E2BIG;
        Errno error = StructArgument.Read(task.Mm, how, size, out OpenHow value);
        if (error != Errno.OK)
            return error;
        return Open(task, dirfd.Value, path, in value);
    }

    private static SysResult Open(Task task, int dirfd, UserPath path, in OpenHow how)
    {
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        if (error != Errno.OK)
            return error;
        error = PathOperations.Open(new Caller(task), dirfd, text, in how, out FileDescription? file, forTable: true);
        if (error != Errno.OK)
            return error;
        while ((error = file!.FinishOpen()) == Errno.EAGAIN)
        {
            if (task.WaitFor(file, PollEvents.POLLIN | PollEvents.POLLOUT) != WaitOutcome.Interrupted)
                continue;
            error = Errno.ERESTARTSYS;
            break;
        }
        SysResult result = error == Errno.OK
            ? task.Files.Install(file, (how.Flags & (ulong)OpenFlags.O_CLOEXEC) != 0)
            : error;
        if (result.IsError)
            file.DropReference();
        return result;
    }

    [Syscall(3, "close", Support.Full)]
    public static SysResult Close(Task task, Fd fd) => task.Files.Close(fd.Value);

    [Syscall(436, "close_range", Support.Full)]
    public static SysResult CloseRange(Task task, uint first, uint last, uint flags)
    {
        const uint CLOSE_RANGE_UNSHARE = 2, CLOSE_RANGE_CLOEXEC = 4;
        if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) != 0 || first > last)
            return Errno.EINVAL;
        if ((flags & CLOSE_RANGE_UNSHARE) != 0)
            task.Unshare(fs: false, files: true);
        int from = (int)Math.Min(first, int.MaxValue), to = (int)Math.Min(last, int.MaxValue);
        if ((flags & CLOSE_RANGE_CLOEXEC) != 0)
            task.Files.SetCloseOnExecRange(from, to);
        else
            task.Files.CloseRange(from, to);
        return 0;
    }

    [Syscall(32, "dup", Support.Full)]
    public static SysResult Dup(Task task, Fd fd) => FileOperations.Duplicate(task.Files, fd.Value, 0, false);

    [Syscall(33, "dup2", Support.Full)]
    public static SysResult Dup2(Task task, Fd fd, Fd newFd)
    {
        if (fd.Value == newFd.Value)
            return task.Files.GetCloseOnExec(fd.Value) is null ? Errno.EBADF : fd.Value;
        return Dup3(task, fd, newFd, 0);
    }

    [Syscall(292, "dup3", Support.Full)]
    public static SysResult Dup3(Task task, Fd fd, Fd newFd, OpenFlags flags)
    {
        if ((flags & ~OpenFlags.O_CLOEXEC) != 0 || fd.Value == newFd.Value)
            return Errno.EINVAL;
        if (newFd.Value < 0 || newFd.Value >= task.Files.Limit)
            return Errno.EBADF;
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = task.Files.InstallAt(newFd.Value, file, (flags & OpenFlags.O_CLOEXEC) != 0);
        if (result.IsError)
            file.DropReference();
        return result;
    }
}
