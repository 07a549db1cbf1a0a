namespace Moat.Kernel.Memory;

/// <summary>Flags of mremap(2), Linux names and values.</summary>
[Flags]
internal enum RemapFlags : uint
{
    MREMAP_MAYMOVE = 1,
    MREMAP_FIXED = 2,
    MREMAP_DONTUNMAP = 4,
}

internal sealed partial class MemoryManager
{
    /// <summary>
    /// Resizes or moves a mapping (mremap(2)). Returns its address, or EINVAL, EFAULT (not one mapping), ENOMEM.
    /// </summary>
    public SysResult Remap(ulong address, ulong oldLength, ulong newLength, RemapFlags flags, ulong newAddress)
    {
        const RemapFlags Known = RemapFlags.MREMAP_MAYMOVE | RemapFlags.MREMAP_FIXED | RemapFlags.MREMAP_DONTUNMAP;
        bool mayMove = (flags & RemapFlags.MREMAP_MAYMOVE) != 0, keepsOld = (flags & RemapFlags.MREMAP_DONTUNMAP) != 0;
        oldLength = PageUp(oldLength);
        newLength = PageUp(newLength);
        if ((flags & ~Known) != 0 || ((flags & RemapFlags.MREMAP_FIXED) != 0 && !mayMove) || (keepsOld && (!mayMove || oldLength != newLength))
            || (address & (PageSize - 1)) != 0 || newLength == 0 || newLength > MaxAddress)
        {
            return Errno.EINVAL;
        }
        if ((flags & RemapFlags.MREMAP_FIXED) != 0
            && ((newAddress & (PageSize - 1)) != 0 || newAddress > MaxAddress - newLength
                || (address + oldLength > newAddress && newAddress + newLength > address)))
        {
            return Errno.EINVAL;
        }
        _access.EnterWrite();
        SysResult result = RemapLocked(address, oldLength, newLength, flags, newAddress);
        Vma? vma = result.IsError || newLength <= oldLength ? null : _vmas.Find((ulong)result.Value);
        bool populate = vma is not null && (vma.Flags & VmaFlags.Locked) != 0;
        _access.ExitWrite();
        if (populate)
            Space.Populate((ulong)result.Value, newLength, write: false);
        return result;
    }

    private SysResult RemapLocked(ulong address, ulong oldLength, ulong newLength, RemapFlags flags, ulong newAddress)
    {
        Vma? vma = _vmas.Find(address);
        if (vma is null)
            return Errno.EFAULT;
        if (IsSealed(address, address + Math.Max(oldLength, PageSize)))
            return Errno.EPERM;
        bool isFixed = (flags & RemapFlags.MREMAP_FIXED) != 0, keepsOld = (flags & RemapFlags.MREMAP_DONTUNMAP) != 0;
        if ((oldLength == 0 && !vma.IsShared) || (keepsOld && vma.IsSpecial))
            return Errno.EINVAL;
        if (!isFixed && !keepsOld && oldLength >= newLength)
        {
            Errno error = oldLength == newLength ? Errno.OK : UnmapLocked(address + newLength, address + oldLength);
            return error == Errno.OK ? address : error;
        }
        if (vma.IsSpecial && newLength > oldLength)
            return Errno.EFAULT;
        // Linux moves several mappings at once only as they are.
        ulong end = LogicalEnd(address);
        if (address + oldLength > end && !(isFixed && oldLength == newLength))
            return Errno.EFAULT;
        if (vma.File is not null && vma.FileOffset + (address - vma.Start) + newLength < newLength)
            return Errno.EINVAL;
        if (!isFixed && !keepsOld && oldLength != 0 && address + oldLength == end
            && newLength <= MaxAddress - address && IsFreeWithGap(end, address + newLength))
        {
            Vma last = _vmas.Find(end - 1)!;
            Errno error = MapTail(last, end, address + newLength, last.End);
            return error == Errno.OK ? address : error;
        }
        if ((flags & RemapFlags.MREMAP_MAYMOVE) == 0)
            return Errno.ENOMEM;
        return Move(address, oldLength, newLength, isFixed, keepsOld, newAddress);
    }

    /// <summary>
    /// Maps other bytes of the same file into a part of a shared mapping (remap_file_pages(2)). EINVAL when it is not one.
    /// </summary>
    public Errno RemapFilePages(ulong address, ulong length, ulong fileOffset)
    {
        _access.EnterWrite();
        Vma? vma = _vmas.Find(address);
        Errno error = Errno.EINVAL;
        if (vma is { IsShared: true, IsSpecial: false } && length <= MaxAddress && address + length <= LogicalEnd(address))
        {
            Vma model = ModelOf(vma, address, address + length);
            model.FileOffset = fileOffset;
            error = MapPieces(model);
            _vmas.Recycle(model);
        }
        _access.ExitWrite();
        return error;
    }

    /// <summary>Where the mapping that a guest sees at an address ends, whatever pieces it consists of here.</summary>
    private ulong LogicalEnd(ulong address)
    {
        int i = _vmas.IndexOf(address);
        while (i + 1 < _vmas.Count && _vmas[i].LooksLikeOne(_vmas[i + 1]))
            i++;
        return _vmas[i].End;
    }

    /// <summary>Maps [start, end) as the continuation, at <paramref name="seam"/>, of a mapping that may lie elsewhere.</summary>
    private Errno MapTail(Vma vma, ulong start, ulong end, ulong seam)
    {
        if (_vmas.Count + 2 > MaxMappings || ExceedsLimit(end - start, start))
            return Errno.ENOMEM;
        Vma model = ModelOf(vma, start, end);
        model.FileOffset = vma.File is null ? 0 : vma.FileOffset + (seam - vma.Start);
        model.Flags &= ~VmaFlags.Guard;
        if (vma.Kind == VmaKind.Frames)
            _hint = vma.Offset + (seam - vma.Start);
        Errno error = MapPieces(model);
        _hint = FrameAllocator.NoHint;
        _vmas.Recycle(model);
        return error;
    }

    private SysResult Move(ulong address, ulong oldLength, ulong newLength, bool isFixed, bool keepsOld, ulong newAddress)
    {
        Errno error;
        if (_vmas.Count + 4 > MaxMappings)
            return Errno.ENOMEM;
        if (isFixed)
        {
            if (newAddress < MinAddress)
                return Errno.EPERM;
            error = UnmapLocked(newAddress, newAddress + newLength);
            if (error == Errno.OK && newLength < oldLength)
            {
                error = UnmapLocked(address + newLength, address + oldLength);
                oldLength = newLength;
            }
            if (error != Errno.OK)
                return error;
            // It lies where there is room, as CheckMapping has it; what was in the way is gone all the same.
            if (_vmas.Find(address)!.IsSpecial)
                return Errno.EINVAL;
        }
        else
        {
            newAddress = ChooseAddress(PageDown(newAddress), newLength, low32: false);
            if (newAddress == 0)
                return Errno.ENOMEM;
        }
        if (newLength > oldLength)
        {
            ulong oldEnd = address + oldLength;
            Vma last = oldLength == 0 ? _vmas.Find(address)! : _vmas.Find(oldEnd - 1)!;
            error = MapTail(last, newAddress + oldLength, newAddress + newLength, oldEnd);
            if (error != Errno.OK)
                return error;
        }
        error = oldLength == 0 ? Errno.OK : MovePieces(address, address + oldLength, newAddress, keepsOld);
        if (error == Errno.OK)
            return newAddress;
        if (newLength > oldLength)
            UnmapLocked(newAddress + oldLength, newAddress + newLength);
        return error;
    }

    /// <summary>
    /// Makes what is behind [start, end) appear at <paramref name="target"/> instead. Private memory takes its frames along.
    /// </summary>
    private Errno MovePieces(ulong start, ulong end, ulong target, bool keepsOld)
    {
        int first = _vmas.SplitAt(start), last = _vmas.SplitAt(end);
        Errno error = Errno.OK;
        for (int i = first; i < last && error == Errno.OK; i++)
        {
            Vma copy = CopyPiece(_vmas[i], _vmas[i].Start - start + target);
            _new.Add(copy);
            error = FromHost(MapInGuest(copy, hadPages: false));
        }
        if (error == Errno.OK && !keepsOld && Space.Unmap(start, end - start) < 0)
            error = Errno.ENOMEM;
        if (error != Errno.OK)
        {
            Space.Unmap(target, end - start);
            DropCopies();
            _vmas.MergeRange(start, end);
            return error;
        }
        LeaveOld(first, last, keepsOld);
        foreach (Vma copy in _new)
            _vmas.Insert(copy);
        _new.Clear();
        if (keepsOld)
            return RenewOld(start, end);
        return Errno.OK;
    }

    private Vma CopyPiece(Vma vma, ulong start)
    {
        Vma copy = ModelOf(vma, vma.Start, vma.End);
        copy.End = start + vma.Length;
        copy.Start = start;
        copy.Flags &= ~(VmaFlags.Heap | VmaFlags.Stack);
        copy.Kind = vma.Kind;
        copy.SharesFrames = vma.SharesFrames;
        copy.Offset = vma.Offset;
        copy.HostFd = vma.HostFd;
        copy.View = vma.View;
        copy.View?.AddReference();
        AddToFile(copy);
        return copy;
    }

    private void DropCopies()
    {
        foreach (Vma copy in _new)
        {
            copy.View?.DropReference();
            RemoveFromFile(copy);
            _vmas.Recycle(copy);
        }
        _new.Clear();
    }

    /// <summary>The pieces that moved lose their frames: to nothing, or, with MREMAP_DONTUNMAP, to a reservation.</summary>
    private void LeaveOld(int first, int last, bool keepsOld)
    {
        for (int i = first; i < last; i++)
        {
            Vma vma = _vmas[i];
            if (keepsOld)
            {
                // The lock moves with the pages. What is accessible gets new frames; what is not must not keep the old ones.
                vma.Flags &= ~VmaFlags.Locked;
                if (vma.Kind == VmaKind.Frames && vma.Access == Platform.MapAccess.None)
                    Space.Unmap(vma.Start, vma.Length);
            }
            if (vma.Kind == VmaKind.Frames)
                vma.Kind = VmaKind.Reserved;
        }
        if (keepsOld)
            return;
        ulong start = _vmas[first].Start, end = _vmas[last - 1].End;
        _vmas.Detach(start, end, _old);
        foreach (Vma vma in _old)
            vma.Flags &= ~VmaFlags.Locked; // Counted once, by the copy.
        DiscardOld();
    }

    /// <summary>New frames where the old ones were taken away.</summary>
    private Errno RenewOld(ulong start, ulong end)
    {
        for (ulong at = start; at < end;)
        {
            int i = _vmas.IndexAtOrAbove(at);
            if (i == _vmas.Count || _vmas[i].Start >= end)
                break;
            Vma vma = _vmas[i];
            at = vma.End;
            if (vma.Kind != VmaKind.Reserved || vma.Access == Platform.MapAccess.None || vma.IsGuard)
                continue;
            // The move is done; what cannot be renewed faults, and is tried again then.
            if (Remake(vma, vma.Access) != Errno.OK)
                Space.Unmap(vma.Start, vma.Length);
        }
        _vmas.MergeRange(start, end);
        return Errno.OK;
    }
}
