using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Pipes;

/// <summary>What a splice waits for when it answers EAGAIN.</summary>
internal readonly record struct SpliceWait(FileDescription? File, PollEvents Events);

/// <summary>
/// splice(2) and tee(2) without waiting, for the system calls and io_uring. EAGAIN says through <see cref="SpliceWait"/> on which file
/// to wait for what; SPLICE_F_NONBLOCK and O_NONBLOCK are the caller's to honour.
/// </summary>
internal static class SpliceOperations
{
    public const uint SPLICE_F_MOVE = 1, SPLICE_F_NONBLOCK = 2, SPLICE_F_MORE = 4, SPLICE_F_GIFT = 8, SPLICE_F_ALL = 15;

    /// <summary>Bytes that one round moves between a pipe and a file.</summary>
    private const int MostPages = 64;

    private const PollEvents Readable = PollEvents.POLLIN | PollEvents.POLLRDNORM;
    private const PollEvents Writable = PollEvents.POLLOUT | PollEvents.POLLWRNORM;

    [ThreadStatic]
    private static Scratch? s_scratch;

    /// <summary>Per-thread room for one round.</summary>
    private sealed class Scratch
    {
        public readonly PipePage?[] Pages = new PipePage?[MostPages];
        public readonly IoVector Vector = new();
    }

    /// <summary>
    /// Moves bytes. Offsets of null: the file's own position. At least one side is a pipe. Returns bytes, 0 at the end, EAGAIN, EINVAL,
    /// ESPIPE (offset for a pipe), EBADF (access), EPIPE and the files' own errors. Once something has moved, errors wait for the next call.
    /// </summary>
    public static SysResult Splice(FileDescription input, ref long? inputOffset, FileDescription output, ref long? outputOffset, long length, out SpliceWait wait)
    {
        wait = default;
        if (!input.CanRead || !output.CanWrite)
            return Errno.EBADF;
        PipeFile? from = input as PipeFile, to = output as PipeFile;
        if ((from is not null && inputOffset is not null) || (to is not null && outputOffset is not null))
            return Errno.ESPIPE;
        if (length < 0)
            return Errno.EINVAL;
        if (from is not null && to is not null)
        {
            if (from.Pipe == to.Pipe)
                return Errno.EINVAL;
            SysResult moved = Pipe.Transfer(from.Pipe, to.Pipe, length, copy: false, out bool full);
            wait = full ? new SpliceWait(output, Writable) : new SpliceWait(input, Readable);
            return moved;
        }
        if (from is not null)
            return ToFile(from, output, ref outputOffset, length, out wait);
        return to is null ? Errno.EINVAL : FromFile(input, ref inputOffset, to, length, out wait);
    }

    /// <summary>Shares up to <paramref name="length"/> bytes of one pipe with another (tee(2)). EINVAL unless both are, and differ.</summary>
    public static SysResult Tee(FileDescription input, FileDescription output, long length, out SpliceWait wait)
    {
        wait = default;
        if (!input.CanRead || !output.CanWrite)
            return Errno.EBADF;
        if (input is not PipeFile from || output is not PipeFile to || from.Pipe == to.Pipe)
            return Errno.EINVAL;
        SysResult shared = Pipe.Transfer(from.Pipe, to.Pipe, length, copy: true, out bool full);
        wait = full ? new SpliceWait(output, Writable) : new SpliceWait(input, Readable);
        return shared;
    }

    private static SysResult ToFile(PipeFile from, FileDescription output, ref long? offset, long length, out SpliceWait wait)
    {
        wait = default;
        if (!output.CanSpliceTo || (output.Flags & OpenFlags.O_APPEND) != 0 || (offset is not null && !output.IsSeekable) || offset < 0)
            return Errno.EINVAL;
        IoVector vector = (s_scratch ??= new Scratch()).Vector;
        long done = 0;
        while (done < length)
        {
            SysResult written;
            lock (from.Pipe.ReadLock)
            {
                vector.Clear();
                if (from.Pipe.Peek(vector, Math.Min(length - done, MostPages * PipePage.Size)) == 0)
                {
                    if (done > 0 || from.Pipe.Writers == 0)
                        break;
                    wait = new SpliceWait(from, Readable);
                    return Errno.EAGAIN;
                }
                if (offset is { } at)
                {
                    written = output.Write(vector, ref at, RwFlags.None);
                    if (!written.IsError)
                        offset = at;
                }
                else
                {
                    written = output.WriteNext(vector, RwFlags.None);
                }
                if (written.Value > 0)
                    from.Pipe.Consume(written.Value);
            }
            if (written.Value > 0)
            {
                done += written.Value;
                continue;
            }
            if (done > 0)
                break;
            wait = new SpliceWait(output, Writable);
            return written;
        }
        FileOperations.Tell(output, done, write: true);
        return done;
    }

    private static SysResult FromFile(FileDescription input, ref long? offset, PipeFile to, long length, out SpliceWait wait)
    {
        wait = default;
        if (!input.CanSpliceFrom || (offset is not null && !input.IsSeekable) || offset < 0)
            return Errno.EINVAL;
        Scratch scratch = s_scratch ??= new Scratch();
        long done = 0;
        while (done < length)
        {
            long wanted = Math.Min(length - done, MostPages * PipePage.Size);
            SysResult slots = to.Pipe.Reserve((int)((wanted + PipePage.Size - 1) / PipePage.Size));
            if (slots.IsError)
            {
                if (done > 0)
                    break;
                wait = new SpliceWait(to, Writable);
                return slots;
            }
            int pages = (int)slots.Value;
            SysResult got = Fill(scratch, pages, input, ref offset, Math.Min(wanted, pages * PipePage.Size));
            Deliver(scratch, pages, to.Pipe, got.Value);
            if (got.Value <= 0)
            {
                if (done > 0)
                    break;
                wait = new SpliceWait(input, Readable);
                return got;
            }
            done += got.Value;
            if (got.Value < wanted)
                break;
        }
        FileOperations.Tell(input, done, write: false);
        return done;
    }

    private static SysResult Fill(Scratch scratch, int pages, FileDescription input, ref long? offset, long wanted)
    {
        scratch.Vector.Clear();
        for (int i = 0; i < pages; i++)
        {
            PipePage? page = PipePage.Take();
            if (page is null && i == 0)
                return Errno.ENOMEM;
            if (page is null)
                break;
            scratch.Pages[i] = page;
            Pipe.Append(scratch.Vector, page, 0, (int)Math.Min(PipePage.Size, wanted - (i * PipePage.Size)));
        }
        if (offset is not { } at)
            return input.ReadNext(scratch.Vector, RwFlags.None);
        SysResult got = input.Read(scratch.Vector, ref at, RwFlags.None);
        if (!got.IsError)
            offset = at;
        return got;
    }

    /// <summary>Filled pages go into the pipe, the others and their slots back.</summary>
    private static void Deliver(Scratch scratch, int pages, Pipe to, long bytes)
    {
        int used = 0;
        for (int i = 0; i < pages; i++)
        {
            PipePage? page = scratch.Pages[i];
            scratch.Pages[i] = null;
            if (page is null || bytes <= 0)
            {
                page?.Drop();
                continue;
            }
            int part = (int)Math.Min(PipePage.Size, bytes);
            to.Commit(page, 0, part, PipeBufferFlags.None);
            bytes -= part;
            used++;
        }
        to.Cancel(pages - used);
        if (used > 0)
            to.Notify();
    }
}
