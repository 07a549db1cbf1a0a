using System.Buffers;
using System.Text;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Directories: listing them and being in them (man 2 getdents, chdir, getcwd, chroot).</summary>
internal static class FileDirectorySyscalls
{
    private const int MaxListing = 65536;

    [Syscall(217, "getdents64", Support.Full)]
    public static SysResult Getdents64(Task task, Fd fd, UserPtr entries, uint count) => List(task, fd, entries, count, false);

    [Syscall(78, "getdents", Support.Full)]
    public static SysResult Getdents(Task task, Fd fd, UserPtr entries, uint count) => List(task, fd, entries, count, true);

    private static SysResult List(Task task, Fd fd, UserPtr entries, uint count, bool legacy)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        if ((file.Flags & OpenFlags.O_PATH) != 0)
        {
            file.DropReference();
            return Errno.EBADF;
        }
        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(count, MaxListing));
        DirectoryEmitter emitter = new(buffer.AsSpan(0, (int)Math.Min(count, MaxListing)), legacy);
        Errno error;
        long before;
        lock (file.PositionLock)
        {
            before = file.Position;
            error = file.ReadDirectory(ref emitter);
        }
        // Guest memory is never touched under the position lock (lock order).
        if (emitter.Written > 0 && (error = task.Mm.CopyOut(entries, buffer.AsSpan(0, emitter.Written))) != Errno.OK)
        {
            lock (file.PositionLock)
                file.Position = before;
        }
        ArrayPool<byte>.Shared.Return(buffer);
        if (error == Errno.OK)
            FileEvents.Read(file);
        file.DropReference();
        if (error != Errno.OK)
            return error;
        return emitter.Written == 0 && emitter.IsFull ? Errno.EINVAL : emitter.Written;
    }

    [Syscall(80, "chdir", Support.Full)]
    public static SysResult Chdir(Task task, UserPath path)
    {
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        if (error != Errno.OK)
            return error;
        Caller caller = new(task);
        error = PathOperations.Walk(in caller, Fd.AT_FDCWD, text, LookupFlags.Follow | LookupFlags.Directory, out VfsPath place);
        return error == Errno.OK ? PathOperations.ChangeDirectory(in caller, place) : error;
    }

    [Syscall(81, "fchdir", Support.Full)]
    public static SysResult Fchdir(Task task, Fd fd)
    {
        Caller caller = new(task);
        if (fd.Value == Fd.AT_FDCWD)
            return Errno.EBADF;
        Errno error = PathWalker.StartingPoint(in caller, fd.Value, out VfsPath place);
        return error == Errno.OK ? PathOperations.ChangeDirectory(in caller, place) : error;
    }

    [Syscall(161, "chroot", Support.Full)]
    public static SysResult Chroot(Task task, UserPath path)
    {
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        if (error != Errno.OK)
            return error;
        Caller caller = new(task);
        error = PathOperations.Walk(in caller, Fd.AT_FDCWD, text, LookupFlags.Follow | LookupFlags.Directory, out VfsPath place);
        return error == Errno.OK ? PathOperations.ChangeRoot(in caller, place) : error;
    }

    [Syscall(79, "getcwd", Support.Full)]
    public static SysResult Getcwd(Task task, UserPtr buffer, ulong size)
    {
        VfsPath current = task.Fs.Current;
        if (current.Dentry.IsDeleted)
            return Errno.ENOENT;
        string text = current.ToText(task.Fs.Root);
        if (text.Length + 1 > PathWalker.PathMax)
            return Errno.ENAMETOOLONG;
        if ((ulong)text.Length + 1 > size)
            return Errno.ERANGE;
        Span<byte> bytes = stackalloc byte[PathWalker.PathMax];
        int length = Encoding.Latin1.GetBytes(text, bytes);
        bytes[length++] = 0;
        Errno error = task.Mm.CopyOut(buffer, bytes[..length]);
        return error == Errno.OK ? length : error;
    }
}
