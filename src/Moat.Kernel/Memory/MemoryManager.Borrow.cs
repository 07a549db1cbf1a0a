using Moat.Platform;

namespace Moat.Kernel.Memory;

/// <summary>
/// Private pages of a file are the file's own until they are written, those of a forked process perhaps also its relatives'
/// (<see cref="Vma.IsBorrowed"/>). The guest's write faults; the sentry's own writes find out in translation, leave the lock's reader side, copy, and try again.
/// </summary>
internal sealed partial class MemoryManager
{
    /// <summary>Access as the guest's page tables have it: borrowed pages cannot be written there.</summary>
    private static MapAccess GuestAccess(Vma vma, MapAccess access)
        => (access & MapAccess.Write) != 0 && vma.IsBorrowed ? (access & ~MapAccess.Write) | MapAccess.Read : access;

    /// <summary>Copies the page that the guest wants to write. False: it is beyond the file's end, or there is no memory.</summary>
    private bool CopyForFault(Vma vma, ulong page)
        => Copy(vma, page, CopyEnd(vma, page)) == Errno.OK && _vmas.Find(page) is { Kind: VmaKind.Frames };

    /// <summary>
    /// How far to copy: one page, as Linux does, but more behind a long run of copies (somebody writes it all), and where mappings get many.
    /// </summary>
    private ulong CopyEnd(Vma vma, ulong page)
    {
        const ulong LongRun = 32, Most = 256;
        const int Many = 16384;
        ulong pages = _vmas.Count > Many ? Most : 1;
        if (page == vma.Start && page != 0 && _vmas.Find(page - 1) is { Kind: VmaKind.Frames } before
            && ReferenceEquals(before.File, vma.File) && before.Length >= LongRun * PageSize)
        {
            pages = Math.Min(before.Length / PageSize, Most);
        }
        return Math.Min(vma.End, page + (pages * PageSize));
    }

    private Errno Copy(Vma vma, ulong start, ulong end)
    {
        if (vma.SharesFrames)
            return Unshare(vma, start, end);
        Vma model = ModelOf(vma, start, end);
        Errno error = MapPieces(model, copies: true, isOwed: true);
        _vmas.Recycle(model);
        return error;
    }

    /// <summary>
    /// Makes private pages of a range the guest's own, as far as it may write there. False: not even the first one is now, or the
    /// calling thread reads and must not wait for itself.
    /// </summary>
    public bool MakeOwn(ulong address, ulong length)
    {
        if (_access.IsReading)
            return false;
        ulong at = PageDown(address), end = PageUp(address + length);
        _access.EnterWrite();
        while (at < end && _vmas.Find(at) is { } vma && ((vma.Access & MapAccess.Write) != 0 || vma.SharesFrames) && !vma.IsGuard)
        {
            if (IsMissing(vma) && (Remake(vma, vma.Access) != Errno.OK || (vma = _vmas.Find(at)!).Kind == VmaKind.Reserved))
                break;
            ulong next = Math.Min(vma.End, end);
            if (vma.IsBorrowed && (Copy(vma, at, next) != Errno.OK || _vmas.Find(at) is not { Kind: VmaKind.Frames }))
                break;
            at = next;
        }
        _access.ExitWrite();
        return at > address;
    }

    /// <summary>A private piece of a file that was beyond its end when it was mapped; the file may have grown.</summary>
    private static bool IsMissing(Vma vma) => vma.Kind == VmaKind.Reserved && vma.File is not null && !vma.IsShared && !vma.IsGuard;

    /// <summary>
    /// For a translation that met pages to copy first: leaves the reader side that the caller holds, copies, and comes back. False: nothing
    /// has changed, or the caller reads more than once. Spans got before are invalid.
    /// </summary>
    private bool MakeOwnBetween(ulong address, ulong length)
    {
        _access.ExitRead();
        bool made = MakeOwn(address, length);
        _access.EnterRead();
        return made;
    }
}
