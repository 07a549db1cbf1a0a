using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Control of descriptors and descriptions (man 2 fcntl, ioctl).</summary>
internal static partial class FileControlSyscalls
{
    [Syscall(72, "fcntl", Support.Partial, Note = "Leases and directory notification are EINVAL.")]
    public static SysResult Fcntl(Task task, Fd fd, int command, ulong argument)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = IsForPaths(command) || (file.Flags & OpenFlags.O_PATH) == 0
            ? Serve(task, fd, file, command, argument)
            : Errno.EBADF;
        file.DropReference();
        return result;
    }

    // What works on O_PATH descriptors (man 2 open).
    private static bool IsForPaths(int command) => command is FcntlCommand.F_DUPFD or FcntlCommand.F_DUPFD_CLOEXEC
        or FcntlCommand.F_GETFD or FcntlCommand.F_SETFD or FcntlCommand.F_GETFL or FcntlCommand.F_DUPFD_QUERY or FcntlCommand.F_CREATED_QUERY;

    private static SysResult Serve(Task task, Fd fd, FileDescription file, int command, ulong argument)
    {
        switch (command)
        {
            case FcntlCommand.F_DUPFD or FcntlCommand.F_DUPFD_CLOEXEC:
                return FileOperations.Duplicate(
                    task.Files, fd.Value, argument > int.MaxValue ? -1 : (int)argument, command == FcntlCommand.F_DUPFD_CLOEXEC);
            case FcntlCommand.F_GETFD:
                return task.Files.GetCloseOnExec(fd.Value) switch { null => Errno.EBADF, true => FcntlCommand.FD_CLOEXEC, false => 0 };
            case FcntlCommand.F_SETFD:
                return task.Files.SetCloseOnExec(fd.Value, (argument & FcntlCommand.FD_CLOEXEC) != 0);
            case FcntlCommand.F_GETFL:
                return (int)file.Flags;
            case FcntlCommand.F_SETFL:
                return SetFlags(task, fd, file, (OpenFlags)(uint)argument);
            case FcntlCommand.F_GETPIPE_SZ:
                return file.PipeSize(-1);
            case FcntlCommand.F_SETPIPE_SZ:
                return argument > int.MaxValue ? Errno.EINVAL : file.PipeSize((long)argument);
            case FcntlCommand.F_GET_SEALS:
                return file.GetSeals();
            case FcntlCommand.F_ADD_SEALS:
                return argument > uint.MaxValue ? Errno.EINVAL : file.AddSeals((Seals)(uint)argument);
            case FcntlCommand.F_GETLK or FcntlCommand.F_SETLK or FcntlCommand.F_SETLKW
                or FcntlCommand.F_OFD_GETLK or FcntlCommand.F_OFD_SETLK or FcntlCommand.F_OFD_SETLKW:
                return FileLockSyscalls.Fcntl(task, file, command, new UserPtr<FlockArgument>(argument));
            case FcntlCommand.F_CREATED_QUERY:
                return file.WasCreated ? 1 : 0;
            case FcntlCommand.F_DUPFD_QUERY:
                return IsSame(task, file, argument);
            case FcntlCommand.F_GETOWN or FcntlCommand.F_SETOWN or FcntlCommand.F_GETOWN_EX or FcntlCommand.F_SETOWN_EX
                or FcntlCommand.F_GETSIG or FcntlCommand.F_SETSIG or FcntlCommand.F_GETOWNER_UIDS:
                return FileOwnerControl.Fcntl(task, file, command, argument);
            case FcntlCommand.F_GETLEASE:
                return FcntlCommand.F_UNLCK;
            default:
                return Errno.EINVAL;
        }
    }

    private static SysResult SetFlags(Task task, Fd fd, FileDescription file, OpenFlags flags)
    {
        // Noatime is the owner's to set.
        if ((flags & ~file.Flags & OpenFlags.O_NOATIME) != 0
            && !AccessCheck.IsOwnerOrCapable(file.Inode.Permissions, task.Credentials))
            return Errno.EPERM;
        Errno error = file.SetFlags(flags);
        if (error == Errno.OK && file.HasAsyncNotice && ((flags & OpenFlags.O_ASYNC) != 0 || file.AsyncNotice is not null))
            file.GetAsyncNotice(task.Sentry).Switch(file, (flags & OpenFlags.O_ASYNC) != 0 ? fd.Value : -1);
        return error;
    }

    private static SysResult IsSame(Task task, FileDescription file, ulong other)
    {
        FileDescription? second = task.Files.Get((int)other);
        if (second is null)
            return Errno.EBADF;
        bool same = second == file;
        second.DropReference();
        return same ? 1 : 0;
    }

    [Syscall(16, "ioctl", Support.Partial, Note = "Requests for descriptors, regular files, pipes and terminals; others are ENOTTY.")]
    public static SysResult Ioctl(Task task, Fd fd, uint command, ulong argument)
    {
        const uint FIONREAD = 0x541B, FIONBIO = 0x5421, FIONCLEX = 0x5450, FIOCLEX = 0x5451, FIOASYNC = 0x5452, FIGETBSZ = 2;
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result;
        if ((file.Flags & OpenFlags.O_PATH) != 0)
            result = Errno.EBADF;
        else
        {
            result = command switch
            {
                FIOCLEX or FIONCLEX => task.Files.SetCloseOnExec(fd.Value, command == FIOCLEX),
                FIONBIO => SetFlag(task, fd, file, OpenFlags.O_NONBLOCK, argument),
                FIOASYNC => SetFlag(task, fd, file, OpenFlags.O_ASYNC, argument),
                FIONREAD when file.Inode.IsRegular => BytesLeft(task, file, argument),
                FIGETBSZ when file.Inode.IsRegular || file.Inode.IsDirectory => BlockSize(task, file, argument),
                _ => file.Ioctl(task, command, argument),
            };
        }
        file.DropReference();
        return result;
    }

    private static SysResult SetFlag(Task task, Fd fd, FileDescription file, OpenFlags flag, ulong argument)
    {
        Errno error = task.Mm.Read(new UserPtr<int>(argument), out int on);
        if (error != Errno.OK)
            return error;
        if (flag == OpenFlags.O_ASYNC && !file.HasAsyncNotice)
            return on != 0 == ((file.Flags & flag) != 0) ? 0 : Errno.ENOTTY;
        return SetFlags(task, fd, file, on != 0 ? file.Flags | flag : file.Flags & ~flag);
    }

    private static SysResult BytesLeft(Task task, FileDescription file, ulong argument)
    {
        Errno error = file.GetStat(out FileStat stat);
        return error == Errno.OK ? task.Mm.Write(new UserPtr<int>(argument), (int)(stat.Size - file.Position)) : error;
    }

    private static SysResult BlockSize(Task task, FileDescription file, ulong argument)
    {
        Errno error = file.GetStat(out FileStat stat);
        return error == Errno.OK ? task.Mm.Write(new UserPtr<int>(argument), (int)stat.BlockSize) : error;
    }
}
