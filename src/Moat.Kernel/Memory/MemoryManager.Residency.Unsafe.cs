using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed unsafe partial class MemoryManager
{
    /// <summary>
    /// mincore(2) for the pages of a range, one byte each; the range is no longer than the span. ENOMEM when it is not mapped
    /// throughout.
    /// </summary>
    public Errno GetResidency(ulong start, Span<byte> pages)
    {
        pages.Clear();
        ulong end = start + ((ulong)pages.Length * PageSize);
        _access.EnterRead();
        Errno error = _vmas.IsMapped(start, end) ? Errno.OK : Errno.ENOMEM;
        fixed (byte* p = pages)
        {
            for (int i = _vmas.IndexAtOrAbove(start); error == Errno.OK && i < _vmas.Count && _vmas[i].Start < end; i++)
            {
                ulong from = Math.Max(_vmas[i].Start, start);
                GetPieceResidency(_vmas[i], from, Math.Min(_vmas[i].End, end), p + ((from - start) / PageSize));
            }
        }
        _access.ExitRead();
        return error;
    }

    private void GetPieceResidency(Vma vma, ulong start, ulong end, byte* pages)
    {
        byte* host = null;
        if (vma.IsSpecial && vma.Kind == VmaKind.FileMemory)
        {
            // Present from the beginning, whether anybody has written there or not.
            // SAFETY: the caller's buffer has a byte for each page of the range.
            new Span<byte>(pages, (int)((end - start) / PageSize)).Fill(1);
            return;
        }
        if (vma.Kind is VmaKind.Frames or VmaKind.FileMemory)
            host = Frames.Pointer(vma.Offset + (start - vma.Start));
        else if (vma.Kind == VmaKind.HostFile && ViewOf(vma) is { } view)
            host = view.Pointer(vma.Offset + (start - vma.Start));
        // SAFETY: the caller's buffer has a byte for each page of the range, and the range is mapped in the sentry.
        if (host != null && HostMapping.Residency(host, end - start, pages) < 0)
            NativeMemory.Clear(pages, (nuint)((end - start) / PageSize));
    }

    /// <summary>True when the range has memory of a file that nobody may pin for long (<see cref="IMappable.IsWrittenBack"/>).</summary>
    public bool IsWrittenBack(ulong start, ulong end)
    {
        bool found = false;
        _access.EnterRead();
        for (int i = _vmas.IndexAtOrAbove(start); !found && i < _vmas.Count && _vmas[i].Start < end; i++)
            found = _vmas[i] is { IsShared: true, File.IsWrittenBack: true };
        _access.ExitRead();
        return found;
    }

    /// <summary>
    /// Bytes of guest memory that are present now: counted in memory-file memory, taken as present in mapped host files.
    /// Takes time in proportion to the mappings; for /proc.
    /// </summary>
    private ulong CountResident(Vma vma)
    {
        const int Chunk = 4096;
        if (vma.Kind == VmaKind.Reserved)
            return 0;
        if (vma.Kind == VmaKind.HostFile)
            return vma.Length;
        byte* pages = stackalloc byte[Chunk];
        ulong resident = 0;
        for (ulong at = vma.Start; at < vma.End; at += Chunk * PageSize)
        {
            ulong end = Math.Min(vma.End, at + (Chunk * PageSize));
            GetPieceResidency(vma, at, end, pages);
            for (ulong i = 0; i < (end - at) / PageSize; i++)
                resident += (ulong)(pages[i] & 1) * PageSize;
        }
        return resident;
    }

    /// <summary>
    /// msync(2): with <paramref name="wait"/>, changed pages of shared host files are on the disk afterwards. ENOMEM for holes (the rest
    /// is done), EBUSY for locked memory with <paramref name="invalidate"/>, EIO, EINVAL (files that cannot be synchronised).
    /// </summary>
    public Errno Sync(ulong start, ulong end, bool wait, bool invalidate)
    {
        Errno result = Errno.OK;
        while (start < end)
        {
            HostView? view = null;
            ulong offset = 0, length = 0;
            _access.EnterRead();
            int i = _vmas.IndexAtOrAbove(start);
            if (i == _vmas.Count || _vmas[i].Start >= end)
            {
                _access.ExitRead();
                return Errno.ENOMEM;
            }
            Vma vma = _vmas[i];
            if (vma.Start > start)
                result = Errno.ENOMEM;
            ulong from = Math.Max(start, vma.Start), next = Math.Min(vma.End, end);
            bool busy = invalidate && (vma.Flags & VmaFlags.Locked) != 0;
            if (wait && !busy && vma.Kind == VmaKind.HostFile && vma.IsShared && (vma.MaxAccess & MapAccess.Write) != 0)
            {
                view = ViewOf(vma);
                view?.AddReference();
                offset = vma.Offset + (from - vma.Start);
                length = next - from;
            }
            bool isSpecial = vma is { IsShared: true, IsSpecial: true };
            _access.ExitRead();
            if (busy)
                return Errno.EBUSY;
            if (wait && isSpecial)
                return Errno.EINVAL;
            if (view is not null)
            {
                // The view outlives the guest's mapping, so the disk is waited for without the lock.
                long error = HostMapping.Sync((long)view.Pointer(offset), length);
                view.DropReference();
                if (error < 0)
                    return Errno.EIO;
            }
            start = next;
        }
        return result;
    }
}
