using System.Runtime.InteropServices;
using Moat.Host;

namespace Moat.Kernel.Memory;

internal sealed unsafe partial class FrameAllocator
{
    /// <summary>Freed ranges up to this size are zeroed and kept, larger ones are given back to the host. Bytes.</summary>
    private const ulong KeepSize = 256 << 10;

    /// <summary>About how many bytes of host memory free ranges may hold.</summary>
    private const long KeepLimit = 64 << 20;

    /// <summary>Estimate of the host memory in free ranges: what was kept, less what was allocated since.</summary>
    private long _kept;

    /// <summary>Where the sentry sees an allocated byte.</summary>
    public byte* Pointer(ulong offset) => File.Base + offset; // SAFETY: the whole file is mapped; callers own the range.

    /// <summary>Bytes of host memory that the memory file holds now, kept free ones included.</summary>
    public ulong ResidentBytes
    {
        get
        {
            long* stat = stackalloc long[18];
            // SAFETY: struct stat is 144 bytes on x86-64; st_blocks is its ninth word, 512-byte units.
            return HostSyscall.Call(5 /* fstat */, File.Fd, (long)stat) < 0 ? 0 : (ulong)stat[8] * 512;
        }
    }

    /// <summary>Makes allocated bytes zero, giving large ranges back to the host. The range stays allocated. Whole pages.</summary>
    public void Clean(ulong offset, ulong length)
    {
        if (length > KeepSize || Volatile.Read(ref _kept) > KeepLimit)
        {
            File.Punch(offset, length);
            return;
        }
        const int Pages = (int)(KeepSize / PageSize);
        byte* resident = stackalloc byte[Pages];
        int pages = (int)(length / PageSize);
        // SAFETY: one byte a page; the range is mapped. Pages that were never touched are zero and stay absent.
        if (HostMapping.Residency(File.Base + offset, length, resident) < 0)
        {
            File.Punch(offset, length);
            return;
        }
        int kept = 0;
        for (int i = 0; i < pages; i++)
        {
            if ((resident[i] & 1) == 0)
                continue;
            // SAFETY: memory-file bytes that the caller owns and nobody else uses.
            NativeMemory.Clear(File.Base + offset + ((ulong)i * PageSize), (nuint)PageSize);
            kept++;
        }
        if (kept > 0)
            Interlocked.Add(ref _kept, kept * (long)PageSize);
    }

    /// <summary>Counts the bytes of a range that have host memory, up to a little more than <paramref name="enough"/>.</summary>
    public ulong CountPresent(ulong offset, ulong length, ulong enough)
    {
        const ulong Window = 512 * PageSize;
        byte* resident = stackalloc byte[(int)(Window / PageSize)];
        ulong end = offset + length, present = 0;
        while (offset < end && present <= enough && HostMapping.FindData(File.Fd, offset, end, out offset))
        {
            ulong window = Math.Min(Window, end - offset);
            // SAFETY: one byte a page; the range is mapped.
            if (HostMapping.Residency(File.Base + offset, window, resident) < 0)
                return length;
            for (ulong i = 0; i < window / PageSize; i++)
                present += (ulong)(resident[i] & 1) * PageSize;
            offset += window;
        }
        return present;
    }

    /// <summary>
    /// Copies allocated bytes to others, which read as zero. Pages that were never touched stay so. Whole pages. False: the host has no memory.
    /// </summary>
    public bool Copy(ulong from, ulong to, ulong length)
    {
        ulong end = from + length;
        for (ulong at = from; at < end && HostMapping.FindData(File.Fd, at, end, out ulong start, out ulong stop); at = stop)
        {
            while (start < stop)
            {
                // SAFETY: memory-file bytes that the caller owns. A host call copies cheaper than page faults in the sentry would.
                long n = HostMapping.Write(File.Fd, File.Base + start, stop - start, to + (start - from));
                if (n <= 0)
                    return false;
                start += (ulong)n;
            }
        }
        return true;
    }

    /// <summary>An allocation of this size mostly gets pages that have memory already.</summary>
    public bool MostlyKept(ulong length) => length <= KeepSize && Volatile.Read(ref _kept) > 0;

    /// <summary>Small allocations mostly get kept pages back.</summary>
    private void Reused(ulong length)
    {
        if (length <= KeepSize && _kept > 0)
            Interlocked.Add(ref _kept, -Math.Min(_kept, (long)length));
    }
}
