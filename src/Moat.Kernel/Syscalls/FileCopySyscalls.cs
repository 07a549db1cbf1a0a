using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Copying between descriptors (man 2 copy_file_range, sendfile).</summary>
internal static class FileCopySyscalls
{
    [Syscall(326, "copy_file_range", Support.Full)]
    public static SysResult CopyFileRange(Task task, Fd fdIn, UserPtr<long> offsetIn, Fd fdOut, UserPtr<long> offsetOut, ulong length, uint flags)
    {
        FileDescription? from = task.Files.Get(fdIn.Value);
        if (from is null)
            return Errno.EBADF;
        FileDescription? to = task.Files.Get(fdOut.Value);
        SysResult result = to is null ? Errno.EBADF : flags != 0 ? Errno.EINVAL : Copy(task, from, offsetIn, to, offsetOut, length);
        to?.DropReference();
        from.DropReference();
        return result;
    }

    private static SysResult Copy(Task task, FileDescription from, UserPtr<long> offsetIn, FileDescription to, UserPtr<long> offsetOut, ulong length)
    {
        long fromOffset = from.Position, toOffset = to.Position;
        Errno error = offsetIn.IsNull ? Errno.OK : task.Mm.Read(offsetIn, out fromOffset);
        if (error == Errno.OK && !offsetOut.IsNull)
            error = task.Mm.Read(offsetOut, out toOffset);
        if (error == Errno.OK)
            error = FileOperations.CheckCopy(from, fromOffset, to, toOffset, ref length);
        if (error == Errno.OK && length > 0)
            error = FileOperations.LimitSize(task, to, toOffset + 1);
        if (error != Errno.OK)
            return error;
        ulong limit = task.Group.Limits.FileSize;
        if (limit < long.MaxValue)
            length = Math.Min(length, limit - (ulong)toOffset);
        ulong done = 0;
        while (done < length)
        {
            SysResult copied = FileOperations.CopyPiece(from, ref fromOffset, to, ref toOffset, length - done);
            if (copied.IsError && done == 0)
                return copied;
            if (copied.Value <= 0)
                break;
            done += (ulong)copied.Value;
            if (task.IsKilled)
                break;
        }
        error = Store(task, from, offsetIn, fromOffset);
        if (error == Errno.OK)
            error = Store(task, to, offsetOut, toOffset);
        return error == Errno.OK ? (long)done : error;
    }

    private static Errno Store(Task task, FileDescription file, UserPtr<long> offset, long value)
    {
        if (!offset.IsNull)
            return task.Mm.Write(offset, value);
        lock (file.PositionLock)
            file.Position = value;
        return Errno.OK;
    }

    [Syscall(40, "sendfile", Support.Full)]
    public static SysResult Sendfile(Task task, Fd fdOut, Fd fdIn, UserPtr<long> offset, ulong count)
    {
        long position = 0;
        if (!offset.IsNull)
        {
            Errno error = task.Mm.Read(offset, out position);
            if (error != Errno.OK)
                return error;
        }
        FileDescription? from = task.Files.Get(fdIn.Value);
        if (from is null)
            return Errno.EBADF;
        FileDescription? to = task.Files.Get(fdOut.Value);
        SysResult result = to is null ? Errno.EBADF : Check(from, to, !offset.IsNull, position);
        if (!result.IsError)
            result = Send(task, from, offset, position, to!, Math.Min(count, FileOperations.MaxCount));
        to?.DropReference();
        from.DropReference();
        return result;
    }

    private static Errno Check(FileDescription from, FileDescription to, bool hasOffset, long position)
    {
        if (!from.CanRead)
            return Errno.EBADF;
        if (hasOffset && !from.IsSeekable)
            return Errno.ESPIPE;
        if (position < 0)
            return Errno.EINVAL;
        if (!to.CanWrite)
            return Errno.EBADF;
        if (!from.IsSeekable || from.Inode.IsDirectory || (to.Flags & OpenFlags.O_APPEND) != 0)
            return Errno.EINVAL;
        return Errno.OK;
    }

    private static SysResult Send(Task task, FileDescription from, UserPtr<long> offset, long position, FileDescription to, ulong count)
    {
        long start = offset.IsNull ? from.Position : position, at = start;
        SysResult result = 0;
        ulong done = 0;
        while (done < count)
        {
            // At its position: the output may be a stream.
            long none = -1;
            result = FileOperations.CopyPiece(from, ref at, to, ref none, count - done);
            if (result.Error == Errno.EAGAIN && !to.IsNonBlocking)
            {
                if (task.WaitFor(to, PollEvents.POLLOUT | PollEvents.POLLWRNORM) != WaitOutcome.Interrupted)
                    continue;
                result = Errno.ERESTARTSYS;
            }
            if (result.Error == Errno.EPIPE && to.RaisesSigpipe)
                task.SendSigpipe();
            if (result.Value <= 0)
                break;
            done += (ulong)result.Value;
        }
        if (done > 0)
        {
            Errno error = Store(task, from, offset, at);
            return error == Errno.OK ? (long)done : error;
        }
        return result;
    }
}
