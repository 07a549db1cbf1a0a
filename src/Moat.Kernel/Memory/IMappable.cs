namespace Moat.Kernel.Memory;

/// <summary>A piece of what a file mapping shows: memory-file bytes or bytes of a host file. Page-aligned.</summary>
internal readonly struct Backing
{
    /// <summary>Host descriptor whose bytes are mapped, or -1: memory-file bytes.</summary>
    public int HostFd { get; init; }

    /// <summary>Offset in the memory file or the host file, bytes.</summary>
    public ulong Offset { get; init; }

    /// <summary>Bytes from there on, at most what was asked for.</summary>
    public ulong Length { get; init; }
}

/// <summary>Something mmap(2) can map: a host file, an in-memory file, the zones of an io_uring.</summary>
internal interface IMappable
{
    /// <summary>
    /// Resolves the longest piece at <paramref name="offset"/> up to <paramref name="length"/> bytes for a MAP_SHARED mapping
    /// (or a private one that nobody writes). Memory-file pieces stay valid until <see cref="RemoveMapping"/> for the same range.
    /// Errors: ENXIO beyond what can be mapped, EINVAL, ENOMEM, EACCES.
    /// </summary>
    Errno Resolve(ulong offset, ulong length, out Backing backing);

    /// <summary>
    /// Looks at a mapping that mmap(2) is about to make, and may change where in the file it begins. Whatever is not OK is what
    /// the call answers.
    /// </summary>
    Errno CheckMapping(ref MapRequest request) => Errno.OK;

    /// <summary>A mapping of a range begins; keeps the object and those pages alive.</summary>
    void AddMapping(ulong offset, ulong length);

    /// <summary>A mapping of a range ends (unmap, exit, replaced). Ranges may be parts of added ones.</summary>
    void RemoveMapping(ulong offset, ulong length);

    /// <summary>Who maps the file, for a file in memory that can shrink; null: it cannot, or the host sees to it.</summary>
    FileMappers? Mappers => null;

    /// <summary>
    /// True for memory that is no page of a file: advice that looks for pages, and locking, find none (VM_MIXEDMAP, VM_DONTEXPAND).
    /// </summary>
    bool IsSpecial => false;

    /// <summary>
    /// Changed pages are written back to a disk: the file system has to be told, so that nobody may pin them for long where a shared mapping writes them.
    /// </summary>
    bool IsWrittenBack => false;

    /// <summary>What /proc/self/maps tells of an offset.</summary>
    ulong ShownOffset(ulong offset) => offset;

    /// <summary>Name for /proc/self/maps; device and inode numbers.</summary>
    string MapName { get; }

    ulong MapDevice { get; }

    ulong MapInode { get; }
}
