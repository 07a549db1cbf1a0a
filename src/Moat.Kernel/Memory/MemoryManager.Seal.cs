using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>mseal(2): what is mapped in a range cannot be changed any more. ENOMEM for holes; then nothing is sealed.</summary>
    public Errno Seal(ulong start, ulong end)
    {
        _access.EnterWrite();
        Errno error = _vmas.IsMapped(start, end) ? Errno.OK : Errno.ENOMEM;
        if (error == Errno.OK)
        {
            int first = _vmas.SplitAt(start), last = _vmas.SplitAt(end);
            for (int i = first; i < last; i++)
                _vmas[i].Flags |= VmaFlags.Sealed;
            _hasSeals = true;
            _vmas.MergeRange(start, end);
        }
        _access.ExitWrite();
        return error;
    }

    private bool _hasSeals;

    /// <summary>True when something in a range is sealed.</summary>
    private bool IsSealed(ulong start, ulong end)
    {
        if (!_hasSeals)
            return false;
        for (int i = _vmas.IndexAtOrAbove(start); i < _vmas.Count && _vmas[i].Start < end; i++)
        {
            if ((_vmas[i].Flags & VmaFlags.Sealed) != 0)
                return true;
        }
        return false;
    }

    /// <summary>True when advice may throw contents away: sealed private memory that cannot be written keeps them.</summary>
    private static bool MayDiscard(Vma vma)
        => (vma.Flags & VmaFlags.Sealed) == 0 || (vma.File is not null && vma.IsShared) || (vma.Access & MapAccess.Write) != 0;
}
