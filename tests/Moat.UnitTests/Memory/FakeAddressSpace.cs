using Moat.Abi;
using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Platform;

namespace Moat.UnitTests.Memory;

/// <summary>An address space that runs nothing and remembers, page by page, what is mapped.</summary>
internal sealed class FakeAddressSpace : AddressSpace
{
    private readonly Dictionary<ulong, Page> _pages = [];

    /// <summary>What is behind a page: the memory file or a host file.</summary>
    internal readonly record struct Page(int HostFd, ulong Offset, MapAccess Access, bool Shared);

    /// <summary>Host calls that change mappings so far.</summary>
    public int Calls { get; private set; }

    /// <summary>The call after this many fails with ENOMEM; negative: none.</summary>
    public int FailAfter { get; set; } = -1;

    public override ulong Vdso => 0;

    public IReadOnlyDictionary<ulong, Page> Pages => _pages;

    public override int MapMemory(ulong address, ulong length, ulong fileOffset, MapAccess access)
        => Map(address, length, -1, fileOffset, access, true);

    public override int MapHostFile(ulong address, ulong length, int hostFd, ulong fileOffset, MapAccess access, bool shared)
        => !shared && (access & MapAccess.Write) != 0 ? -(int)Errno.EINVAL : Map(address, length, hostFd, fileOffset, access, shared);

    public override int Unmap(ulong address, ulong length)
    {
        if (Fails())
            return -(int)Errno.ENOMEM;
        for (ulong at = address; at < address + length; at += 4096)
            _pages.Remove(at);
        return 0;
    }

    public override int Protect(ulong address, ulong length, MapAccess access)
    {
        if (Fails())
            return -(int)Errno.ENOMEM;
        for (ulong at = address; at < address + length; at += 4096)
        {
            if (!_pages.TryGetValue(at, out Page page))
                return -(int)Errno.ENOMEM;
            _pages[at] = page with { Access = access };
        }
        return 0;
    }

    public override int Barrier(bool core) => 0;

    public override int Populate(ulong address, ulong length, bool write) => 0;

    public override AddressSpace Fork()
    {
        FakeAddressSpace copy = new();
        foreach ((ulong address, Page page) in _pages)
            copy._pages.Add(address, page);
        return copy;
    }

    public override GuestThread CreateThread(params ReadOnlySpan<MapChange> changes) => throw new NotSupportedException();

    public override void Dispose() => _pages.Clear();

    private int Map(ulong address, ulong length, int fd, ulong offset, MapAccess access, bool shared)
    {
        if (((address | length | offset) & 4095) != 0 || length == 0)
            return -(int)Errno.EINVAL;
        // Every page is remembered: a host with little room for mappings.
        if (Fails() || length > 4UL << 30)
            return -(int)Errno.ENOMEM;
        for (ulong i = 0; i < length; i += 4096)
            _pages[address + i] = new Page(fd, offset + i, access, shared);
        return 0;
    }

    private bool Fails()
    {
        Calls++;
        return FailAfter >= 0 && FailAfter-- == 0;
    }
}

/// <summary>A memory manager over a fake address space.</summary>
internal sealed class MemoryFixture : IDisposable
{
    // Each takes 8 TiB of address space, so tests give it back.
    private readonly MemoryFile? _file;

    public MemoryFixture()
        : this(MemoryFile.Create())
    {
    }

    private MemoryFixture(MemoryFile file)
        : this(new FrameAllocator(file))
    {
        _file = file;
    }

    public MemoryFixture(FrameAllocator frames)
    {
        Frames = frames;
        Mm = new MemoryManager(frames, Space, 0x10000, 0x6fff_0000_0000);
    }

    public FrameAllocator Frames { get; }

    public FakeAddressSpace Space { get; } = new();

    public MemoryManager Mm { get; }

    public void Dispose() => _file?.Dispose();

    /// <summary>Maps anonymous private memory.</summary>
    public ulong Map(ulong length, MapAccess access = MapAccess.Read | MapAccess.Write, ulong at = 0, VmaFlags flags = VmaFlags.None)
    {
        SysAssert(Mm.Map(new MapRequest
        {
            Address = at,
            Fixed = at != 0,
            Length = length,
            Access = access,
            MaxAccess = MapRequest.All,
            Flags = flags,
        }), out ulong address);
        return address;
    }

    /// <summary>Maps a file.</summary>
    public Moat.Kernel.SysResult MapFile(
        IMappable file, ulong length, MapAccess access, ulong at = 0, VmaFlags flags = VmaFlags.None, ulong offset = 0)
        => Mm.Map(new MapRequest
        {
            Address = at,
            Fixed = at != 0,
            Length = length,
            Access = access,
            MaxAccess = MapRequest.All,
            Flags = flags,
            File = file,
            FileOffset = offset,
        });

    private static void SysAssert(Moat.Kernel.SysResult result, out ulong address)
    {
        Xunit.Assert.False(result.IsError, result.Error.ToString());
        address = (ulong)result.Value;
    }
}
