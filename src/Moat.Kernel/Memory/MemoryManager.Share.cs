using Moat.Platform;

namespace Moat.Kernel.Memory;

/// <summary>
/// Frames that two processes or more have in common after a fork (<see cref="Vma.SharesFrames"/>): no guest can write them. The first write,
/// by a guest's fault or by the sentry, copies a chunk; who is left alone with frames keeps them.
/// </summary>
internal sealed partial class MemoryManager
{
    /// <summary>What one write copies, bytes: a fault costs more than a few pages do.</summary>
    private const ulong ShareChunk = 64 << 10;

    /// <summary>The same when there are many mappings already: each copy may be one more.</summary>
    private const ulong LargeShareChunk = 1 << 20;

    private const int ManyMappings = 16384;

    /// <summary>Makes the frames of a range, and some around it, this address space's own. ENOMEM: the host has no memory.</summary>
    private Errno Unshare(Vma vma, ulong start, ulong end)
    {
        if (!Frames.IsShared(vma.Offset, vma.Length))
            return Claim(vma);
        ulong chunk = _vmas.Count > ManyMappings ? LargeShareChunk : ShareChunk;
        start = Math.Max(vma.Start, start & ~(chunk - 1));
        end = Math.Min(vma.End, (end + chunk - 1) & ~(chunk - 1));
        _vmas.SplitAt(start);
        _vmas.SplitAt(end);
        vma = _vmas.Find(start)!;
        Errno error = Frames.IsShared(vma.Offset, vma.Length) ? CopyShared(vma) : Claim(vma);
        _vmas.MergeRange(start, end);
        return error;
    }

    private Errno Claim(Vma vma)
    {
        if ((vma.Access & MapAccess.Write) != 0)
        {
            int result = Space.Protect(vma.Start, vma.Length, vma.Access);
            if (result < 0)
                return FromHost(result);
        }
        vma.SharesFrames = false;
        _vmas.MergeRange(vma.Start, vma.End);
        return Errno.OK;
    }

    private Errno CopyShared(Vma vma)
    {
        // Paid for at the fork: what is given back below was charged to this address space too.
        Errno error = Frames.AllocateNear(vma.Length, HintFor(vma.Start, vma.End), out ulong offset, MemoryNeed.Owed);
        if (error == Errno.OK && !Frames.Copy(vma.Offset, offset, vma.Length))
            error = Errno.ENOMEM;
        else if (error == Errno.OK)
        {
            error = FromHost(Space.Apply(
            [
                new MapChange(MapChangeKind.MapMemory, vma.Start, vma.Length, offset, vma.Access),
                new MapChange(MapChangeKind.Populate, vma.Start, vma.Length),
            ]));
        }
        if (error != Errno.OK)
        {
            Frames.Free(offset, vma.Length);
            return error;
        }
        Frames.Free(vma.Offset, vma.Length);
        vma.Offset = offset;
        vma.SharesFrames = false;
        return Errno.OK;
    }
}
