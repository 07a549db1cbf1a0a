namespace Moat.Kernel.FileSystems.Tmp;

internal partial class TmpRegular
{
    private const ulong LastPage = ulong.MaxValue >> PageShift;

    /// <summary>ftruncate(2). EPERM (seals).</summary>
    public Errno SetSize(long size)
    {
        if (size > Tmp.MaxFileSize)
            return Errno.EFBIG;
        Errno error = Errno.OK;
        _data.EnterWrite();
        bool shrinks = size < _size;
        if (shrinks ? (_seals & Seals.F_SEAL_SHRINK) != 0 : size > _size && (_seals & Seals.F_SEAL_GROW) != 0)
            error = Errno.EPERM;
        else
        {
            if (shrinks)
                Discard((ulong)size, (ulong)_size);
            Volatile.Write(ref _size, size);
        }
        _data.ExitWrite();
        if (error == Errno.OK)
        {
            if (shrinks)
                Volatile.Read(ref _mappers)?.Shrunk((ulong)size);
            Modified(keepsSetIds: false);
        }
        return error;
    }

    /// <summary>
    /// fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE. EOPNOTSUPP for the rest, as tmpfs; ENOSPC leaves nothing behind.
    /// </summary>
    public Errno Allocate(FallocFlags mode, long offset, long length)
    {
        FallocFlags action = mode & ~FallocFlags.FALLOC_FL_KEEP_SIZE;
        if (action is not (0 or FallocFlags.FALLOC_FL_PUNCH_HOLE or FallocFlags.FALLOC_FL_ZERO_RANGE)
            || (action == FallocFlags.FALLOC_FL_ZERO_RANGE && Tmp.HasSeals))
            return Errno.EOPNOTSUPP;
        ulong start = (ulong)offset, end = start + (ulong)length;
        if (end > (ulong)Tmp.MaxFileSize)
            return Errno.EFBIG;
        // More than the machine has: refused before page after page is looked for.
        if (action != FallocFlags.FALLOC_FL_PUNCH_HOLE && (ulong)length > Math.Min(Tmp.Frames.StorageLimit, s_machine))
            return Errno.ENOSPC;
        bool extends = mode is 0 or FallocFlags.FALLOC_FL_ZERO_RANGE && (long)end > Size;
        Errno error = Errno.OK;
        _data.EnterWrite();
        if ((_seals & (Seals.F_SEAL_WRITE | Seals.F_SEAL_FUTURE_WRITE)) != 0 && action != 0)
            error = Errno.EPERM;
        else if (extends && (long)end > _size && (_seals & Seals.F_SEAL_GROW) != 0)
            error = Errno.EPERM;
        else if (action == FallocFlags.FALLOC_FL_PUNCH_HOLE)
            Discard(start, end);
        else
        {
            if (action == FallocFlags.FALLOC_FL_ZERO_RANGE)
                ZeroRange(start, end);
            error = Reserve(start >> PageShift, (end + PageMask) >> PageShift);
            if (error == Errno.OK && extends && (long)end > _size)
                Volatile.Write(ref _size, (long)end);
        }
        _data.ExitWrite();
        if (error == Errno.OK)
            Modified(keepsSetIds: false);
        return error;
    }

    /// <summary>Memory of the machine, bytes.</summary>
    private static readonly ulong s_machine = (ulong)GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>lseek(2) with SEEK_DATA or SEEK_HOLE. ENXIO.</summary>
    public SysResult Seek(long offset, bool data)
    {
        _data.EnterRead();
        SysResult result = SeekLocked(offset, data);
        _data.ExitRead();
        return result;
    }

    private SysResult SeekLocked(long offset, bool data)
    {
        if (offset < 0 || offset >= _size)
            return Errno.ENXIO;
        ulong page = (ulong)offset >> PageShift, end = ((ulong)_size + PageMask) >> PageShift;
        bool found = data ? _pages.NextWritten(ref page, end) : _pages.NextHole(ref page, end);
        if (!found)
            return data ? Errno.ENXIO : _size;
        return Math.Min(Math.Max(offset, (long)(page << PageShift)), _size);
    }

    /// <summary>Bytes become a hole: whole pages are freed, or zeroed while mappings show them; the edges are zeroed.</summary>
    private void Discard(ulong start, ulong end)
    {
        // Also what lies behind the end of the file: it was zero and stays so.
        if ((long)end >= _size)
            end = ulong.MaxValue & ~PageMask;
        if (_mapped != 0)
        {
            ZeroRange(start, end);
            return;
        }
        ulong first = (start + PageMask) >> PageShift, last = end >> PageShift;
        if (first > last)
        {
            ZeroRange(start, end);
            return;
        }
        if (start < first << PageShift)
            ZeroRange(start, first << PageShift);
        if (last << PageShift < end)
            ZeroRange(last << PageShift, end);
        FreePages(first, last);
    }

    private void FreePages(ulong first, ulong end)
    {
        while (_pages.Take(ref first, end, out ulong memory, out ulong count))
            Tmp.Frames.FreeStored(memory, count << PageShift);
    }

    /// <summary>Fills the holes with unwritten pages. ENOSPC: those that were made are taken back.</summary>
    private Errno Reserve(ulong first, ulong end)
    {
        List<(ulong Page, ulong Count)>? made = null;
        for (ulong page = first; page < end;)
        {
            ulong run = _pages.Run(page, Math.Min(end - page, MaxRun), out ulong memory);
            if (memory == 0)
            {
                if (Tmp.Frames.AllocateStored(run << PageShift, out memory) != Errno.OK)
                {
                    foreach ((ulong start, ulong count) in made ?? [])
                        FreePages(start, start + count);
                    return Errno.ENOSPC;
                }
                _pages.Set(page, memory, run, PageMap.Unwritten);
                (made ??= []).Add((page, run));
            }
            page += run;
        }
        return Errno.OK;
    }
}
