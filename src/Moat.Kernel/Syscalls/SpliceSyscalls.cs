using Moat.Kernel.Memory;
using Moat.Kernel.Pipes;
using Moat.Kernel.Sockets;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Syscalls;

/// <summary>splice(2), tee(2), vmsplice(2).</summary>
internal static class SpliceSyscalls
{
    /// <summary>MAX_RW_COUNT: the most that one call moves.</summary>
    private const ulong Most = 0x7ffff000;

    /// <summary>splice(2).</summary>
    [Syscall(275, "splice", Support.Full)]
    public static SysResult Splice(Task task, Fd input, UserPtr<long> inputOffset, Fd output, UserPtr<long> outputOffset, nuint length, uint flags)
    {
        if (length == 0)
            return 0;
        if ((flags & ~SpliceOperations.SPLICE_F_ALL) != 0)
            return Errno.EINVAL;
        FileDescription? from = task.Files.Get(input.Value), to = task.Files.Get(output.Value);
        SysResult result = from is null || to is null ? Errno.EBADF
            : Splice(task, from, inputOffset, to, outputOffset, length, flags);
        from?.DropReference();
        to?.DropReference();
        return result;
    }

    private static SysResult Splice(Task task, FileDescription from, UserPtr<long> inputOffset, FileDescription to, UserPtr<long> outputOffset, nuint length, uint flags)
    {
        long? at = null, toAt = null;
        // A pipe with an offset is ESPIPE before the offset is read.
        if ((from is PipeFile && !inputOffset.IsNull) || (to is PipeFile && !outputOffset.IsNull))
            return Errno.ESPIPE;
        Errno error = ReadOffset(task, inputOffset, ref at);
        if (error == Errno.OK)
            error = ReadOffset(task, outputOffset, ref toAt);
        if (error != Errno.OK)
            return error;
        if ((ulong)length > long.MaxValue)
            return Errno.EINVAL;
        SysResult result;
        SpliceWait wait;
        do
        {
            result = SpliceOperations.Splice(from, ref at, to, ref toAt, (long)Math.Min((ulong)length, Most), out wait);
        }
        while (result.Error == Errno.EAGAIN && Wait(task, wait, flags, ref result));
        if (result.Error == Errno.EPIPE)
            task.SendSigpipe();
        if (result.Value > 0 && at is { } newAt && task.Mm.Write(inputOffset, in newAt) != Errno.OK)
            return Errno.EFAULT;
        if (result.Value > 0 && toAt is { } newToAt && task.Mm.Write(outputOffset, in newToAt) != Errno.OK)
            return Errno.EFAULT;
        return result;
    }

    /// <summary>tee(2).</summary>
    [Syscall(276, "tee", Support.Full)]
    public static SysResult Tee(Task task, Fd input, Fd output, nuint length, uint flags)
    {
        if ((flags & ~SpliceOperations.SPLICE_F_ALL) != 0)
            return Errno.EINVAL;
        if (length == 0)
            return 0;
        FileDescription? from = task.Files.Get(input.Value), to = task.Files.Get(output.Value);
        SysResult result = Errno.EBADF;
        if (from is not null && to is not null)
        {
            SpliceWait wait;
            do
            {
                result = SpliceOperations.Tee(from, to, (long)Math.Min((ulong)length, Most), out wait);
            }
            while (result.Error == Errno.EAGAIN && Wait(task, wait, flags, ref result));
            if (result.Error == Errno.EPIPE)
                task.SendSigpipe();
        }
        from?.DropReference();
        to?.DropReference();
        return result;
    }

    /// <summary>vmsplice(2): guest memory into a pipe, or out of it.</summary>
    [Syscall(278, "vmsplice", Support.Partial, Note = "bytes are copied: later changes of the memory do not show in the pipe")]
    public static SysResult Vmsplice(Task task, Fd fd, UserPtr<IoVec> vector, nuint count, uint flags)
    {
        const nuint UIO_MAXIOV = 1024;
        if ((flags & ~SpliceOperations.SPLICE_F_ALL) != 0)
            return Errno.EINVAL;
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = Errno.EBADF;
        if (!file.CanRead && !file.CanWrite)
            result = Errno.EBADF;
        else if (count > UIO_MAXIOV)
            result = Errno.EINVAL;
        else if (count == 0)
            result = 0;
        else
        {
            do
            {
                result = Move(task, file, vector, (int)count);
            }
            while (result.Error == Errno.EAGAIN
                && Wait(task, new SpliceWait(file, file.CanWrite ? PollEvents.POLLOUT : PollEvents.POLLIN), flags, ref result));
            if (result.Error == Errno.EPIPE)
                task.SendSigpipe();
        }
        file.DropReference();
        return result;
    }

    private static SysResult Move(Task task, FileDescription file, UserPtr<IoVec> vector, int count)
    {
        IoVector spans = task.Vector;
        spans.Clear();
        task.Mm.BeginAccess();
        Errno error = task.Mm.TranslateVector(vector, count, file.CanWrite ? MapAccess.Read : MapAccess.Write, spans, out ulong total);
        SysResult result;
        if (spans.Remaining == 0 && total != 0)
            spans.AddInaccessible(total);
        if (error != Errno.OK)
            result = error;
        else if (total == 0)
            result = 0;
        else if (file is not PipeFile pipe)
            result = Errno.EBADF;
        else
            result = file.CanWrite ? pipe.Pipe.Write(spans, packets: false) : pipe.Pipe.Read(spans);
        task.Mm.EndAccess();
        return result;
    }

    /// <summary>Waits for what a splice lacks. False: the call ends with <paramref name="result"/>.</summary>
    private static bool Wait(Task task, SpliceWait wait, uint flags, ref SysResult result)
    {
        bool heeds = wait.File is PipeFile || (wait.File is Socket && (wait.Events & PollEvents.POLLIN) != 0);
        if (wait.File is null || wait.File.IsNonBlocking || (heeds && (flags & SpliceOperations.SPLICE_F_NONBLOCK) != 0))
            return false;
        if (task.WaitFor(wait.File, wait.Events) == WaitOutcome.Woken)
            return true;
        result = Errno.ERESTARTSYS;
        return false;
    }

    private static Errno ReadOffset(Task task, UserPtr<long> address, ref long? offset)
    {
        if (address.IsNull)
            return Errno.OK;
        Errno error = task.Mm.Read(address, out long value);
        offset = value;
        return error;
    }
}
