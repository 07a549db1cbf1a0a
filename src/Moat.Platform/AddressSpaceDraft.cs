using System.Runtime.InteropServices;
using Moat.Host;

namespace Moat.Platform;

/// <summary>
/// An address space that does not exist yet: it keeps the changes, for <see cref="AddressSpace.Replace"/> or <see cref="AddressSpace.CreateThread"/>
/// of a real one. No guest runs in it.
/// </summary>
public sealed class AddressSpaceDraft : AddressSpace
{
    private readonly List<MapChange> _changes = [];
    private readonly List<int> _files = [];
    private bool _disposed;

    /// <summary>Makes an empty one. <paramref name="vdso"/>: what the real one has.</summary>
    public AddressSpaceDraft(ulong vdso)
    {
        Vdso = vdso;
    }

    /// <inheritdoc/>
    public override ulong Vdso { get; }

    /// <summary>The changes, in order. The files that they map are open until the draft is disposed of.</summary>
    public ReadOnlySpan<MapChange> Changes => CollectionsMarshal.AsSpan(_changes);

    /// <inheritdoc/>
    public override int MapMemory(ulong address, ulong length, ulong fileOffset, MapAccess access)
        => Keep(new MapChange(MapChangeKind.MapMemory, address, length, fileOffset, access));

    /// <inheritdoc/>
    public override int MapHostFile(ulong address, ulong length, int hostFd, ulong fileOffset, MapAccess access, bool shared)
    {
        if (_disposed)
            return 0;
        // Whoever maps it may close it at once.
        int fd = HostFiles.Duplicate(hostFd);
        if (fd < 0)
            return fd;
        _files.Add(fd);
        return Keep(new MapChange(MapChangeKind.MapHostFile, address, length, fileOffset, access, fd, shared));
    }

    /// <inheritdoc/>
    public override int Unmap(ulong address, ulong length) => Keep(new MapChange(MapChangeKind.Unmap, address, length));

    /// <inheritdoc/>
    public override int Protect(ulong address, ulong length, MapAccess access)
        => Keep(new MapChange(MapChangeKind.Protect, address, length, 0, access));

    /// <inheritdoc/>
    public override int Populate(ulong address, ulong length, bool write) => 0;

    /// <inheritdoc/>
    public override int Barrier(bool core) => 0;

    /// <inheritdoc/>
    public override AddressSpace Fork() => throw new NotSupportedException();

    /// <inheritdoc/>
    public override GuestThread CreateThread(params ReadOnlySpan<MapChange> changes) => throw new NotSupportedException();

    /// <summary>Nothing: no guest runs here.</summary>
    public override void Kill()
    {
    }

    /// <summary>Forgets the changes and closes their files; from here on it keeps nothing. Idempotent.</summary>
    public override void Dispose()
    {
        _disposed = true;
        foreach (int fd in _files)
            HostSyscall.Close(fd);
        _files.Clear();
        _changes.Clear();
    }

    private int Keep(in MapChange change)
    {
        if (!_disposed)
            _changes.Add(change);
        return 0;
    }
}
