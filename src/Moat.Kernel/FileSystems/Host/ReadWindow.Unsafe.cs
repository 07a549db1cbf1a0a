using Moat.Host;
using Moat.Kernel.Memory;

namespace Moat.Kernel.FileSystems.Host;

/// <summary>
/// The sentry's own mapping of a host file that is read again and again in small pieces: what was read once through the descriptor, and
/// so is in the host's page cache, is copied from here without a host call. A page that the host dropped meanwhile faults and is read
/// again; bytes that somebody cut off are not copied, and the descriptor tells. Files that nobody in the sandbox writes.
/// </summary>
internal sealed unsafe class ReadWindow
{
    /// <summary>Longer reads go to the host: its call is a small part of them.</summary>
    public const ulong LongestRead = 64 << 10;

    /// <summary>Larger files are not mapped, bytes.</summary>
    private const long LargestFile = 1L << 32;

    private const int PageShift = 12, PROT_READ = 1, MAP_SHARED = 1;

    private readonly byte* _base;
    private readonly ulong _size;

    // A bit for each page that was read through the descriptor.
    private readonly uint[] _seen;

    private ReadWindow(byte* @base, ulong size)
    {
        _base = @base;
        _size = size;
        _seen = new uint[((size >> PageShift) / 32) + 1];
    }

    /// <summary>Maps a file; null when it is empty, too large, or the host refuses.</summary>
    public static ReadWindow? Open(int fd)
    {
        if (HostFiles.Stat(fd, out Statx stat) < 0 || stat.stx_size is 0 or > (ulong)LargestFile)
            return null;
        long address = HostSyscall.Mmap(null, stat.stx_size, PROT_READ, MAP_SHARED, fd, 0);
        return address is < 0 and >= -4095 ? null : new ReadWindow((byte*)address, stat.stx_size);
    }

    /// <summary>Unmaps; nobody reads any more.</summary>
    public void Close() => HostSyscall.Munmap(_base, _size);

    /// <summary>True when a read of this many bytes can be served from here.</summary>
    public bool Has(long offset, ulong length)
    {
        if (length > LongestRead || (ulong)offset >= _size || length > _size - (ulong)offset)
            return false;
        for (ulong page = (ulong)offset >> PageShift, last = ((ulong)offset + length - 1) >> PageShift; page <= last; page++)
        {
            if ((Volatile.Read(ref _seen[page / 32]) & (1u << (int)(page % 32))) == 0)
                return false;
        }
        return true;
    }

    /// <summary>Copies; fewer bytes than asked for when some faulted.</summary>
    public ulong Read(IoVector to, long offset, ulong length)
    {
        // The source may fault too: let every copy be a safe one.
        bool mayFault = to.MayFault;
        to.MayFault = true;
        // SAFETY: Has made sure that the range lies in the mapping; faults in it are caught by the safe copy.
        ulong copied = to.CopyFrom(_base + offset, length);
        to.MayFault = mayFault;
        return copied;
    }

    /// <summary>These bytes were read through the descriptor.</summary>
    public void Saw(long offset, long length)
    {
        // Only whole pages count: the rest of a page may lie beyond what was read.
        ulong first = ((ulong)offset + 4095) >> PageShift, end = (ulong)(offset + length) >> PageShift;
        if ((ulong)(offset + length) >= _size)
            end = (_size + 4095) >> PageShift;
        for (ulong page = first; page < end; page++)
        {
            ref uint word = ref _seen[page / 32];
            uint bit = 1u << (int)(page % 32);
            if ((word & bit) == 0)
                Interlocked.Or(ref word, bit);
        }
    }
}
