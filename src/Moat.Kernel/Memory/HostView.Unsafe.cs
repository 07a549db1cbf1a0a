using Moat.Host;

namespace Moat.Kernel.Memory;

/// <summary>
/// The sentry's own mapping of a piece of a host file that a guest maps. Shared by the mappings that one split made, by pins and by
/// calls in progress; the last reference unmaps it. Its bytes may fault: only SafeCopy and host calls touch them.
/// </summary>
internal sealed unsafe class HostView
{
    private readonly byte* _address;
    private readonly ulong _length;
    private int _references = 1;

    private HostView(byte* address, ulong offset, ulong length, bool writable)
    {
        _address = address;
        Offset = offset;
        _length = length;
        Writable = writable;
    }

    /// <summary>Host-file offset of the first byte.</summary>
    public ulong Offset { get; }

    /// <summary>Bytes mapped.</summary>
    public ulong Length => _length;

    /// <summary>True when it may be written through.</summary>
    public bool Writable { get; }

    /// <summary>Maps a piece of a host file; null when the host refuses.</summary>
    public static HostView? Create(int fd, ulong offset, ulong length, bool writable)
    {
        long address = HostMapping.MapFile(fd, offset, length, writable);
        return address is < 0 and > -4096 ? null : new HostView((byte*)address, offset, length, writable);
    }

    /// <summary>Where the byte at a host-file offset within the view is.</summary>
    public byte* Pointer(ulong offset) => _address + (offset - Offset); // SAFETY: callers keep to the view's range.

    /// <summary>Takes a reference; the caller holds one or excludes its release.</summary>
    public void AddReference() => Interlocked.Increment(ref _references);

    /// <summary>Gives a reference back.</summary>
    public void DropReference()
    {
        if (Interlocked.Decrement(ref _references) == 0)
            HostMapping.Unmap((long)_address, _length);
    }
}
