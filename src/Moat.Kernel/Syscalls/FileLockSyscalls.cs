using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>struct flock of x86-64, 32 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FlockArgument
{
    public short Type, Whence;
    public long Start, Length;
    public int Pid;
}

/// <summary>flock(2), and the lock commands of fcntl(2).</summary>
internal static class FileLockSyscalls
{
    [Syscall(73, "flock", Support.Full)]
    public static SysResult Flock(Task task, Fd fd, int operation)
    {
        const int LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8, LOCK_MAND = 32;
        if ((operation & LOCK_MAND) != 0)
            return 0;
        bool? exclusive = (operation & ~LOCK_NB) switch { LOCK_SH => false, LOCK_EX => true, _ => null };
        if (exclusive is null && (operation & ~LOCK_NB) != LOCK_UN)
            return Errno.EINVAL;
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result;
        if ((file.Flags & OpenFlags.O_PATH) != 0)
            result = Errno.EBADF;
        else
        {
            FileLocks locks = file.Inode.Locks;
            result = exclusive is not { } wanted || (operation & LOCK_NB) != 0
                ? locks.SetWhole(file, exclusive)
                : LockWait.TakeWhole(task, locks, file, wanted);
            if (exclusive is not null && !result.IsError)
                file.HoldsLock = true;
        }
        file.DropReference();
        return result;
    }

    /// <summary>F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ forms.</summary>
    internal static SysResult Fcntl(Task task, FileDescription file, int command, UserPtr<FlockArgument> address)
    {
        Errno error = task.Mm.Read(address, out FlockArgument argument);
        if (error != Errno.OK)
            return error;
        bool byDescription = command is FcntlCommand.F_OFD_GETLK or FcntlCommand.F_OFD_SETLK or FcntlCommand.F_OFD_SETLKW;
        if (byDescription && argument.Pid != 0)
            return Errno.EINVAL;
        error = RangeOf(file, in argument, out long start, out long end);
        if (error != Errno.OK)
            return error;
        object owner = byDescription ? file : task.Files;
        if (command is FcntlCommand.F_GETLK or FcntlCommand.F_OFD_GETLK)
            return Test(task, file, owner, byDescription, address, argument, start, end);
        FileLocks locks = file.Inode.Locks;
        switch (argument.Type)
        {
            case FcntlCommand.F_UNLCK:
                locks.ClearRange(owner, start, end);
                return 0;
            case FcntlCommand.F_RDLCK when !file.CanRead:
            case FcntlCommand.F_WRLCK when !file.CanWrite:
                return Errno.EBADF;
            case FcntlCommand.F_RDLCK or FcntlCommand.F_WRLCK:
                break;
            default:
                return Errno.EINVAL;
        }
        RangeLock wanted = new(owner, byDescription ? RangeLock.NoPid : task.Group.Id, argument.Type == FcntlCommand.F_WRLCK, start, end);
        // Before it is taken: whoever closes at the same time then sees it.
        file.HoldsLock = true;
        return command is FcntlCommand.F_SETLKW or FcntlCommand.F_OFD_SETLKW
            ? LockWait.TakeRange(task, locks, in wanted)
            : locks.SetRange(in wanted, out _);
    }

    private static SysResult Test(
        Task task, FileDescription file, object owner, bool byDescription, UserPtr<FlockArgument> address, FlockArgument argument, long start, long end)
    {
        if (argument.Type is not (FcntlCommand.F_RDLCK or FcntlCommand.F_WRLCK) && !(byDescription && argument.Type == FcntlCommand.F_UNLCK))
            return Errno.EINVAL;
        RangeLock? conflict = argument.Type == FcntlCommand.F_UNLCK
            ? null : file.Inode.Locks.FindConflict(owner, argument.Type == FcntlCommand.F_WRLCK, start, end);
        if (conflict is { } found)
        {
            argument.Type = found.IsExclusive ? FcntlCommand.F_WRLCK : FcntlCommand.F_RDLCK;
            argument.Whence = 0;
            argument.Start = found.Start;
            argument.Length = found.End == long.MaxValue ? 0 : found.End - found.Start + 1;
            argument.Pid = found.Pid;
        }
        else
            argument.Type = FcntlCommand.F_UNLCK;
        return task.Mm.Write(address, in argument);
    }

    private static Errno RangeOf(FileDescription file, in FlockArgument argument, out long start, out long end)
    {
        const short SEEK_SET = 0, SEEK_CUR = 1, SEEK_END = 2;
        start = end = 0;
        long from;
        switch (argument.Whence)
        {
            case SEEK_SET:
                from = 0;
                break;
            case SEEK_CUR:
                from = file.Position;
                break;
            case SEEK_END:
                Errno error = file.GetStat(out FileStat stat);
                if (error != Errno.OK)
                    return error;
                from = stat.Size;
                break;
            default:
                return Errno.EINVAL;
        }
        if (argument.Start > long.MaxValue - from)
            return Errno.EOVERFLOW;
        start = from + argument.Start;
        if (start < 0)
            return Errno.EINVAL;
        end = long.MaxValue;
        if (argument.Length > 0)
        {
            if (argument.Length - 1 > long.MaxValue - start)
                return Errno.EOVERFLOW;
            end = start + argument.Length - 1;
        }
        else if (argument.Length < 0)
        {
            if (start + argument.Length < 0)
                return Errno.EINVAL;
            end = start - 1;
            start += argument.Length;
        }
        return Errno.OK;
    }
}
