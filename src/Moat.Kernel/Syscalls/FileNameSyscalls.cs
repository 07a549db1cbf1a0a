using System.Text;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Making, removing and moving names (man 2 mkdir, mknod, link, symlink, readlink, unlink, rename).</summary>
internal static class FileNameSyscalls
{
    [Syscall(83, "mkdir", Support.Full)]
    public static SysResult Mkdir(Task task, UserPath path, uint mode) => Mkdirat(task, new Fd(Fd.AT_FDCWD), path, mode);

    [Syscall(258, "mkdirat", Support.Full)]
    public static SysResult Mkdirat(Task task, Fd dirfd, UserPath path, uint mode)
    {
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        return error == Errno.OK ? PathOperations.MakeDirectory(new Caller(task), dirfd.Value, text, mode) : error;
    }

    [Syscall(133, "mknod", Support.Partial, Note = "Device nodes are EPERM, as without CAP_MKNOD.")]
    public static SysResult Mknod(Task task, UserPath path, uint mode, uint device)
        => Mknodat(task, new Fd(Fd.AT_FDCWD), path, mode, device);

    [Syscall(259, "mknodat", Support.Partial, Note = "Device nodes are EPERM, as without CAP_MKNOD.")]
    public static SysResult Mknodat(Task task, Fd dirfd, UserPath path, uint mode, uint device)
    {
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        return error == Errno.OK ? PathOperations.MakeNode(new Caller(task), dirfd.Value, text, mode) : error;
    }

    [Syscall(88, "symlink", Support.Full)]
    public static SysResult Symlink(Task task, UserPath target, UserPath path)
        => Symlinkat(task, target, new Fd(Fd.AT_FDCWD), path);

    [Syscall(266, "symlinkat", Support.Full)]
    public static SysResult Symlinkat(Task task, UserPath target, Fd dirfd, UserPath path)
    {
        Errno error = task.ReadSecondPath(target, out ReadOnlySpan<char> to);
        if (error != Errno.OK)
            return error;
        error = task.ReadPath(path, out ReadOnlySpan<char> text);
        return error == Errno.OK ? PathOperations.MakeLink(new Caller(task), to, dirfd.Value, text) : error;
    }

    [Syscall(86, "link", Support.Full)]
    public static SysResult Link(Task task, UserPath oldPath, UserPath newPath)
        => Linkat(task, new Fd(Fd.AT_FDCWD), oldPath, new Fd(Fd.AT_FDCWD), newPath, 0);

    [Syscall(265, "linkat", Support.Full)]
    public static SysResult Linkat(Task task, Fd oldDirfd, UserPath oldPath, Fd newDirfd, UserPath newPath, AtFlags flags)
    {
        Errno error = FileStatSyscalls.ReadPath(task, oldPath, flags, out ReadOnlySpan<char> from);
        if (error != Errno.OK)
            return error;
        error = task.ReadSecondPath(newPath, out ReadOnlySpan<char> to);
        return error == Errno.OK ? PathOperations.Link(new Caller(task), oldDirfd.Value, from, newDirfd.Value, to, flags) : error;
    }

    [Syscall(87, "unlink", Support.Full)]
    public static SysResult Unlink(Task task, UserPath path) => Unlinkat(task, new Fd(Fd.AT_FDCWD), path, 0);

    [Syscall(84, "rmdir", Support.Full)]
    public static SysResult Rmdir(Task task, UserPath path) => Unlinkat(task, new Fd(Fd.AT_FDCWD), path, AtFlags.AT_REMOVEDIR);

    [Syscall(263, "unlinkat", Support.Full)]
    public static SysResult Unlinkat(Task task, Fd dirfd, UserPath path, AtFlags flags)
    {
        if ((flags & ~AtFlags.AT_REMOVEDIR) != 0)
            return Errno.EINVAL;
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        return error == Errno.OK ? PathOperations.Unlink(new Caller(task), dirfd.Value, text, flags) : error;
    }

    [Syscall(82, "rename", Support.Full)]
    public static SysResult Rename(Task task, UserPath oldPath, UserPath newPath)
        => Renameat2(task, new Fd(Fd.AT_FDCWD), oldPath, new Fd(Fd.AT_FDCWD), newPath, 0);

    [Syscall(264, "renameat", Support.Full)]
    public static SysResult Renameat(Task task, Fd oldDirfd, UserPath oldPath, Fd newDirfd, UserPath newPath)
        => Renameat2(task, oldDirfd, oldPath, newDirfd, newPath, 0);

    [Syscall(316, "renameat2", Support.Partial, Note = "RENAME_WHITEOUT is EPERM, or EINVAL for user 0: there are no device nodes.")]
    public static SysResult Renameat2(Task task, Fd oldDirfd, UserPath oldPath, Fd newDirfd, UserPath newPath, RenameFlags flags)
    {
        Errno error = task.ReadPath(oldPath, out ReadOnlySpan<char> from);
        if (error != Errno.OK)
            return error;
        error = task.ReadSecondPath(newPath, out ReadOnlySpan<char> to);
        return error == Errno.OK ? PathOperations.Rename(new Caller(task), oldDirfd.Value, from, newDirfd.Value, to, flags) : error;
    }

    [Syscall(89, "readlink", Support.Full)]
    public static SysResult Readlink(Task task, UserPath path, UserPtr buffer, int size)
        => Readlinkat(task, new Fd(Fd.AT_FDCWD), path, buffer, size);

    [Syscall(267, "readlinkat", Support.Full)]
    public static SysResult Readlinkat(Task task, Fd dirfd, UserPath path, UserPtr buffer, int size)
    {
        if (size <= 0)
            return Errno.EINVAL;
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        if (error != Errno.OK)
            return error;
        error = PathOperations.ReadLink(new Caller(task), dirfd.Value, text, out string target);
        if (error != Errno.OK)
            return error;
        int length = Math.Min(Math.Min(target.Length, size), PathWalker.PathMax);
        Span<byte> bytes = stackalloc byte[PathWalker.PathMax];
        Encoding.Latin1.GetBytes(target.AsSpan(0, length), bytes);
        error = task.Mm.CopyOut(buffer, bytes[..length]);
        return error == Errno.OK ? length : error;
    }
}
