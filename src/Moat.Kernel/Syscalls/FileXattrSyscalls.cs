using System.Buffers;
using System.Text;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Extended attributes (man 7 xattr).</summary>
internal static class FileXattrSyscalls
{
    private const int NameMax = 255;

    [Syscall(188, "setxattr", Support.Full)]
    public static SysResult Setxattr(Task task, UserPath path, UserPtr name, UserPtr value, ulong size, int flags)
        => Walk(task, path, true, out VfsPath place) is var error and not Errno.OK ? error : Set(task, place, name, value, size, flags);

    [Syscall(189, "lsetxattr", Support.Full)]
    public static SysResult Lsetxattr(Task task, UserPath path, UserPtr name, UserPtr value, ulong size, int flags)
        => Walk(task, path, false, out VfsPath place) is var error and not Errno.OK ? error : Set(task, place, name, value, size, flags);

    [Syscall(190, "fsetxattr", Support.Full)]
    public static SysResult Fsetxattr(Task task, Fd fd, UserPtr name, UserPtr value, ulong size, int flags)
        => FileAttributeSyscalls.PlaceOf(task, fd, out VfsPath place) is var error and not Errno.OK ? error : Set(task, place, name, value, size, flags);

    [Syscall(191, "getxattr", Support.Full)]
    public static SysResult Getxattr(Task task, UserPath path, UserPtr name, UserPtr value, ulong size)
        => Walk(task, path, true, out VfsPath place) is var error and not Errno.OK ? error : Get(task, place, name, value, size);

    [Syscall(192, "lgetxattr", Support.Full)]
    public static SysResult Lgetxattr(Task task, UserPath path, UserPtr name, UserPtr value, ulong size)
        => Walk(task, path, false, out VfsPath place) is var error and not Errno.OK ? error : Get(task, place, name, value, size);

    [Syscall(193, "fgetxattr", Support.Full)]
    public static SysResult Fgetxattr(Task task, Fd fd, UserPtr name, UserPtr value, ulong size)
        => FileAttributeSyscalls.PlaceOf(task, fd, out VfsPath place) is var error and not Errno.OK ? error : Get(task, place, name, value, size);

    [Syscall(194, "listxattr", Support.Full)]
    public static SysResult Listxattr(Task task, UserPath path, UserPtr list, ulong size)
        => Walk(task, path, true, out VfsPath place) is var error and not Errno.OK ? error : List(task, place, list, size);

    [Syscall(195, "llistxattr", Support.Full)]
    public static SysResult Llistxattr(Task task, UserPath path, UserPtr list, ulong size)
        => Walk(task, path, false, out VfsPath place) is var error and not Errno.OK ? error : List(task, place, list, size);

    [Syscall(196, "flistxattr", Support.Full)]
    public static SysResult Flistxattr(Task task, Fd fd, UserPtr list, ulong size)
        => FileAttributeSyscalls.PlaceOf(task, fd, out VfsPath place) is var error and not Errno.OK ? error : List(task, place, list, size);

    [Syscall(197, "removexattr", Support.Full)]
    public static SysResult Removexattr(Task task, UserPath path, UserPtr name)
        => Walk(task, path, true, out VfsPath place) is var error and not Errno.OK ? error : Remove(task, place, name);

    [Syscall(198, "lremovexattr", Support.Full)]
    public static SysResult Lremovexattr(Task task, UserPath path, UserPtr name)
        => Walk(task, path, false, out VfsPath place) is var error and not Errno.OK ? error : Remove(task, place, name);

    [Syscall(199, "fremovexattr", Support.Full)]
    public static SysResult Fremovexattr(Task task, Fd fd, UserPtr name)
        => FileAttributeSyscalls.PlaceOf(task, fd, out VfsPath place) is var error and not Errno.OK ? error : Remove(task, place, name);

    private static Errno Walk(Task task, UserPath path, bool follow, out VfsPath place)
    {
        place = default;
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        return error == Errno.OK
            ? PathOperations.Walk(new Caller(task), Fd.AT_FDCWD, text, follow ? LookupFlags.Follow : 0, out place)
            : error;
    }

    /// <summary>An attribute's name. ERANGE when empty or longer than 255 bytes.</summary>
    internal static Errno ReadName(MemoryManager mm, UserPtr address, out string name)
    {
        Span<byte> bytes = stackalloc byte[NameMax + 1];
        SysResult length = mm.CopyInString(address, bytes);
        name = "";
        if (length.IsError)
            return length.Error == Errno.ENAMETOOLONG ? Errno.ERANGE : length.Error;
        if (length.Value == 0)
            return Errno.ERANGE;
        name = Encoding.Latin1.GetString(bytes[..(int)length.Value]);
        return Errno.OK;
    }

    internal static SysResult Set(Task task, VfsPath place, UserPtr name, UserPtr value, ulong size, int flags)
    {
        if ((flags & ~3) != 0)
            return Errno.EINVAL;
        Errno error = ReadName(task.Mm, name, out string text);
        if (error != Errno.OK)
            return error;
        if (size > PathOperations.MaxXattr)
            return Errno.E2BIG;
        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)size);
        error = task.Mm.CopyIn(value, buffer.AsSpan(0, (int)size));
        if (error == Errno.OK)
            error = PathOperations.SetXattr(new Caller(task), place, text, buffer.AsSpan(0, (int)size), flags);
        ArrayPool<byte>.Shared.Return(buffer);
        return error;
    }

    internal static SysResult Get(Task task, VfsPath place, UserPtr name, UserPtr value, ulong size)
    {
        Errno error = ReadName(task.Mm, name, out string text);
        if (error != Errno.OK)
            return error;
        return Get(task.Mm, new Caller(task), place, text, value, size);
    }

    /// <summary>What getxattr(2) and the io_uring operations do, once the name is known.</summary>
    internal static SysResult Get(MemoryManager mm, in Caller caller, VfsPath place, string name, UserPtr value, ulong size)
    {
        int room = (int)Math.Min(size, PathOperations.MaxXattr);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(room);
        SysResult result = PathOperations.GetXattr(in caller, place, name, buffer.AsSpan(0, room));
        result = Finish(mm, result, buffer, value, room);
        ArrayPool<byte>.Shared.Return(buffer);
        return result;
    }

    internal static SysResult List(Task task, VfsPath place, UserPtr list, ulong size)
    {
        int room = (int)Math.Min(size, PathOperations.MaxXattr);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(room);
        SysResult result = PathOperations.ListXattr(new Caller(task), place, buffer.AsSpan(0, room));
        result = Finish(task.Mm, result, buffer, list, room);
        ArrayPool<byte>.Shared.Return(buffer);
        return result;
    }

    private static SysResult Finish(MemoryManager mm, SysResult result, byte[] buffer, UserPtr to, int room)
    {
        if (result.IsError || room == 0 || result.Value == 0)
            return result;
        Errno error = mm.CopyOut(to, buffer.AsSpan(0, (int)result.Value));
        return error == Errno.OK ? result : error;
    }

    internal static SysResult Remove(Task task, VfsPath place, UserPtr name)
    {
        Errno error = ReadName(task.Mm, name, out string text);
        return error == Errno.OK ? PathOperations.RemoveXattr(new Caller(task), place, text) : error;
    }
}
