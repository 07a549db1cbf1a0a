using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    // Private memory that a fork copies at once, bytes: in all, and of a mapping whatever the others take.
    private const ulong EagerLimit = 512 << 10, SmallLimit = 64 << 10;

    /// <summary>
    /// A copy for a new process (fork(2)): shared mappings are shared, private memory is the copy's own, MADV_DONTFORK leaves a hole and
    /// MADV_WIPEONFORK zeroes. A little private memory is copied now, much of it when one of the two writes. ENOMEM. Throws
    /// HostException when the host gives no address space. The child's first thread makes <paramref name="changes"/> before it begins.
    /// </summary>
    public Errno Fork(out MemoryManager? child, out List<MapChange> changes)
    {
        child = null;
        changes = [];
        _access.EnterWrite();
        try
        {
            List<MapChange> thaw = [];
            Errno error = ShareLargeMappings(thaw);
            if (error != Errno.OK)
                return error;
            MemoryManager copy = new(Frames, Space.Fork(), LowestAddress, MaxAddress)
            {
                MapTop = MapTop,
                StackLimit = StackLimit,
                AddressSpaceLimit = AddressSpaceLimit,
                BreakStart = BreakStart,
                Break = Break,
                Program = Program,
                DataLimit = DataLimit,
                _barriers = _barriers,
                _hasSeals = _hasSeals,
            };
            error = CopyTo(copy, changes);
            // Should the host refuse, a fault gives the access back.
            Space.Apply(CollectionsMarshal.AsSpan(thaw));
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

    /// <summary>
    /// Decides which private memory is copied on write, and takes write access away from it. What is pinned is not: whoever pinned it
    /// writes to these very frames. What is copied now cannot be written meanwhile either if there are other threads: all that the child
    /// sees is of one moment. <paramref name="thaw"/> gives that access back.
    /// </summary>
    private Errno ShareLargeMappings(List<MapChange> thaw)
    {
        List<MapChange> changes = [];
        bool freezes = !HasOnly(1);
        ulong copied = 0;
        for (int i = 0; i < _vmas.Count; i++)
        {
            Vma vma = _vmas[i];
            if (vma.Kind != VmaKind.Frames || vma.SharesFrames || (vma.Flags & (VmaFlags.DontFork | VmaFlags.WipeOnFork)) != 0)
                continue;
            ulong present = Frames.CountPresent(vma.Offset, vma.Length, Math.Max(EagerLimit - Math.Min(copied, EagerLimit), SmallLimit));
            if (present <= SmallLimit || copied + present <= EagerLimit)
            {
                copied += present;
                if (freezes && present != 0)
                    Freeze(vma, changes, thaw);
                continue;
            }
            if (Frames.FindPinned(vma.Offset, vma.Length, out ulong pinStart, out ulong pinEnd))
            {
                pinStart = vma.Start + (pinStart - vma.Offset);
                pinEnd = vma.Start + (pinEnd - vma.Offset);
                if (pinStart <= vma.Start)
                {
                    _vmas.SplitAt(pinEnd);
                    continue;
                }
                _vmas.SplitAt(pinStart);
                vma = _vmas[i];
            }
            if ((vma.Access & MapAccess.Write) != 0)
                changes.Add(new MapChange(MapChangeKind.Protect, vma.Start, vma.Length, 0, (vma.Access & ~MapAccess.Write) | MapAccess.Read));
            // True already before the host has done it: a fault finds nothing shared and gives the access back.
            vma.SharesFrames = true;
        }
        return changes.Count == 0 ? Errno.OK : FromHost(Space.Apply(CollectionsMarshal.AsSpan(changes)));
    }

    private static void Freeze(Vma vma, List<MapChange> changes, List<MapChange> thaw)
    {
        if ((vma.Access & MapAccess.Write) == 0)
            return;
        changes.Add(new MapChange(MapChangeKind.Protect, vma.Start, vma.Length, 0, MapAccess.Read));
        thaw.Add(new MapChange(MapChangeKind.Protect, vma.Start, vma.Length, 0, vma.Access));
    }

    private Errno CopyTo(MemoryManager copy, List<MapChange> changes)
    {
        for (int i = 0; i < _vmas.Count; i++)
        {
            Errno error = CopyTo(copy, _vmas[i], changes);
            if (error != Errno.OK)
                return error;
        }
        copy.PeakBytes = copy.TotalBytes;
        return Errno.OK;
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
        bool wipes = (vma.Flags & VmaFlags.WipeOnFork) != 0, shares = vma.SharesFrames && !wipes;
        if (vma.Kind == VmaKind.Frames)
        {
            Errno error = shares ? Frames.Share(offset, vma.Length)
                : Frames.AllocateNear(vma.Length, copy.HintFor(vma.Start, vma.End), out offset, MemoryNeed.Unlikely);
            if (error != Errno.OK)
                return error;
            if (!shares && !wipes && !Frames.Copy(vma.Offset, offset, vma.Length))
            {
                Frames.Free(offset, vma.Length);
                return Errno.ENOMEM;
            }
            if (!shares)
                changes.Add(new MapChange(MapChangeKind.MapMemory, vma.Start, vma.Length, offset, vma.Access));
        }
        Vma piece = copy._vmas.Rent();
        piece.Start = vma.Start;
        piece.End = vma.End;
        piece.Access = vma.Access;
        piece.MaxAccess = vma.MaxAccess;
        piece.Flags = vma.Flags & ~VmaFlags.Locked;
        piece.Kind = vma.Kind;
        piece.SharesFrames = shares;
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
