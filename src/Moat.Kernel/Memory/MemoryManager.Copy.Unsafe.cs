using Moat.Host;

namespace Moat.Kernel.Memory;

internal sealed unsafe partial class MemoryManager
{
    /// <summary>
    /// Fills the one new piece, frames for all of <paramref name="model"/>, with the file's bytes. Pages wholly beyond the end
    /// of the file become a reserved piece: touching them is SIGBUS.
    /// </summary>
    private Errno FillPrivateCopy(Vma model)
    {
        Vma piece = _new[^1];
        ulong done = 0;
        while (done < model.Length)
        {
            Errno error = model.File!.Resolve(model.FileOffset + done, model.Length - done, out Backing backing);
            if (error == Errno.ENXIO)
                break;
            if (error != Errno.OK)
                return error;
            ulong length = Math.Min(PageUp(backing.Length), model.Length - done);
            if (length == 0)
                return Errno.EINVAL;
            byte* to = Frames.Pointer(piece.Offset + done);
            if (backing.HostFd < 0)
            {
                // SAFETY: both are memory-file bytes, whole pages within what was allocated.
                Buffer.MemoryCopy(Frames.Pointer(backing.Offset), to, length, length);
                done += length;
                continue;
            }
            ulong read = ReadHostFile(backing.HostFd, to, length, backing.Offset);
            done += PageUp(read);
            if (read < length)
                break;
        }
        if (done == model.Length)
            return Errno.OK;
        Frames.Free(piece.Offset + done, model.Length - done);
        if (done == 0)
            piece.Kind = VmaKind.Reserved;
        else
        {
            piece.End = piece.Start + done;
            AddPiece(model, piece.End, model.End, VmaKind.Reserved);
        }
        return Errno.OK;
    }

    /// <summary>Reads as much as there is. What the disk refuses reads as beyond the end: SIGBUS when touched, as in Linux.</summary>
    private static ulong ReadHostFile(int fd, byte* to, ulong length, ulong offset)
    {
        ulong done = 0;
        while (done < length)
        {
            // SAFETY: the destination is memory-file memory of at least length bytes.
            long n = HostMapping.Read(fd, to + done, length - done, offset + done);
            if (n == -(long)Errno.EINTR)
                continue;
            if (n <= 0)
                break;
            done += (ulong)n;
        }
        return done;
    }
}
