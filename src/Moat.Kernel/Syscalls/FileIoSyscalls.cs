using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>Reading and writing (man 2 read, write, pread, readv).</summary>
internal static class FileIoSyscalls
{
    [Syscall(0, "read", Support.Full)]
    public static SysResult Read(Task task, Fd fd, UserPtr buffer, ulong count)
        => FileIo.Read(task, fd.Value, UserBuffer.Range(buffer, count), -1, RwFlags.None);

    [Syscall(1, "write", Support.Full)]
    public static SysResult Write(Task task, Fd fd, UserPtr buffer, ulong count)
        => FileIo.Write(task, fd.Value, UserBuffer.Range(buffer, count), -1, RwFlags.None);

    [Syscall(17, "pread64", Support.Full)]
    public static SysResult Pread(Task task, Fd fd, UserPtr buffer, ulong count, long offset)
        => offset < 0 ? Errno.EINVAL : FileIo.Read(task, fd.Value, UserBuffer.Range(buffer, count), offset, RwFlags.None);

    [Syscall(18, "pwrite64", Support.Full)]
    public static SysResult Pwrite(Task task, Fd fd, UserPtr buffer, ulong count, long offset)
        => offset < 0 ? Errno.EINVAL : FileIo.Write(task, fd.Value, UserBuffer.Range(buffer, count), offset, RwFlags.None);

    [Syscall(19, "readv", Support.Full)]
    public static SysResult Readv(Task task, Fd fd, UserPtr<IoVec> iovec, ulong count)
        => FileIo.Read(task, fd.Value, UserBuffer.Vector(iovec, count), -1, RwFlags.None);

    [Syscall(20, "writev", Support.Full)]
    public static SysResult Writev(Task task, Fd fd, UserPtr<IoVec> iovec, ulong count)
        => FileIo.Write(task, fd.Value, UserBuffer.Vector(iovec, count), -1, RwFlags.None);

    /// <summary>On x86-64 the high half of the offset has no meaning.</summary>
    [Syscall(295, "preadv", Support.Full)]
    public static SysResult Preadv(Task task, Fd fd, UserPtr<IoVec> iovec, ulong count, long offset)
        => offset < 0 ? Errno.EINVAL : FileIo.Read(task, fd.Value, UserBuffer.Vector(iovec, count), offset, RwFlags.None);

    [Syscall(296, "pwritev", Support.Full)]
    public static SysResult Pwritev(Task task, Fd fd, UserPtr<IoVec> iovec, ulong count, long offset)
        => offset < 0 ? Errno.EINVAL : FileIo.Write(task, fd.Value, UserBuffer.Vector(iovec, count), offset, RwFlags.None);

    [Syscall(327, "preadv2", Support.Full)]
    public static SysResult Preadv2(Task task, Fd fd, UserPtr<IoVec> iovec, ulong count, long offset, ulong offsetHigh, RwFlags flags)
        => offset < -1 ? Errno.EINVAL : FileIo.Read(task, fd.Value, UserBuffer.Vector(iovec, count), offset, flags);

    [Syscall(328, "pwritev2", Support.Full)]
    public static SysResult Pwritev2(Task task, Fd fd, UserPtr<IoVec> iovec, ulong count, long offset, ulong offsetHigh, RwFlags flags)
        => offset < -1 ? Errno.EINVAL : FileIo.Write(task, fd.Value, UserBuffer.Vector(iovec, count), offset, flags);
}
