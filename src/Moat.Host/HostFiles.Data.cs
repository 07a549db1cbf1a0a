using Moat.Abi;

namespace Moat.Host;

public static unsafe partial class HostFiles
{
    /// <summary>preadv2(2) at an offset. <paramref name="count"/> spans; the host takes at most 1024. Returns bytes.</summary>
    public static long ReadVector(int fd, IoVec* spans, int count, long offset, int flags)
    {
        long r;
        do
            r = HostSyscall.Call(327, fd, (long)spans, Math.Min(count, 1024), offset, 0, flags);
        while (r == -EINTR);
        return r;
    }

    /// <summary>pwritev2(2) at an offset (-1: at the descriptor's own position, which moves). Returns bytes.</summary>
    public static long WriteVector(int fd, IoVec* spans, int count, long offset, int flags)
    {
        long r;
        do
            r = HostSyscall.Call(328, fd, (long)spans, Math.Min(count, 1024), offset, 0, flags);
        while (r == -EINTR);
        return r;
    }

    /// <summary>pread64(2) into memory that cannot fault. Returns bytes.</summary>
    public static long Read(int fd, byte* buffer, long length, long offset)
    {
        long r;
        do
            r = HostSyscall.Call(17, fd, (long)buffer, length, offset);
        while (r == -EINTR);
        return r;
    }

    /// <summary>pread64(2). Returns bytes.</summary>
    public static long Read(int fd, Span<byte> buffer, long offset)
    {
        fixed (byte* p = buffer)
            return Read(fd, p, buffer.Length, offset);
    }

    /// <summary>pwrite64(2). Returns bytes.</summary>
    public static long Write(int fd, ReadOnlySpan<byte> data, long offset)
    {
        fixed (byte* p = data)
        {
            long r;
            do
                r = HostSyscall.Call(18, fd, (long)p, data.Length, offset);
            while (r == -EINTR);
            return r;
        }
    }

    /// <summary>fsync(2) or fdatasync(2).</summary>
    public static int Sync(int fd, bool dataOnly)
    {
        long r;
        do
            r = HostSyscall.Call(dataOnly ? 75 : 74, fd);
        while (r == -EINTR);
        return (int)r;
    }

    /// <summary>syncfs(2).</summary>
    public static int SyncFs(int fd) => (int)HostSyscall.Call(306, fd);

    /// <summary>sync_file_range(2).</summary>
    public static int SyncRange(int fd, long offset, long length, uint flags) => (int)HostSyscall.Call(277, fd, offset, length, flags);

    /// <summary>posix_fadvise(2).</summary>
    public static int Advise(int fd, long offset, long length, int advice) => (int)HostSyscall.Call(221, fd, offset, length, advice);

    /// <summary>fallocate(2).</summary>
    public static int Allocate(int fd, int mode, long offset, long length)
    {
        long r;
        do
            r = HostSyscall.Call(285, fd, mode, offset, length);
        while (r == -EINTR);
        return (int)r;
    }

    /// <summary>ftruncate(2).</summary>
    public static int Truncate(int fd, long length)
    {
        long r;
        do
            r = HostSyscall.Call(77, fd, length);
        while (r == -EINTR);
        return (int)r;
    }

    /// <summary>copy_file_range(2) at given offsets. Returns bytes.</summary>
    public static long CopyRange(int source, long sourceOffset, int destination, long destinationOffset, long length)
        => HostSyscall.Call(326, source, (long)&sourceOffset, destination, (long)&destinationOffset, length);
}
