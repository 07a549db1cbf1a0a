using Moat.Host;
using Moat.Kernel.Memory;

namespace Moat.Kernel.FileSystems.Host;

/// <summary>
/// What O_DIRECT asks of a read (open(2)), for files that nobody in the sandbox writes. Their data comes from the host's page cache, which
/// serves many at once and without waiting; all that a guest sees of O_DIRECT there is which places and lengths are refused.
/// </summary>
internal sealed class DirectRules
{
    private readonly ulong _memory, _offset;

    private DirectRules(uint memory, uint offset)
    {
        _memory = memory - 1;
        _offset = offset - 1;
    }

    /// <summary>
    /// The rules of a host descriptor that has O_DIRECT, which is taken from it; null when the host does not tell them, and the descriptor
    /// stays as it is.
    /// </summary>
    public static DirectRules? Take(int fd)
    {
        int now = HostFiles.GetFlags(fd);
        if (now < 0 || HostFiles.Stat(fd, out Statx stat) < 0 || stat.stx_dio_mem_align == 0 || stat.stx_dio_offset_align == 0)
            return null;
        return HostFiles.SetFlags(fd, now & ~(int)OpenFlags.O_DIRECT) < 0 ? null : new DirectRules(stat.stx_dio_mem_align, stat.stx_dio_offset_align);
    }

    /// <summary>True when place, length and memory are aligned as the disk needs them.</summary>
    public bool Allows(IoVector to, long offset)
        => (((ulong)offset | to.Remaining) & _offset) == 0 && (to.GetAlignment() & _memory) == 0;

    /// <summary>An unaligned read is refused unless it begins at the end of the file or beyond.</summary>
    public bool Refuses(int fd, long offset) => HostFiles.Stat(fd, out Statx stat) >= 0 && (ulong)offset < stat.stx_size;
}
