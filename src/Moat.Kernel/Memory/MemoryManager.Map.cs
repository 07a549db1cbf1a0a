using Moat.Platform;

namespace Moat.Kernel.Memory;

/// <summary>What mmap(2) is to make.</summary>
internal struct MapRequest
{
    /// <summary>Where, or a hint, or 0. Page-aligned.</summary>
    public ulong Address;

    /// <summary>Bytes; whole pages, not 0.</summary>
    public ulong Length;

    public MapAccess Access;

    /// <summary>What mprotect(2) may give later.</summary>
    public MapAccess MaxAccess;

    public VmaFlags Flags;

    /// <summary>What to map; null: anonymous memory.</summary>
    public IMappable? File;

    /// <summary>Offset in the file, page-aligned.</summary>
    public ulong FileOffset;

    /// <summary>Exactly at the address (MAP_FIXED).</summary>
    public bool Fixed;

    /// <summary>EEXIST rather than replacing anything (MAP_FIXED_NOREPLACE).</summary>
    public bool NoReplace;

    /// <summary>The address may lie below <see cref="MemoryManager.MinMapAddress"/> (CAP_SYS_RAWIO).</summary>
    public bool MayBeLow;

    /// <summary>Within the lowest 2 GiB (MAP_32BIT).</summary>
    public bool Low32;

    /// <summary>Make the pages present (MAP_POPULATE, MAP_LOCKED).</summary>
    public bool Populate;

    /// <summary>Copy private writable pages of a file now rather than when they are written: most of them will be.</summary>
    public bool CopiesNow;

    /// <summary>A fault makes it: the memory limit does not refuse it.</summary>
    public bool IsOwed;

    /// <summary>Read, write, execute.</summary>
    public const MapAccess All = MapAccess.Read | MapAccess.Write | MapAccess.Execute;
}

internal sealed partial class MemoryManager
{
    /// <summary>
    /// Makes a mapping. Returns its address, or ENOMEM (no room, the memory limit, too many mappings), EEXIST, EPERM (below
    /// <see cref="MinMapAddress"/>), EACCES or what the file answers.
    /// </summary>
    public SysResult Map(in MapRequest request)
    {
        if (request.Length > MaxAddress)
            return Errno.ENOMEM;
        _access.EnterWrite();
        SysResult result = MapLocked(in request);
        _access.ExitWrite();
        if (!result.IsError && request.Populate && request.Access != MapAccess.None)
            Space.Populate((ulong)result.Value, request.Length, (request.Access & MapAccess.Write) != 0);
        return result;
    }

    /// <summary>Where the next frames should be, when that is better known than by the neighbours.</summary>
    private ulong _hint = FrameAllocator.NoHint;

    private SysResult MapLocked(in MapRequest request)
    {
        ulong start = request.Address;
        if (request.Fixed)
        {
            Errno refused = CheckFixedLocked(in request);
            if (refused != Errno.OK)
                return refused;
        }
        else
        {
            start = ChooseAddress(start, request.Length, request.Low32);
            if (start == 0)
                return Errno.ENOMEM;
        }
        ulong end = start + request.Length;
        if (_vmas.Count + 2 > MaxMappings || ExceedsLimit(request.Length, start)
            || (IsData(request.Access, request.Flags) && ExceedsData(start, end)))
        {
            return Errno.ENOMEM;
        }
        if (request.Fixed && IsSealed(start, end))
            return Errno.EPERM;
        Vma model = _vmas.Rent();
        model.Start = start;
        model.End = end;
        model.Access = request.Access;
        model.MaxAccess = request.MaxAccess;
        model.File = request.File;
        model.Flags = model.Permit(request.Flags | _futureFlags);
        model.FileOffset = request.FileOffset;
        Errno error = Errno.OK;
        if (request.File is ZeroDevice || (request.File is null && (request.Flags & VmaFlags.Shared) != 0))
            error = ReplaceFile(model);
        if (error == Errno.OK)
            error = MapPieces(model, copies: request.CopiesNow || request.Populate, request.IsOwed);
        _vmas.Recycle(model);
        return error == Errno.OK ? start : error;
    }

    /// <summary>What is wrong with the address of a fixed mapping, before anything else is looked at: ENOMEM, EPERM, EEXIST.</summary>
    public Errno CheckFixed(in MapRequest request)
    {
        _access.EnterRead();
        Errno error = CheckFixedLocked(in request);
        _access.ExitRead();
        return error;
    }

    private Errno CheckFixedLocked(in MapRequest request)
    {
        ulong start = request.Address;
        if (start > MaxAddress - request.Length || start < LowestAddress)
            return Errno.ENOMEM;
        if (start < MinMapAddress && !request.MayBeLow)
            return Errno.EPERM;
        return request.NoReplace && !_vmas.IsFree(start, start + request.Length) ? Errno.EEXIST : Errno.OK;
    }

    /// <summary>True when RLIMIT_AS forbids so many bytes more, less what is mapped already from an address on.</summary>
    private bool ExceedsLimit(ulong length, ulong replaced)
    {
        if (AddressSpaceLimit == ulong.MaxValue || (_vmas.TotalBytes <= AddressSpaceLimit && length <= AddressSpaceLimit - _vmas.TotalBytes))
            return false;
        ulong there = 0, end = replaced + length;
        for (int i = _vmas.IndexAtOrAbove(replaced); i < _vmas.Count && _vmas[i].Start < end; i++)
            there += Math.Min(_vmas[i].End, end) - Math.Max(_vmas[i].Start, replaced);
        return _vmas.TotalBytes - there + length > AddressSpaceLimit;
    }

    private static bool IsData(MapAccess access, VmaFlags flags)
        => (access & MapAccess.Write) != 0 && (flags & (VmaFlags.Shared | VmaFlags.GrowsDown)) == 0;

    /// <summary>True when RLIMIT_DATA forbids a range to become data.</summary>
    private bool ExceedsData(ulong start, ulong end)
    {
        if (DataLimit == ulong.MaxValue)
            return false;
        ulong bytes = end - start;
        for (int i = 0; i < _vmas.Count; i++)
        {
            Vma vma = _vmas[i];
            if (!IsData(vma.Access, vma.Flags))
                continue;
            ulong within = Math.Min(vma.End, end) - Math.Min(Math.Max(vma.Start, start), Math.Min(vma.End, end));
            bytes += vma.Length - within;
        }
        return bytes > DataLimit;
    }

    /// <summary>Anonymous memory in place of /dev/zero; a file without a name when it is shared.</summary>
    private Errno ReplaceFile(Vma model)
    {
        model.File = null;
        model.FileOffset = 0;
        if (!model.IsShared)
            return Errno.OK;
        Errno error = AnonymousShared.Create(Frames, model.Length, HintFor(model.Start, model.End), out AnonymousShared? memory, (model.Flags & VmaFlags.NoReserve) != 0 ? MemoryNeed.Unlikely : MemoryNeed.Likely);
        model.File = memory;
        return error;
    }

    private ulong ChooseAddress(ulong hint, ulong length, bool low32)
    {
        const ulong LowTop = 0x80000000, LowBottom = 0x40000000;
        ulong low = MinAddress, most = low32 ? LowTop : MaxAddress;
        if (hint != 0)
        {
            hint = Math.Max(hint, low);
            if (length <= most && hint <= most - length && IsFreeWithGap(hint, hint + length))
                return hint;
        }
        if (low32)
            return _vmas.FindFree(length, Math.Max(low, LowBottom), LowTop, StackGuardGap);
        ulong found = _vmas.FindFree(length, low, MapTop, StackGuardGap);
        return found != 0 ? found : _vmas.FindFree(length, low, MaxAddress, StackGuardGap);
    }

    /// <summary>True when nothing is mapped in a range of guest space.</summary>
    public bool IsFree(ulong address, ulong length)
    {
        _access.EnterRead();
        bool free = address >= MinAddress && length <= MaxAddress && address <= MaxAddress - length && _vmas.IsFree(address, address + length);
        _access.ExitRead();
        return free;
    }

    /// <summary>
    /// A free range where mmap(2) would put one, aligned to a power of two; 0: none. For the loader, which has the memory to
    /// itself.
    /// </summary>
    public ulong FindFree(ulong length, ulong alignment)
    {
        _access.EnterWrite();
        ulong found = _vmas.FindFree(length + alignment - PageSize, MinAddress, MapTop, StackGuardGap);
        if (found != 0)
            found = (found + alignment - PageSize) & ~(alignment - 1);
        _access.ExitWrite();
        return found;
    }

    private bool IsFreeWithGap(ulong start, ulong end)
    {
        int i = _vmas.IndexAtOrAbove(start);
        if (i == _vmas.Count)
            return true;
        Vma next = _vmas[i];
        ulong gap = (next.Flags & VmaFlags.GrowsDown) != 0 ? StackGuardGap : 0;
        return next.Start >= end && next.Start - end >= gap;
    }

    /// <summary>
    /// Makes the mapping that <paramref name="model"/> describes (range, access, flags, file), in place of all that is
    /// in its range: finds what is behind it, piece by piece, maps that in the guest, and enters it. <paramref name="copies"/>: private
    /// writable pages of a file are copied rather than borrowed. <paramref name="isOwed"/>: <see cref="MemoryNeed.Owed"/>.
    /// </summary>
    private Errno MapPieces(Vma model, bool copies = false, bool isOwed = false)
    {
        // Registered before what is replaced is discarded: a file that is mapped over itself stays alive.
        AddToFile(model);
        Errno error = Prepare(model, copies, isOwed);
        if (error != Errno.OK)
        {
            FreeNewFrames();
            RemoveFromFile(model);
            return error;
        }
        _vmas.Detach(model.Start, model.End, _old);
        bool hadPages = false;
        foreach (Vma vma in _old)
            hadPages |= vma.Kind != VmaKind.Reserved;
        foreach (Vma vma in _new)
        {
            error = FromHost(MapInGuest(vma, hadPages));
            if (error == Errno.OK)
                continue;
            // Whatever the guest has there now goes; nothing of it may outlive the memory behind it.
            Space.Unmap(model.Start, model.Length);
            FreeNewFrames();
            DiscardOld();
            RemoveFromFile(model);
            return error;
        }
        foreach (Vma vma in _new)
        {
            if ((vma.Flags & VmaFlags.Locked) != 0)
                LockedBytes += vma.Length;
            _vmas.Insert(vma);
        }
        _new.Clear();
        DiscardOld();
        if (_vmas.TotalBytes > PeakBytes)
            PeakBytes = _vmas.TotalBytes;
        return Errno.OK;
    }

    private void AddToFile(Vma vma)
    {
        vma.File?.AddMapping(vma.FileOffset, vma.Length);
        vma.File?.Mappers?.Add(this, vma.Length);
    }

    private void RemoveFromFile(Vma vma)
    {
        vma.File?.Mappers?.Remove(this, vma.Length);
        vma.File?.RemoveMapping(vma.FileOffset, vma.Length);
    }

    private int MapInGuest(Vma vma, bool hadPages) => vma.Kind switch
    {
        VmaKind.Frames or VmaKind.FileMemory => Space.MapMemory(vma.Start, vma.Length, vma.Offset, GuestAccess(vma, vma.Access)),
        VmaKind.HostFile => Space.MapHostFile(vma.Start, vma.Length, vma.HostFd, vma.Offset, GuestAccess(vma, vma.Access), vma.IsShared),
        _ => hadPages ? Space.Unmap(vma.Start, vma.Length) : 0,
    };

    private void FreeNewFrames()
    {
        foreach (Vma vma in _new)
        {
            if (vma.Kind == VmaKind.Frames)
                Frames.Free(vma.Offset, vma.Length);
            _vmas.Recycle(vma);
        }
        _new.Clear();
    }

    /// <summary>Fills the list of new pieces for <paramref name="model"/>; on failure the caller frees what is in it.</summary>
    private Errno Prepare(Vma model, bool copies, bool isOwed)
    {
        if (model.Access == MapAccess.None || model.IsGuard)
        {
            AddPiece(model, model.Start, model.End, VmaKind.Reserved);
            return Errno.OK;
        }
        if (model.File is null || (copies && !model.IsShared && (model.Access & MapAccess.Write) != 0))
        {
            ulong hint = _hint != FrameAllocator.NoHint ? _hint : HintFor(model.Start, model.End);
            MemoryNeed need = isOwed ? MemoryNeed.Owed : (model.Flags & VmaFlags.NoReserve) != 0 ? MemoryNeed.Unlikely : MemoryNeed.Likely;
            Errno error = Frames.AllocateNear(model.Length, hint, out ulong offset, need);
            if (error != Errno.OK)
                return error;
            AddPiece(model, model.Start, model.End, VmaKind.Frames).Offset = offset;
            return model.File is null ? Errno.OK : FillPrivateCopy(model);
        }
        for (ulong at = model.Start; at < model.End;)
        {
            Errno error = model.File.Resolve(model.FileOffset + (at - model.Start), model.End - at, out Backing backing);
            if (error == Errno.ENXIO)
            {
                AddPiece(model, at, model.End, VmaKind.Reserved);
                return Errno.OK;
            }
            if (error != Errno.OK)
                return error;
            ulong length = Math.Min(PageUp(backing.Length), model.End - at);
            if (length == 0)
                return Errno.EINVAL;
            Vma piece = AddPiece(model, at, at + length, backing.HostFd < 0 ? VmaKind.FileMemory : VmaKind.HostFile);
            piece.Offset = backing.Offset;
            piece.HostFd = backing.HostFd;
            at += length;
        }
        return Errno.OK;
    }

    private Vma AddPiece(Vma model, ulong start, ulong end, VmaKind kind)
    {
        Vma piece = _vmas.Rent();
        piece.Start = start;
        piece.End = end;
        piece.Access = model.Access;
        piece.MaxAccess = model.MaxAccess;
        piece.Flags = model.Flags;
        piece.File = model.File;
        piece.FileOffset = model.FileOffset + (start - model.Start);
        piece.Kind = kind;
        piece.Offset = 0;
        piece.HostFd = -1;
        _new.Add(piece);
        return piece;
    }

    /// <summary>A model for <see cref="MapPieces"/> that is like a part of <paramref name="vma"/>. Recycle it.</summary>
    private Vma ModelOf(Vma vma, ulong start, ulong end)
    {
        Vma model = _vmas.Rent();
        model.Start = start;
        model.End = end;
        model.Access = vma.Access;
        model.MaxAccess = vma.MaxAccess;
        model.Flags = vma.Flags;
        model.File = vma.File;
        model.FileOffset = vma.FileOffset + (start - vma.Start);
        return model;
    }

    /// <summary>
    /// The memory-file offset that makes a range continue the guest memory around it, gaps included: the same distance
    /// in the file as in addresses.
    /// </summary>
    private ulong HintFor(ulong start, ulong end)
    {
        const ulong Near = 1UL << 30;
        int i = _vmas.IndexAtOrAbove(start);
        for (int above = i, tries = 0; above < _vmas.Count && tries < 8 && _vmas[above].Start - start < Near; above++, tries++)
        {
            Vma next = _vmas[above];
            if (next.Kind == VmaKind.Frames && !next.SharesFrames && next.Start >= end && next.Offset > next.Start - start)
                return next.Offset - (next.Start - start);
        }
        for (int below = i - 1, tries = 0; below >= 0 && tries < 8 && start - _vmas[below].Start < Near; below--, tries++)
        {
            Vma previous = _vmas[below];
            if (previous.Kind == VmaKind.Frames && !previous.SharesFrames)
                return previous.Offset + (start - previous.Start);
        }
        return FrameAllocator.NoHint;
    }
}
