using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>struct xattr_args (setxattrat(2)).</summary>
internal struct XattrArguments
{
    public ulong Value;
    public uint Size, Flags;
}

/// <summary>Extended attributes relative to a directory (setxattrat(2) and its relatives), or of a descriptor with AT_EMPTY_PATH.</summary>
internal static class FileXattrAtSyscalls
{
    [Syscall(463, "setxattrat", Support.Full)]
    public static SysResult SetXattrAt(
        Task task, Fd dirfd, UserPath path, AtFlags flags, UserPtr name, UserPtr arguments, nuint size)
    {
        Errno error = ReadArguments(task, arguments, size, out XattrArguments given);
        if (error == Errno.OK)
            error = Walk(task, dirfd, path, flags, out VfsPath place) is var walked and not Errno.OK ? walked
                : FileXattrSyscalls.Set(task, place, name, new UserPtr(given.Value), given.Size, (int)given.Flags).Error;
        return error;
    }

    [Syscall(464, "getxattrat", Support.Full)]
    public static SysResult GetXattrAt(
        Task task, Fd dirfd, UserPath path, AtFlags flags, UserPtr name, UserPtr arguments, nuint size)
    {
        Errno error = ReadArguments(task, arguments, size, out XattrArguments given);
        if (error == Errno.OK && given.Flags != 0)
            error = Errno.EINVAL;
        if (error != Errno.OK)
            return error;
        error = Walk(task, dirfd, path, flags, out VfsPath place);
        return error == Errno.OK ? FileXattrSyscalls.Get(task, place, name, new UserPtr(given.Value), given.Size) : error;
    }

    [Syscall(465, "listxattrat", Support.Full)]
    public static SysResult ListXattrAt(Task task, Fd dirfd, UserPath path, AtFlags flags, UserPtr list, nuint size)
    {
        Errno error = Walk(task, dirfd, path, flags, out VfsPath place);
        return error == Errno.OK ? FileXattrSyscalls.List(task, place, list, size) : error;
    }

    [Syscall(466, "removexattrat", Support.Full)]
    public static SysResult RemoveXattrAt(Task task, Fd dirfd, UserPath path, AtFlags flags, UserPtr name)
    {
        Errno error = Walk(task, dirfd, path, flags, out VfsPath place);
        return error == Errno.OK ? FileXattrSyscalls.Remove(task, place, name) : error;
    }

    private static Errno ReadArguments(Task task, UserPtr address, nuint size, out XattrArguments given)
    {
        const int First = 16, Page = 4096;
        given = default;
        if (size < First)
            return Errno.EINVAL;
        return size > Page ? Errno.E2BIG : StructArgument.Read(task.Mm, address, size, out given);
    }

    private static Errno Walk(Task task, Fd dirfd, UserPath path, AtFlags flags, out VfsPath place)
    {
        place = default;
        if ((flags & ~(AtFlags.AT_SYMLINK_NOFOLLOW | AtFlags.AT_EMPTY_PATH)) != 0)
            return Errno.EINVAL;
        Errno error = FileStatSyscalls.ReadPath(task, path, flags, out ReadOnlySpan<char> text);
        return error == Errno.OK ? PathOperations.Walk(new Caller(task), dirfd.Value, text, PathOperations.LookupOf(flags), out place) : error;
    }
}
