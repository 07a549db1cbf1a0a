using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Sockets.Inet;

namespace Moat.Kernel.Vfs;

internal static partial class FileOperations
{
    private const int CopySize = 128 << 10;

    [ThreadStatic]
    private static byte[]? s_copyBuffer;

    [ThreadStatic]
    private static IoVector? s_copyVector;

    /// <summary>
    /// Copies a piece from one file to another, between host files on the host. Offsets advance; an output offset of -1 is its position. Bytes, 0 at
    /// the end, EAGAIN when the output is a stream that takes nothing now, or an error of either side.
    /// </summary>
    public static SysResult CopyPiece(FileDescription from, ref long fromOffset, FileDescription to, ref long toOffset, ulong length)
    {
        SysResult copied = CopyUntold(from, ref fromOffset, to, ref toOffset, length);
        Tell(from, in copied, write: false);
        Tell(to, in copied, write: true);
        return copied;
    }

    private static SysResult CopyUntold(FileDescription from, ref long fromOffset, FileDescription to, ref long toOffset, ulong length)
    {
        if (from.HostDescriptor >= 0 && to.HostDescriptor >= 0 && toOffset >= 0)
        {
            long copied = HostFiles.CopyRange(from.HostDescriptor, fromOffset, to.HostDescriptor, toOffset, (long)Math.Min(length, MaxCount));
            if (copied > 0)
            {
                fromOffset += copied;
                toOffset += copied;
                return copied;
            }
            // Whatever the host has against it, the loop below tells.
        }
        if (from.HostDescriptor >= 0 && to is HostSocket socket)
        {
            SysResult sent = new(HostSockets.SendFile(socket.HostFd, from.HostDescriptor, ref fromOffset, Math.Min(length, MaxCount)));
            // What the host cannot send from goes through memory.
            if (sent.Error is not (Errno.EINVAL or Errno.ENOSYS))
                return sent;
        }
        return CopyThrough(from, ref fromOffset, to, ref toOffset, length);
    }

    private static unsafe SysResult CopyThrough(FileDescription from, ref long fromOffset, FileDescription to, ref long toOffset, ulong length)
    {
        byte[] buffer = s_copyBuffer ??= GC.AllocateUninitializedArray<byte>(CopySize, pinned: true);
        IoVector vector = s_copyVector ??= new IoVector();
        // SAFETY: the array is pinned and this thread's own.
        fixed (byte* bytes = buffer)
        {
            vector.Clear();
            vector.Add(bytes, Math.Min(length, CopySize));
            long at = fromOffset;
            SysResult read = from.Read(vector, ref at, RwFlags.None);
            if (read.Value <= 0)
                return read;
            vector.Clear();
            vector.Add(bytes, (ulong)read.Value);
            SysResult written;
            if (toOffset >= 0)
                written = to.Write(vector, ref toOffset, RwFlags.None);
            else
                written = to.WriteNext(vector, RwFlags.None);
            // What was not written is read again.
            if (written.Value > 0)
                fromOffset += written.Value;
            return written;
        }
    }

    /// <summary>
    /// Checks of copy_file_range(2); cuts <paramref name="length"/> at the end of the input. EISDIR, EINVAL, EBADF, EXDEV, EOVERFLOW.
    /// </summary>
    public static Errno CheckCopy(FileDescription from, long fromOffset, FileDescription to, long toOffset, ref ulong length)
    {
        if (from.Inode.IsDirectory || to.Inode.IsDirectory)
            return Errno.EISDIR;
        if (!from.Inode.IsRegular || !to.Inode.IsRegular)
            return Errno.EINVAL;
        if (!from.CanRead || !to.CanWrite || (to.Flags & OpenFlags.O_APPEND) != 0)
            return Errno.EBADF;
        if (from.Inode.FileSystem != to.Inode.FileSystem)
            return Errno.EXDEV;
        if ((ulong)fromOffset + length < (ulong)fromOffset || (ulong)toOffset + length < (ulong)toOffset)
            return Errno.EOVERFLOW;
        if (fromOffset < 0 || toOffset < 0)
            return Errno.EINVAL;
        Errno error = from.GetStat(out FileStat stat);
        if (error != Errno.OK)
            return error;
        length = fromOffset >= stat.Size ? 0 : Math.Min(Math.Min(length, MaxCount), (ulong)(stat.Size - fromOffset));
        if ((ulong)toOffset + length > long.MaxValue)
            return Errno.EFBIG;
        bool overlaps = from.Inode == to.Inode && toOffset + (long)length > fromOffset && toOffset < fromOffset + (long)length;
        return overlaps && length > 0 ? Errno.EINVAL : Errno.OK;
    }
}
