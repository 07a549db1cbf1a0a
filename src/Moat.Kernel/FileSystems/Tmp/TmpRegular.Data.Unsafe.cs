using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Memory;

namespace Moat.Kernel.FileSystems.Tmp;

internal unsafe partial class TmpRegular
{
    private const int PageShift = 12;
    private const ulong PageSize = 1UL << PageShift, PageMask = PageSize - 1;

    /// <summary>The most that is allocated or zeroed in one piece, pages.</summary>
    private const ulong MaxRun = 4096;

    // Source of zeroes for vectors whose spans may fault.
    private static readonly byte[] s_zeroes = GC.AllocateArray<byte>(65536, pinned: true);

    /// <summary>Reads at an offset, which advances. Bytes, 0 at the end, EFAULT.</summary>
    public SysResult Read(IoVector to, ref long offset)
    {
        _data.EnterRead();
        long left = Math.Min(_size - offset, (long)Math.Min(to.Remaining, long.MaxValue));
        long done = 0;
        while (done < left)
        {
            ulong at = (ulong)(offset + done), within = at & PageMask;
            ulong wanted = (ulong)(left - done);
            ulong run = _pages.Run(at >> PageShift, Math.Min((wanted + within + PageMask) >> PageShift, MaxRun), out ulong memory);
            wanted = Math.Min(wanted, (run << PageShift) - within);
            // SAFETY: the pages are this file's while the data lock is held; the whole memory file is mapped and never faults.
            ulong copied = memory == 0 ? Zero(to, wanted) : to.CopyFrom(Tmp.Frames.Pointer(memory) + within, wanted);
            done += (long)copied;
            if (copied < wanted)
                break;
        }
        _data.ExitRead();
        if (done == 0 && left > 0)
            return Errno.EFAULT;
        offset += done;
        return done;
    }

    /// <summary>Writes at an offset or at the end; the offset follows. Bytes, ENOSPC, EFBIG, EFAULT, EPERM (seals).</summary>
    public SysResult Write(IoVector from, ref long offset, bool append)
    {
        if (from.Remaining == 0)
            return 0;
        _data.EnterWrite();
        long start = append ? _size : offset;
        long left = (long)Math.Min(from.Remaining, (ulong)Math.Max(Tmp.MaxFileSize - start, 0));
        Errno error = left == 0 ? Errno.EFBIG : MayWrite(start, ref left);
        long done = 0;
        while (error == Errno.OK && done < left)
        {
            ulong at = (ulong)(start + done), within = at & PageMask;
            ulong wanted = (ulong)(left - done);
            ulong pages = Math.Min((wanted + within + PageMask) >> PageShift, MaxRun);
            error = Provide(at >> PageShift, pages, out ulong run, out ulong memory, out bool fresh);
            if (error != Errno.OK)
                break;
            wanted = Math.Min(wanted, (run << PageShift) - within);
            // SAFETY: as in Read; the lock is held for writing.
            ulong copied = fresh && wanted >= PageSize
                ? FillFresh(from, memory + within, wanted)
                : from.CopyTo(Tmp.Frames.Pointer(memory) + within, wanted);
            done += (long)copied;
            if (copied < wanted)
                error = Errno.EFAULT;
        }
        if (done > 0)
        {
            offset = start + done;
            if (offset > _size)
                Volatile.Write(ref _size, offset);
        }
        _data.ExitWrite();
        return done > 0 ? done : error;
    }

    /// <summary>
    /// Writes into pages that the host has not given memory to yet: through the memory file's descriptor, which costs less than half of
    /// a page fault and needs no zeroing before. Bytes; fewer when guest memory faults or the host has no memory.
    /// </summary>
    private ulong FillFresh(IoVector from, ulong memory, ulong length)
    {
        const int Spans = 16;
        IoVec* spans = stackalloc IoVec[Spans];
        ulong done = 0;
        while (done < length)
        {
            int count = 0;
            ulong taken = 0;
            // SAFETY: Items has Count entries.
            for (; count < Math.Min(Spans, from.Count) && taken < length - done; count++)
            {
                spans[count] = from.Items[count];
                spans[count].Length = Math.Min(spans[count].Length, length - done - taken);
                taken += spans[count].Length;
            }
            long n = HostFiles.WriteVector(Tmp.Frames.File.Fd, spans, count, (long)(memory + done), 0);
            if (n <= 0)
                break;
            from.Advance((ulong)n);
            done += (ulong)n;
        }
        return done;
    }

    /// <summary>
    /// Pages for writing from <paramref name="page"/> on: those that are there, or fresh ones in a hole, which mostly have no memory
    /// yet when <paramref name="fresh"/>. ENOSPC.
    /// </summary>
    private Errno Provide(ulong page, ulong wanted, out ulong run, out ulong memory, out bool fresh, MemoryNeed need = MemoryNeed.Likely)
    {
        fresh = false;
        run = _pages.Run(page, wanted, out memory);
        if (memory != 0)
        {
            _pages.MarkWritten(page, run);
            return Errno.OK;
        }
        // As much of the hole in one piece as there is, so that files stay contiguous.
        for (; run > 0; run /= 2)
        {
            fresh = !Tmp.Frames.MostlyKept(run << PageShift);
            if (Tmp.Frames.AllocateStored(run << PageShift, out memory, need) == Errno.OK)
            {
                _pages.Set(page, memory, run);
                return Errno.OK;
            }
        }
        return Errno.ENOSPC;
    }

    /// <summary>Makes bytes zero where there are pages; holes are left.</summary>
    private void ZeroRange(ulong start, ulong end)
    {
        ulong page = start >> PageShift, last = (end + PageMask) >> PageShift;
        while (_pages.NextAllocated(ref page, last))
        {
            ulong run = _pages.Run(page, Math.Min(last - page, MaxRun), out ulong memory);
            ulong from = Math.Max(start, page << PageShift), to = Math.Min(end, (page + run) << PageShift);
            // SAFETY: as in Write.
            NativeMemory.Clear(Tmp.Frames.Pointer(memory) + (from - (page << PageShift)), (nuint)(to - from));
            page += run;
        }
    }

    private static ulong Zero(IoVector to, ulong length)
    {
        if (!to.MayFault)
            return to.Zero(length);
        ulong done = 0;
        while (done < length)
        {
            int wanted = (int)Math.Min(length - done, (ulong)s_zeroes.Length);
            int copied = to.CopyFrom(s_zeroes.AsSpan(0, wanted));
            done += (ulong)copied;
            if (copied < wanted)
                break;
        }
        return done;
    }

    /// <summary>
    /// Fills pages of this file from a host descriptor: a lower file's content. Under the data lock. Bytes, ENOSPC or the host's error.
    /// </summary>
    protected SysResult FillFrom(int hostFd, long length)
    {
        long done = 0;
        while (done < length)
        {
            ulong pages = Math.Min(((ulong)(length - done) + PageMask) >> PageShift, 256);
            Errno error = Provide((ulong)done >> PageShift, pages, out ulong run, out ulong memory, out _);
            if (error != Errno.OK)
                return error;
            long wanted = Math.Min(length - done, (long)(run << PageShift));
            // SAFETY: fresh pages of this file.
            long got = HostFiles.Read(hostFd, Tmp.Frames.Pointer(memory), wanted, done);
            if (got < 0)
                return got;
            done += got;
            // It became shorter meanwhile.
            if (got < wanted)
                break;
        }
        return done;
    }
}
