using Moat.Host;
using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>
    /// A copy for a new process (fork(2)): shared mappings are shared, private memory is the copy's own, MADV_DONTFORK leaves a hole and
    /// MADV_WIPEONFORK zeroes. ENOMEM. Throws HostException when the host gives no address space.
    /// </summary>
    public Errno Fork(out MemoryManager? child)
    {
        child = null;
        _access.EnterWrite();
        try
        {
            MemoryManager copy = new(Frames, Space.Fork(), LowestAddress, MaxAddress)
            {
                MapTop = MapTop,
                StackLimit = StackLimit,
                AddressSpaceLimit = AddressSpaceLimit,
                BreakStart = BreakStart,
                Break = Break,
                Program = Program,
            };
            Errno error = CopyTo(copy);
            if (error == Errno.OK)
                child = copy;
            else
                copy.DropUser();
            return error;
        }
        finally
        {
            _access.ExitWrite();
        }
    }

    private Errno CopyTo(MemoryManager copy)
    {
        List<MapChange> changes = [];
        for (int i = 0; i < _vmas.Count; i++)
        {
            Errno error = CopyTo(copy, _vmas[i], changes);
            if (error != Errno.OK)
                return error;
        }
        copy.PeakBytes = copy.TotalBytes;
        return FromHost(copy.Space.Apply(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(changes)));
    }

    private Errno CopyTo(MemoryManager copy, Vma vma, List<MapChange> changes)
    {
        if ((vma.Flags & VmaFlags.DontFork) != 0)
        {
            if (vma.Kind != VmaKind.Reserved)
                changes.Add(new MapChange(MapChangeKind.Unmap, vma.Start, vma.Length));
            return Errno.OK;
        }
        ulong offset = vma.Offset;
        if (vma.Kind == VmaKind.Frames)
        {
            Errno error = Frames.AllocateNear(vma.Length, copy.HintFor(vma.Start, vma.End), out offset);
            if (error != Errno.OK)
                return error;
            if ((vma.Flags & VmaFlags.WipeOnFork) == 0 && !Frames.Copy(vma.Offset, offset, vma.Length))
            {
                Frames.Free(offset, vma.Length);
                return Errno.ENOMEM;
            }
            changes.Add(new MapChange(MapChangeKind.MapMemory, vma.Start, vma.Length, offset, vma.Access));
        }
        Vma piece = copy._vmas.Rent();
        piece.Start = vma.Start;
        piece.End = vma.End;
        piece.Access = vma.Access;
        piece.MaxAccess = vma.MaxAccess;
        piece.Flags = vma.Flags & ~VmaFlags.Locked;
        piece.Kind = vma.Kind;
        piece.Offset = offset;
        piece.HostFd = vma.HostFd;
        piece.File = vma.File;
        piece.FileOffset = vma.FileOffset;
        piece.View = vma.View;
        piece.View?.AddReference();
        copy.AddToFile(piece);
        copy._vmas.Insert(piece);
        return Errno.OK;
    }
}
