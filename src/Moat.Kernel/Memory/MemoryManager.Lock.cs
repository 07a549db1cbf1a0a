using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    private VmaFlags _futureFlags;

    /// <summary>New mappings are locked (mlockall(2) with MCL_FUTURE).</summary>
    public bool LocksFuture
    {
        get => _futureFlags != 0;
        set => _futureFlags = value ? VmaFlags.Locked : VmaFlags.None;
    }

    /// <summary>
    /// mlock(2): the host's pages are not pinned, which a guest cannot tell; they are made present and counted. ENOMEM for holes and
    /// inaccessible memory.
    /// </summary>
    public Errno LockRange(ulong start, ulong end, bool populate)
    {
        Errno error = ChangeFlags(start, end, VmaFlags.Locked, VmaFlags.None, privateMemoryOnly: false);
        if (error != Errno.OK || !populate)
            return error;
        MakeOwn(start, end - start);
        // What may only be written is made present by that.
        return CheckPopulate(start, end, write: false) == Errno.OK
            && (Space.Populate(start, end - start, write: false) >= 0 || Space.Populate(start, end - start, write: true) >= 0)
            ? Errno.OK : Errno.ENOMEM;
    }

    /// <summary>Locks or unlocks everything there is (mlockall(2), munlockall(2)).</summary>
    public void LockAll(bool locks, bool populate)
    {
        _access.EnterWrite();
        for (int i = 0; i < _vmas.Count; i++)
        {
            Vma vma = _vmas[i];
            SetFlags(vma, locks ? vma.Flags | VmaFlags.Locked : vma.Flags & ~VmaFlags.Locked);
            // Stacks are mapped whole: only what is used of them is made present.
            if (locks && populate && vma.Kind != VmaKind.Reserved && vma.Access != MapAccess.None && (vma.Flags & VmaFlags.GrowsDown) == 0)
                Space.Populate(vma.Start, vma.Length, write: false);
        }
        _vmas.MergeRange(0, ulong.MaxValue);
        _access.ExitWrite();
    }

    /// <summary>Gives a mapping of ours the flags that it can have, and counts what is locked. Under the write lock.</summary>
    private void SetFlags(Vma vma, VmaFlags flags)
    {
        flags = vma.Permit(flags);
        if (((vma.Flags ^ flags) & VmaFlags.Locked) != 0)
            LockedBytes = (flags & VmaFlags.Locked) != 0 ? LockedBytes + vma.Length : LockedBytes - vma.Length;
        vma.Flags = flags;
    }
}
