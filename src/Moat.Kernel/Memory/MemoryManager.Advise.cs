using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>What to do with each mapping in a range; <paramref name="vma"/> lies within it.</summary>
    private delegate Errno RangeAction(MemoryManager mm, Vma vma);

    /// <summary>
    /// Changes flags of what is mapped in a range. ENOMEM when there are holes (the rest is changed), EINVAL where
    /// <paramref name="privateMemoryOnly"/> meets a file or shared memory.
    /// </summary>
    public Errno ChangeFlags(ulong start, ulong end, VmaFlags set, VmaFlags clear, bool privateMemoryOnly)
    {
        _access.EnterWrite();
        _vmas.SplitAt(start);
        _vmas.SplitAt(end);
        Errno error = Errno.OK;
        ulong expected = start;
        for (int i = _vmas.IndexAtOrAbove(start); i < _vmas.Count && _vmas[i].Start < end; i++)
        {
            Vma vma = _vmas[i];
            if (vma.Start != expected)
                error = Errno.ENOMEM;
            expected = vma.End;
            if (privateMemoryOnly && (vma.File is not null || vma.IsShared))
            {
                error = Errno.EINVAL;
                break;
            }
            if ((set & (VmaFlags.DontFork | VmaFlags.WipeOnFork)) != 0 && !MayDiscard(vma))
            {
                error = Errno.EPERM;
                break;
            }
            if (vma.IsSpecial && (clear & VmaFlags.DontDump) != 0)
            {
                error = Errno.EINVAL;
                break;
            }
            SetFlags(vma, (vma.Flags | set) & ~clear);
        }
        if (error == Errno.OK && expected < end)
            error = Errno.ENOMEM;
        _vmas.MergeRange(start, end);
        _access.ExitWrite();
        return error;
    }

    /// <summary>
    /// MADV_DONTNEED: private memory in the range reads as zero, or as its file again. ENOMEM for holes, EINVAL for locked
    /// memory unless <paramref name="locked"/> (MADV_DONTNEED_LOCKED).
    /// </summary>
    public Errno DontNeed(ulong start, ulong end, bool locked)
        => ForRange(start, end, locked ? static (mm, vma) => mm.Forget(vma) : static (mm, vma) =>
            (vma.Flags & VmaFlags.Locked) != 0 ? Errno.EINVAL : mm.Forget(vma));

    /// <summary>MADV_FREE: as <see cref="DontNeed"/> at once, for private anonymous memory; EINVAL for everything else.</summary>
    public Errno Free(ulong start, ulong end)
        => ForRange(start, end, static (mm, vma) => vma.File is not null || vma.IsShared || (vma.Flags & VmaFlags.Locked) != 0
            ? Errno.EINVAL : mm.Forget(vma));

    /// <summary>
    /// MADV_REMOVE: shared memory that is not a host file's reads as zero. EINVAL for private anonymous and locked memory, EACCES
    /// for what is not writable.
    /// </summary>
    public Errno Remove(ulong start, ulong end) => ForRange(start, end, static (mm, vma) =>
    {
        if ((vma.Flags & VmaFlags.Locked) != 0 || vma.File is null)
            return Errno.EINVAL;
        if (!vma.IsShared || (vma.MaxAccess & MapAccess.Write) == 0)
            return Errno.EACCES;
        if (vma.Kind == VmaKind.HostFile)
            return Errno.EOPNOTSUPP;
        if (vma.IsSpecial)
            return Errno.ENODEV;
        if (vma.Kind == VmaKind.FileMemory)
            mm.Frames.Clean(vma.Offset, vma.Length);
        return Errno.OK;
    });

    /// <summary>MADV_GUARD_INSTALL: what is there goes; touching it is SIGSEGV. EINVAL for locked memory, ENOMEM for holes.</summary>
    public Errno InstallGuard(ulong start, ulong end) => ForRange(start, end, static (mm, vma) =>
    {
        if ((vma.Flags & VmaFlags.Locked) != 0 || vma.IsSpecial)
            return Errno.EINVAL;
        return vma.IsGuard ? Errno.OK : mm.RemakeGuard(vma, VmaFlags.Guard);
    });

    /// <summary>MADV_GUARD_REMOVE: the range is memory again, as after <see cref="DontNeed"/>. ENOMEM for holes.</summary>
    public Errno RemoveGuard(ulong start, ulong end)
        => ForRange(start, end, static (mm, vma)
            => vma.IsGuard ? mm.RemakeGuard(vma, VmaFlags.None) : vma.IsSpecial ? Errno.EINVAL : Errno.OK,
            discards: false);

    private Errno RemakeGuard(Vma vma, VmaFlags guard)
    {
        Vma model = ModelOf(vma, vma.Start, vma.End);
        model.Flags = (model.Flags & ~VmaFlags.Guard) | guard;
        Errno error = MapPieces(model);
        _vmas.Recycle(model);
        return error;
    }

    /// <summary>True when the range is mapped throughout with an access; for MADV_POPULATE and its like.</summary>
    public Errno CheckPopulate(ulong start, ulong end, bool write)
    {
        _access.EnterRead();
        Errno error = _vmas.IsMapped(start, end) ? Errno.OK : Errno.ENOMEM;
        for (int i = _vmas.IndexAtOrAbove(start); error == Errno.OK && i < _vmas.Count && _vmas[i].Start < end; i++)
        {
            Vma vma = _vmas[i];
            if ((vma.Access & (write ? MapAccess.Write : MapRequest.All)) == 0)
                error = Errno.EINVAL;
            else if (vma.Kind == VmaKind.Reserved)
                error = Errno.EFAULT;
        }
        _access.ExitRead();
        return error;
    }

    private Errno ForRange(ulong start, ulong end, RangeAction action, bool discards = true)
    {
        _access.EnterWrite();
        bool hole = false;
        Errno error = Errno.OK;
        ulong at = start;
        while (at < end)
        {
            // Again each time: what an action makes anew may have merged with what follows.
            _vmas.SplitAt(end);
            int i = _vmas.SplitAt(at);
            if (i == _vmas.Count || _vmas[i].Start >= end)
            {
                hole = true;
                break;
            }
            hole |= _vmas[i].Start > at;
            at = _vmas[i].End;
            error = discards && !MayDiscard(_vmas[i]) ? Errno.EPERM : action(this, _vmas[i]);
            if (error != Errno.OK)
                break;
        }
        _vmas.MergeRange(start, end);
        _access.ExitWrite();
        return error == Errno.OK && hole ? Errno.ENOMEM : error;
    }

    /// <summary>
    /// Drops private contents. Pinned frames stay with who pinned them; the guest gets others. What is mapped page by page beforehand is not
    /// found again: touching it is SIGBUS.
    /// </summary>
    private Errno Forget(Vma vma)
    {
        if (vma.IsSpecial && vma.Kind == VmaKind.FileMemory)
        {
            Errno error = FromHost(Space.Unmap(vma.Start, vma.Length));
            if (error == Errno.OK)
                vma.Kind = VmaKind.Reserved;
            return error;
        }
        if (vma.Kind != VmaKind.Frames)
            return Errno.OK;
        if (vma.File is not null || vma.SharesFrames || Frames.IsPinned(vma.Offset, vma.Length))
            return Remake(vma, vma.Access);
        Frames.Clean(vma.Offset, vma.Length);
        return Errno.OK;
    }
}
