using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>What a file is (man 2 stat, statx, access, statfs).</summary>
internal static class FileStatSyscalls
{
    [Syscall(4, "stat", Support.Full)]
    public static SysResult Stat(Task task, UserPath path, UserPtr<Stat> stat)
        => StatAt(task, Fd.AT_FDCWD, path, stat, AtFlags.None);

    [Syscall(6, "lstat", Support.Full)]
    public static SysResult Lstat(Task task, UserPath path, UserPtr<Stat> stat)
        => StatAt(task, Fd.AT_FDCWD, path, stat, AtFlags.AT_SYMLINK_NOFOLLOW);

    [Syscall(5, "fstat", Support.Full)]
    public static SysResult Fstat(Task task, Fd fd, UserPtr<Stat> stat)
    {
        Errno error = FileOperations.Stat(new Caller(task), fd.Value, out FileStat found, out _);
        return error == Errno.OK ? task.Mm.Write(stat, found.ToStat()) : error;
    }

    [Syscall(262, "newfstatat", Support.Full)]
    public static SysResult Newfstatat(Task task, Fd dirfd, UserPath path, UserPtr<Stat> stat, AtFlags flags)
    {
        const AtFlags Known = AtFlags.AT_SYMLINK_NOFOLLOW | AtFlags.AT_NO_AUTOMOUNT | AtFlags.AT_EMPTY_PATH;
        return (flags & ~Known) != 0 ? Errno.EINVAL : StatAt(task, dirfd.Value, path, stat, flags);
    }

    private static SysResult StatAt(Task task, int dirfd, UserPath path, UserPtr<Stat> stat, AtFlags flags)
    {
        Errno error = ReadPath(task, path, flags, out ReadOnlySpan<char> text);
        if (error != Errno.OK)
            return error;
        error = PathOperations.Stat(new Caller(task), dirfd, text, flags, out FileStat found, out _);
        return error == Errno.OK ? task.Mm.Write(stat, found.ToStat()) : error;
    }

    [Syscall(332, "statx", Support.Full)]
    public static SysResult Statx(Task task, Fd dirfd, UserPath path, AtFlags flags, uint mask, UserPtr<Statx> statx)
    {
        Errno error = ReadPath(task, path, flags, out ReadOnlySpan<char> text);
        if (error != Errno.OK)
            return error;
        error = PathOperations.Statx(new Caller(task), dirfd.Value, text, flags, mask, out Statx found);
        return error == Errno.OK ? task.Mm.Write(statx, in found) : error;
    }

    /// <summary>With AT_EMPTY_PATH a null path is an empty one.</summary>
    internal static Errno ReadPath(Task task, UserPath path, AtFlags flags, out ReadOnlySpan<char> text)
    {
        text = default;
        return path.IsNull && (flags & AtFlags.AT_EMPTY_PATH) != 0 ? Errno.OK : task.ReadPath(path, out text);
    }

    [Syscall(21, "access", Support.Full)]
    public static SysResult Access(Task task, UserPath path, AccessMask mode) => AccessAt(task, Fd.AT_FDCWD, path, mode, 0);

    [Syscall(269, "faccessat", Support.Full)]
    public static SysResult Faccessat(Task task, Fd dirfd, UserPath path, AccessMask mode) => AccessAt(task, dirfd.Value, path, mode, 0);

    [Syscall(439, "faccessat2", Support.Full)]
    public static SysResult Faccessat2(Task task, Fd dirfd, UserPath path, AccessMask mode, AtFlags flags)
        => AccessAt(task, dirfd.Value, path, mode, flags);

    private static SysResult AccessAt(Task task, int dirfd, UserPath path, AccessMask mode, AtFlags flags)
    {
        Errno error = ReadPath(task, path, flags, out ReadOnlySpan<char> text);
        return error == Errno.OK ? PathOperations.Access(new Caller(task), dirfd, text, mode, flags) : error;
    }

    [Syscall(137, "statfs", Support.Full)]
    public static SysResult Statfs(Task task, UserPath path, UserPtr<StatFs> stat)
    {
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        if (error != Errno.OK)
            return error;
        error = PathOperations.Walk(new Caller(task), Fd.AT_FDCWD, text, LookupFlags.Follow, out VfsPath place);
        return error == Errno.OK ? WriteStatFs(task, place, stat) : error;
    }

    [Syscall(138, "fstatfs", Support.Full)]
    public static SysResult Fstatfs(Task task, Fd fd, UserPtr<StatFs> stat)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        VfsPath place = file.Path;
        file.DropReference();
        return WriteStatFs(task, place, stat);
    }

    private static SysResult WriteStatFs(Task task, VfsPath place, UserPtr<StatFs> stat)
    {
        const uint ST_VALID = 0x20, ST_RELATIME = 0x1000, MountBits = 0x40f;
        Errno error = place.Inode.GetStatFs(out StatFs found);
        if (error != Errno.OK)
            return error;
        uint flags = ST_VALID | ((uint)place.Mount.Flags & MountBits) | (place.Mount.IsReadOnly ? 1u : 0);
        if ((place.Mount.Flags & MountFlags.RelAtime) != 0)
            flags |= ST_RELATIME;
        found.f_flags = flags;
        return task.Mm.Write(stat, in found);
    }
}
