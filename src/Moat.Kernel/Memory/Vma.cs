using Moat.Platform;

namespace Moat.Kernel.Memory;

/// <summary>What is behind a mapping.</summary>
internal enum VmaKind
{
    /// <summary>Nothing yet, and nothing in the guest: inaccessible, or a file piece that cannot be mapped now (beyond its end).</summary>
    Reserved,

    /// <summary>Memory-file bytes that the mapping owns: anonymous private memory and private copies of file pages.</summary>
    Frames,

    /// <summary>Memory-file bytes that <see cref="Vma.File"/> owns: shared, or private and not yet written.</summary>
    FileMemory,

    /// <summary>Bytes of a host file, mapped in the guest directly: shared, or private and not yet written.</summary>
    HostFile,
}

/// <summary>Properties of a mapping beside its access.</summary>
[Flags]
internal enum VmaFlags
{
    None = 0,

    /// <summary>MAP_SHARED.</summary>
    Shared = 1,

    /// <summary>MAP_GROWSDOWN; the main stack.</summary>
    GrowsDown = 2,

    /// <summary>mlock(2).</summary>
    Locked = 4,

    /// <summary>MADV_DONTFORK.</summary>
    DontFork = 8,

    /// <summary>MADV_WIPEONFORK.</summary>
    WipeOnFork = 0x10,

    /// <summary>MADV_DONTDUMP.</summary>
    DontDump = 0x20,

    /// <summary>MAP_NORESERVE.</summary>
    NoReserve = 0x40,

    /// <summary>The brk(2) area: [heap].</summary>
    Heap = 0x80,

    /// <summary>The main thread's stack: [stack].</summary>
    Stack = 0x100,

    /// <summary>A guard region (MADV_GUARD_INSTALL): touching it is SIGSEGV, whatever its access. Always reserved.</summary>
    Guard = 0x200,

    /// <summary>mseal(2): the mapping stays as it is.</summary>
    Sealed = 0x400,
}

/// <summary>
/// One mapping: an address range with one kind of backing and one access. Changed only under the write lock. A file mapping may be
/// several of these, one for each contiguous piece.
/// </summary>
internal sealed class Vma
{
    public ulong Start, End;
    public MapAccess Access;

    /// <summary>What mprotect(2) may give: a shared mapping of a file opened read-only is never writable.</summary>
    public MapAccess MaxAccess;
    public VmaFlags Flags;
    public VmaKind Kind;

    /// <summary>Memory-file offset of <see cref="Start"/>, or host-file offset.</summary>
    public ulong Offset;

    /// <summary>Host descriptor of <see cref="VmaKind.HostFile"/>; alive while the mapping is registered with the file.</summary>
    public int HostFd;

    /// <summary>What is mapped; null: anonymous private memory. Registered by AddMapping for the whole range.</summary>
    public IMappable? File;

    /// <summary>Offset of <see cref="Start"/> in <see cref="File"/>.</summary>
    public ulong FileOffset;

    /// <summary>The sentry's own mapping of <see cref="VmaKind.HostFile"/> bytes, made at the first translation. Counted.</summary>
    public HostView? View;

    /// <summary>Next in the pool of unused ones.</summary>
    public Vma? Next;

    public ulong Length => End - Start;

    public bool IsShared => (Flags & VmaFlags.Shared) != 0;

    public bool IsSpecial => File is { IsSpecial: true };

    /// <summary>Of these flags those that the mapping can have: a special one is never locked.</summary>
    public VmaFlags Permit(VmaFlags flags) => IsSpecial ? flags & ~VmaFlags.Locked : flags;

    /// <summary>
    /// The frames may be those of a process before or after a fork too: no write access in the guest. A write makes a copy, or finds
    /// that nobody else is left.
    /// </summary>
    public bool SharesFrames;

    /// <summary>
    /// Private pages that a write has to copy first, without write access in the guest: a file's own, or those of another process too.
    /// </summary>
    public bool IsBorrowed => SharesFrames || (Kind is VmaKind.HostFile or VmaKind.FileMemory && !IsShared);

    public bool IsGuard => (Flags & VmaFlags.Guard) != 0;

    /// <summary>True when <paramref name="upper"/> continues this one in every respect.</summary>
    public bool CanMerge(Vma upper)
        => End == upper.Start && Access == upper.Access && MaxAccess == upper.MaxAccess && Flags == upper.Flags && Kind == upper.Kind && SharesFrames == upper.SharesFrames
            && ReferenceEquals(File, upper.File) && (File is null || FileOffset + Length == upper.FileOffset)
            && (Kind == VmaKind.Reserved || Offset + Length == upper.Offset) && (Kind != VmaKind.HostFile || HostFd == upper.HostFd);

    /// <summary>True when both look like one mapping in /proc/self/maps, whatever is behind them.</summary>
    public bool LooksLikeOne(Vma upper)
        => End == upper.Start && Access == upper.Access && ((Flags ^ upper.Flags) & ~VmaFlags.Guard) == 0 && ReferenceEquals(File, upper.File)
            && (File is null || FileOffset + Length == upper.FileOffset);
}
