using Moat.Abi;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Platform;
using Xunit;

namespace Moat.UnitTests.Memory;

public sealed class HostFileMappingTests
{
    private const ulong Page = 4096;
    private const MapAccess RW = MapAccess.Read | MapAccess.Write;

    private static byte[] Pattern(int length)
    {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++)
            bytes[i] = (byte)(1 + (i % 251));
        return bytes;
    }

    private static byte[] Read(MemoryFixture f, ulong address, int length)
    {
        byte[] bytes = new byte[length];
        Assert.Equal(Errno.OK, f.Mm.CopyIn(new UserPtr(address), bytes));
        return bytes;
    }

    [Fact]
    public void SharedMappingsAreTheFile()
    {
        using MemoryFixture f = new();
        using HostFile file = new(Pattern(10000));
        ulong at = (ulong)f.MapFile(file, 3 * Page, RW, flags: VmaFlags.Shared).Value;
        Assert.Equal(Pattern(10000), Read(f, at, 10000));
        Assert.Equal(Errno.OK, f.Mm.CopyOut(new UserPtr(at + 4090), "across"u8));
        Assert.Equal("across"u8.ToArray(), file.Content[4090..4096]);
        Assert.Equal(Errno.OK, f.Mm.Sync(at, at + (3 * Page), wait: true, invalidate: false));
        Assert.Equal(Errno.OK, f.Mm.CompareExchange32(new UserPtr(at + 8), BitConverter.ToUInt32(Pattern(20), 8), 7, out _));
        Assert.Equal(7, file.Content[8]);
        Assert.True(f.Mm.TryGetFutexKey(new UserPtr(at + Page), true, out FutexKey key));
        ulong other = (ulong)f.MapFile(file, Page, MapAccess.Read, flags: VmaFlags.Shared, offset: Page).Value;
        Assert.True(f.Mm.TryGetFutexKey(new UserPtr(other), true, out FutexKey same));
        Assert.Equal(key, same);
        f.Mm.DropUser();
        Assert.Equal(0, file.Mapped);
    }

    /// <summary>What somebody cut off is EFAULT, not the end of the sentry.</summary>
    [Fact]
    public void TruncatedFilesAreEfault()
    {
        using MemoryFixture f = new();
        using HostFile file = new(Pattern(3 * (int)Page));
        ulong at = (ulong)f.MapFile(file, 3 * Page, RW, flags: VmaFlags.Shared).Value;
        Read(f, at, 3 * (int)Page);
        using PinnedRange pin = new();
        Assert.Equal(Errno.OK, f.Mm.Pin(new UserPtr(at + 5), 2 * Page, RW, pin));
        file.SetLength(100);
        Assert.Equal(Errno.EFAULT, f.Mm.CopyIn(new UserPtr(at), new byte[2 * Page]));
        Assert.Equal(Errno.EFAULT, f.Mm.CopyOut(new UserPtr(at + Page), new byte[10]));
        Assert.Equal(Errno.EFAULT, f.Mm.Load32(new UserPtr(at + Page), out _));
        Assert.Equal(Errno.EFAULT, f.Mm.CompareExchange32(new UserPtr(at + Page), 0, 1, out _));
        Read(f, at, 100);
        using IoVector vector = new();
        Assert.Equal(2 * Page, pin.AddTo(vector, 0, 10 * Page));
        Assert.True(vector.MayFault);
        Assert.Equal(Page - 5, (ulong)vector.CopyTo(new byte[2 * Page]));
    }

    [Fact]
    public void PinsOutliveTheMappingOfAFile()
    {
        using MemoryFixture f = new();
        using HostFile file = new(Pattern(2 * (int)Page));
        ulong at = (ulong)f.MapFile(file, 2 * Page, RW, flags: VmaFlags.Shared).Value;
        using PinnedRange pin = new();
        Assert.Equal(Errno.OK, f.Mm.Pin(new UserPtr(at + Page), 16, RW, pin));
        Assert.Equal(Errno.OK, f.Mm.Unmap(at, 2 * Page));
        Assert.Equal(0, file.Mapped);
        using IoVector vector = new();
        pin.AddTo(vector, 0, 16);
        Assert.Equal(6, vector.CopyFrom("pinned"u8));
        Assert.Equal("pinned"u8.ToArray(), file.Content[(int)Page..((int)Page + 6)]);
    }

    [Fact]
    public void PrivateWritableMappingsAreCopiedPageByPage()
    {
        using MemoryFixture f = new();
        using HostFile file = new(Pattern(5000));
        ulong at = (ulong)f.MapFile(file, 4 * Page, RW).Value;
        Assert.Equal(0UL, f.Frames.Charged);
        byte[] seen = Read(f, at, 2 * (int)Page);
        Assert.Equal(Pattern(5000), seen[..5000]);
        Assert.Equal(-1, seen.AsSpan(5000).IndexOfAnyExcept((byte)0));
        Assert.Equal(Errno.OK, f.Mm.CopyOut(new UserPtr(at), "mine"u8));
        Assert.Equal(Page, f.Frames.Charged);
        Assert.Equal(Pattern(5000), file.Content);
        Assert.Equal(Errno.EFAULT, f.Mm.CopyIn(new UserPtr(at + (2 * Page)), new byte[1]));
        GuestFault touch = new() { Signal = 11, Code = 1, Address = at + (2 * Page) + 7, TrapNumber = 14, ErrorCode = 6 };
        FaultOutcome beyond = f.Mm.HandleFault(touch);
        Assert.Equal((7, 2), (beyond.Signal, beyond.Code));
        // The file grew: what was beyond its end is there when touched.
        file.SetLength(3 * (long)Page);
        Assert.True(f.Mm.HandleFault(touch).Resume);
        Assert.Equal(0, Read(f, at + (2 * Page), 1)[0]);
        Assert.Equal("mine"u8.ToArray(), Read(f, at, 4));
        Assert.Equal(Errno.OK, f.Mm.DontNeed(at, at + Page, locked: false));
        Assert.Equal(Pattern(4), Read(f, at, 4));
        f.Mm.DropUser();
        Assert.Equal(0UL, f.Frames.Charged);
        Assert.Equal(0, file.Mapped);
    }

    [Fact]
    public void PrivateReadOnlyMappingsAreTheFileUntilWritable()
    {
        using MemoryFixture f = new();
        using HostFile file = new(Pattern(4 * (int)Page));
        ulong at = (ulong)f.MapFile(file, 4 * Page, MapAccess.Read).Value;
        Assert.Equal(0UL, f.Frames.Charged);
        Assert.All(f.Space.Pages.Values, p => Assert.True(p.HostFd >= 0 && !p.Shared));
        Assert.Equal(Errno.OK, f.Mm.Protect(at + Page, 2 * Page, RW));
        Assert.Equal(0UL, f.Frames.Charged);
        Assert.Equal(Pattern(4 * (int)Page), Read(f, at, 4 * (int)Page));
        Assert.Equal(Errno.OK, f.Mm.CopyOut(new UserPtr(at + Page), "text"u8));
        Assert.Equal(Errno.EFAULT, f.Mm.CopyOut(new UserPtr(at), "text"u8));
        Assert.Equal(Pattern(4 * (int)Page), file.Content);
        Assert.Equal(Errno.OK, f.Mm.Protect(at, 4 * Page, MapAccess.Read));
        System.Text.StringBuilder maps = new();
        f.Mm.WriteMaps(maps);
        Assert.Equal($"{at:x8}-{at + (4 * Page):x8} r--p 00000000 08:01 99                         /host\n", maps.ToString());
        Assert.Equal(at + 0x100000, (ulong)f.Mm.Remap(at, 4 * Page, 4 * Page, RemapFlags.MREMAP_MAYMOVE | RemapFlags.MREMAP_FIXED, at + 0x100000).Value);
        Assert.Equal("text"u8.ToArray(), Read(f, at + 0x100000 + Page, 4));
        Assert.Equal(4 * (long)Page, file.Mapped);
    }

    [Fact]
    public void ResidencyTellsTouchedPages()
    {
        using MemoryFixture f = new();
        ulong at = f.Map(4 * Page);
        Assert.Equal(Errno.OK, f.Mm.CopyOut(new UserPtr(at + Page), "x"u8));
        byte[] pages = new byte[4];
        Assert.Equal(Errno.OK, f.Mm.GetResidency(at, pages));
        Assert.Equal(new byte[] { 0, 1, 0, 0 }, pages.Select(p => (byte)(p & 1)));
        Assert.Equal(Errno.ENOMEM, f.Mm.GetResidency(at, new byte[5]));
        Assert.Equal(Page, f.Mm.GetUsage().Resident);
    }
}
