using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>Removes the mappings in a range (munmap(2)). EINVAL for bad ranges, ENOMEM when a split is one too many.</summary>
    public Errno Unmap(ulong address, ulong length)
    {
        if (!CheckRange(address, ref length) || length == 0)
            return Errno.EINVAL;
        _access.EnterWrite();
        Errno error = UnmapLocked(address, address + length);
        _access.ExitWrite();
        return error;
    }

    /// <summary>
    /// shmdt(2): removes what is left of the System V segment that was attached at an address. EINVAL when there is none.
    /// </summary>
    public Errno DetachShared(ulong address)
    {
        _access.EnterWrite();
        Errno error = Errno.EINVAL;
        IMappable? segment = null;
        for (int i = _vmas.IndexAtOrAbove(address); i < _vmas.Count;)
        {
            Vma vma = _vmas[i];
            if (vma.File is not Ipc.SharedAttachment { Segment.Length: var length } || vma.Start - vma.FileOffset != address
                || (segment is not null && vma.File != segment))
            {
                // Only within what the segment can cover.
                if (segment is Ipc.SharedAttachment known && vma.Start >= address + known.Segment.Length)
                    break;
                i++;
                continue;
            }
            segment = vma.File;
            error = UnmapLocked(vma.Start, vma.End);
            if (error != Errno.OK)
                break;
        }
        _access.ExitWrite();
        return error;
    }

    private Errno UnmapLocked(ulong start, ulong end)
    {
        if (IsSealed(start, end))
            return Errno.EPERM;
        if (_vmas.Count >= MaxMappings && _vmas.Find(start) is { } whole && whole.Start < start && whole.End > end)
            return Errno.ENOMEM;
        _vmas.Detach(start, end, _old);
        ulong from = ulong.MaxValue, to = 0;
        foreach (Vma vma in _old)
        {
            if (vma.Kind == VmaKind.Reserved)
                continue;
            from = Math.Min(from, vma.Start);
            to = vma.End;
        }
        if (to != 0 && Space.Unmap(from, to - from) < 0)
        {
            // The host cannot split its mapping: all stays.
            foreach (Vma vma in _old)
                _vmas.Insert(vma);
            _old.Clear();
            return Errno.ENOMEM;
        }
        DiscardOld();
        return Errno.OK;
    }

    /// <summary>
    /// Changes access (mprotect(2)): EINVAL for bad ranges, ENOMEM for holes and when memory cannot be had, EACCES for what
    /// the file does not allow. What lies before the failing part is changed.
    /// </summary>
    public Errno Protect(ulong address, ulong length, MapAccess access)
    {
        if ((address & (PageSize - 1)) != 0)
            return Errno.EINVAL;
        if (length == 0)
            return Errno.OK;
        if (!CheckRange(address, ref length) || length == 0)
            return Errno.ENOMEM;
        _access.EnterWrite();
        Errno error = ProtectLocked(address, address + length, access);
        _access.ExitWrite();
        return error;
    }

    private Errno ProtectLocked(ulong start, ulong end, MapAccess access)
    {
        if (_vmas.Count + 2 > MaxMappings)
            return Errno.ENOMEM;
        _vmas.SplitAt(start);
        _vmas.SplitAt(end);
        Errno error = Errno.OK;
        for (ulong at = start; at < end && error == Errno.OK;)
        {
            int i = _vmas.IndexOf(at);
            if (i < 0)
            {
                error = Errno.ENOMEM;
                break;
            }
            Vma vma = _vmas[i];
            if ((access & ~vma.MaxAccess) != 0)
            {
                error = Errno.EACCES;
                break;
            }
            if ((vma.Flags & VmaFlags.Sealed) != 0)
            {
                error = Errno.EPERM;
                break;
            }
            if (IsData(access, vma.Flags) && !IsData(vma.Access, vma.Flags) && ExceedsData(vma.Start, vma.End))
            {
                error = Errno.ENOMEM;
                break;
            }
            ulong next = vma.End;
            if (vma.Access == access || (vma.Kind == VmaKind.Reserved && access == MapAccess.None))
                vma.Access = access;
            else if (vma.Kind == VmaKind.Reserved)
                error = Remake(vma, access);
            else
                error = ProtectRun(i, end, access, out next);
            at = next;
        }
        _vmas.MergeRange(start, end);
        return error;
    }

    /// <summary>Makes a whole mapping anew with another access.</summary>
    private Errno Remake(Vma vma, MapAccess access)
    {
        Vma model = ModelOf(vma, vma.Start, vma.End);
        model.Access = access;
        Errno error = MapPieces(model);
        _vmas.Recycle(model);
        return error;
    }

    /// <summary>One call to the guest for neighbours that need nothing else.</summary>
    private Errno ProtectRun(int first, ulong end, MapAccess access, out ulong next)
    {
        int i = first + 1;
        MapAccess inGuest = GuestAccess(_vmas[first], access);
        while (i < _vmas.Count && _vmas[i].Start == _vmas[i - 1].End && _vmas[i].Start < end && (access & ~_vmas[i].MaxAccess) == 0
            && _vmas[i].Access != access && _vmas[i].Kind != VmaKind.Reserved && GuestAccess(_vmas[i], access) == inGuest)
        {
            i++;
        }
        ulong start = _vmas[first].Start;
        next = _vmas[i - 1].End;
        int result = Space.Protect(start, next - start, inGuest);
        if (result < 0)
            return FromHost(result);
        for (; first < i; first++)
            _vmas[first].Access = access;
        return Errno.OK;
    }

    /// <summary>
    /// Widens a range down to the start of the growing mapping that holds it (PROT_GROWSDOWN). ENOMEM, EINVAL when it
    /// does not grow.
    /// </summary>
    public Errno FindGrowingStart(ref ulong address, ref ulong length)
    {
        _access.EnterRead();
        Vma? vma = _vmas.Find(address);
        Errno error = vma is null ? Errno.ENOMEM : (vma.Flags & VmaFlags.GrowsDown) == 0 ? Errno.EINVAL : Errno.OK;
        if (error == Errno.OK)
        {
            length += address - vma!.Start;
            address = vma.Start;
        }
        _access.ExitRead();
        return error;
    }

    /// <summary>Rounds the length up to pages; false when the start is not aligned or the range leaves guest space.</summary>
    private bool CheckRange(ulong address, ref ulong length)
    {
        if ((address & (PageSize - 1)) != 0 || length > MaxAddress || address > MaxAddress)
            return false;
        length = PageUp(length);
        return length <= MaxAddress - address;
    }

    /// <summary>Where the program break area begins; set by the loader.</summary>
    public ulong BreakStart { get; private set; }

    /// <summary>The program break (brk(2)), bytes.</summary>
    public ulong Break { get; private set; }

    /// <summary>The loader's choice of where the break area begins.</summary>
    public void SetBreakStart(ulong address) => BreakStart = Break = address;

    /// <summary>Moves the program break; returns the new one, or the old one when that cannot be.</summary>
    public ulong SetBreak(ulong address)
    {
        _access.EnterWrite();
        if (address >= BreakStart && address <= MaxAddress)
        {
            ulong oldEnd = PageUp(Break), newEnd = PageUp(address);
            bool done = true;
            if (newEnd < oldEnd)
                done = UnmapLocked(newEnd, oldEnd) == Errno.OK;
            else if (newEnd > oldEnd)
                done = GrowBreak(oldEnd, newEnd);
            if (done)
                Break = address;
        }
        ulong result = Break;
        _access.ExitWrite();
        return result;
    }

    /// <summary>RLIMIT_DATA counts the break area and the program's initialized data on their own, too.</summary>
    private bool ExceedsBreakLimit(ulong end)
        => end - BreakStart + (Program is { } program ? program.DataEnd - program.DataStart : 0) > DataLimit;

    private bool GrowBreak(ulong start, ulong end)
    {
        if (!IsFreeWithGap(start, end + PageSize) || (DataLimit != ulong.MaxValue && ExceedsBreakLimit(end)))
            return false;
        MapRequest request = new()
        {
            Address = start,
            Length = end - start,
            Access = MapAccess.Read | MapAccess.Write,
            MaxAccess = MapRequest.All,
            Flags = VmaFlags.Heap,
            Fixed = true,
        };
        return !MapLocked(in request).IsError;
    }
}
