using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Mode, owner and times (man 2 chmod, chown, utimensat, umask).</summary>
internal static class FileAttributeSyscalls
{
    [Syscall(90, "chmod", Support.Full)]
    public static SysResult Chmod(Task task, UserPath path, uint mode) => ChmodAt(task, Fd.AT_FDCWD, path, mode, 0);

    [Syscall(268, "fchmodat", Support.Full)]
    public static SysResult Fchmodat(Task task, Fd dirfd, UserPath path, uint mode) => ChmodAt(task, dirfd.Value, path, mode, 0);

    [Syscall(452, "fchmodat2", Support.Full)]
    public static SysResult Fchmodat2(Task task, Fd dirfd, UserPath path, uint mode, AtFlags flags)
        => ChmodAt(task, dirfd.Value, path, mode, flags);

    private static SysResult ChmodAt(Task task, int dirfd, UserPath path, uint mode, AtFlags flags)
    {
        Errno error = WalkTo(task, dirfd, path, flags, out VfsPath place);
        return error == Errno.OK ? PathOperations.ChangeMode(new Caller(task), place, mode) : error;
    }

    [Syscall(91, "fchmod", Support.Full)]
    public static SysResult Fchmod(Task task, Fd fd, uint mode)
    {
        Errno error = PlaceOf(task, fd, out VfsPath place);
        return error == Errno.OK ? PathOperations.ChangeMode(new Caller(task), place, mode) : error;
    }

    [Syscall(92, "chown", Support.Full)]
    public static SysResult Chown(Task task, UserPath path, uint uid, uint gid)
        => Fchownat(task, new Fd(Fd.AT_FDCWD), path, uid, gid, 0);

    [Syscall(94, "lchown", Support.Full)]
    public static SysResult Lchown(Task task, UserPath path, uint uid, uint gid)
        => Fchownat(task, new Fd(Fd.AT_FDCWD), path, uid, gid, AtFlags.AT_SYMLINK_NOFOLLOW);

    [Syscall(260, "fchownat", Support.Full)]
    public static SysResult Fchownat(Task task, Fd dirfd, UserPath path, uint uid, uint gid, AtFlags flags)
    {
        Errno error = WalkTo(task, dirfd.Value, path, flags, out VfsPath place);
        return error == Errno.OK ? PathOperations.ChangeOwner(new Caller(task), place, uid, gid) : error;
    }

    [Syscall(93, "fchown", Support.Full)]
    public static SysResult Fchown(Task task, Fd fd, uint uid, uint gid)
    {
        Errno error = PlaceOf(task, fd, out VfsPath place);
        return error == Errno.OK ? PathOperations.ChangeOwner(new Caller(task), place, uid, gid) : error;
    }

    [Syscall(280, "utimensat", Support.Full)]
    public static SysResult Utimensat(Task task, Fd dirfd, UserPath path, UserPtr<Timespec> times, AtFlags flags)
    {
        Span<Timespec> both = stackalloc Timespec[2];
        if (!times.IsNull)
        {
            Errno fault = task.Mm.CopyIn(times, MemoryMarshal.AsBytes(both));
            if (fault != Errno.OK)
                return fault;
        }
        return ChangeTimes(task, dirfd.Value, path, times.IsNull ? [] : both, flags);
    }

    [Syscall(261, "futimesat", Support.Full)]
    public static SysResult Futimesat(Task task, Fd dirfd, UserPath path, UserPtr<Timespec> times)
    {
        // struct timeval has the layout of struct timespec, in microseconds.
        Span<Timespec> both = stackalloc Timespec[2];
        if (times.IsNull)
            return ChangeTimes(task, dirfd.Value, path, [], 0);
        Errno error = task.Mm.CopyIn(times, MemoryMarshal.AsBytes(both));
        if (error != Errno.OK)
            return error;
        foreach (ref Timespec time in both)
        {
            if ((ulong)time.Nanoseconds >= 1_000_000)
                return Errno.EINVAL;
            time.Nanoseconds *= 1000;
        }
        return ChangeTimes(task, dirfd.Value, path, both, 0);
    }

    [Syscall(235, "utimes", Support.Full)]
    public static SysResult Utimes(Task task, UserPath path, UserPtr<Timespec> times)
        => Futimesat(task, new Fd(Fd.AT_FDCWD), path, times);

    [Syscall(132, "utime", Support.Full)]
    public static SysResult Utime(Task task, UserPath path, UserPtr<long> times)
    {
        if (times.IsNull)
            return ChangeTimes(task, Fd.AT_FDCWD, path, [], 0);
        Span<long> seconds = stackalloc long[2];
        Errno error = task.Mm.CopyIn(times, MemoryMarshal.AsBytes(seconds));
        if (error != Errno.OK)
            return error;
        Span<Timespec> both = [new Timespec { Seconds = seconds[0] }, new Timespec { Seconds = seconds[1] }];
        return ChangeTimes(task, Fd.AT_FDCWD, path, both, 0);
    }

    private static SysResult ChangeTimes(Task task, int dirfd, UserPath path, ReadOnlySpan<Timespec> times, AtFlags flags)
    {
        const long UTIME_OMIT = 0x3ffffffe;
        // Nothing to do is done before anything is looked at.
        if (times.Length == 2 && times[0].Nanoseconds == UTIME_OMIT && times[1].Nanoseconds == UTIME_OMIT)
            return 0;
        Errno error;
        VfsPath place;
        if (path.IsNull && dirfd != Fd.AT_FDCWD)
            error = flags == 0 ? PlaceOf(task, new Fd(dirfd), out place) : Invalid(out place);
        else
            error = WalkTo(task, dirfd, path, flags, out place);
        return error == Errno.OK ? PathOperations.ChangeTimes(new Caller(task), place, times) : error;
    }

    private static Errno Invalid(out VfsPath place)
    {
        place = default;
        return Errno.EINVAL;
    }

    private static Errno WalkTo(Task task, int dirfd, UserPath path, AtFlags flags, out VfsPath place)
    {
        place = default;
        if ((flags & ~(AtFlags.AT_SYMLINK_NOFOLLOW | AtFlags.AT_EMPTY_PATH)) != 0)
            return Errno.EINVAL;
        Errno error = FileStatSyscalls.ReadPath(task, path, flags, out ReadOnlySpan<char> text);
        return error == Errno.OK
            ? PathOperations.Walk(new Caller(task), dirfd, text, PathOperations.LookupOf(flags), out place)
            : error;
    }

    /// <summary>The place of an open descriptor; EBADF for O_PATH ones too.</summary>
    internal static Errno PlaceOf(Task task, Fd fd, out VfsPath place)
    {
        place = default;
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        Errno error = (file.Flags & OpenFlags.O_PATH) != 0 ? Errno.EBADF : Errno.OK;
        place = file.Path;
        file.DropReference();
        return error;
    }

    [Syscall(95, "umask", Support.Full)]
    public static SysResult Umask(Task task, uint mask)
    {
        long old = task.Fs.Umask;
        task.Fs.Umask = mask & 0x1ff;
        return old;
    }
}
