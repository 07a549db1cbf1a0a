using System.Text;
using Moat.Abi;
using Moat.Host;
using Moat.Kernel;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Platform;
using Xunit;

namespace Moat.UnitTests.Memory;

public sealed class MemoryManagerTests
{
    private const ulong Page = 4096;
    private const MapAccess RW = MapAccess.Read | MapAccess.Write;

    /// <summary>Random calls against a model with one byte a page; the guest's pages must be what the model says.</summary>
    [Theory]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(33)]
    public void AgreesWithANaiveModel(int seed)
    {
        Random random = new(seed);
        using MemoryFixture f = new();
        AddressModel model = new(f, random);
        for (int step = 0; step < 1500; step++)
            model.Step(step);
        f.Mm.DropUser();
        Assert.Equal(0UL, f.Frames.Charged);
    }

    [Fact]
    public void NeighboursMergeInEveryDirection()
    {
        using MemoryFixture f = new();
        ulong top = f.Map(4 * Page);
        ulong next = f.Map(4 * Page);
        Assert.Equal(top - (4 * Page), next);
        Assert.Equal(Errno.OK, f.Mm.Unmap(next, 2 * Page));
        Assert.Equal(next, f.Map(2 * Page));
        Assert.Equal(Errno.OK, f.Mm.Protect(next + Page, Page, MapAccess.Read));
        Assert.Equal(Errno.OK, f.Mm.Protect(next + Page, Page, RW));
        StringBuilder maps = new();
        f.Mm.WriteMaps(maps);
        Assert.Equal($"{next:x8}-{top + (4 * Page):x8} rw-p 00000000 00:00 0 \n", maps.ToString());
        Assert.Single(f.Space.Pages.Select(p => p.Value.Offset - p.Key).Distinct());
    }

    [Fact]
    public void CopiesStopAtInaccessiblePages()
    {
        using MemoryFixture f = new();
        ulong at = f.Map(3 * Page);
        Assert.Equal(Errno.OK, f.Mm.Protect(at + (2 * Page), Page, MapAccess.None));
        byte[] data = new byte[2 * Page];
        Random.Shared.NextBytes(data);
        Assert.Equal(Errno.OK, f.Mm.CopyOut(new UserPtr(at), data));
        byte[] back = new byte[2 * Page];
        Assert.Equal(Errno.OK, f.Mm.CopyIn(new UserPtr(at), back));
        Assert.Equal(data, back);
        Assert.Equal(Errno.EFAULT, f.Mm.CopyIn(new UserPtr(at + 1), back));
        Assert.Equal(Errno.EFAULT, f.Mm.CopyOut(new UserPtr(ulong.MaxValue - 100), back));
        Assert.Equal(Errno.OK, f.Mm.Protect(at, Page, MapAccess.Read));
        Assert.Equal(Errno.EFAULT, f.Mm.Write(new UserPtr<int>(at), 1));
        Assert.Equal(Errno.OK, f.Mm.Read(new UserPtr<int>(at), out int _));
        using IoVector vector = new();
        f.Mm.BeginAccess();
        Assert.Equal((2 * Page) - 5, f.Mm.Translate(new UserPtr(at + 5), 10 * Page, MapAccess.Read, vector));
        f.Mm.EndAccess();
        Assert.Equal(1, vector.Count);
    }

    [Fact]
    public void StringsEndAtNul()
    {
        using MemoryFixture f = new();
        ulong at = f.Map(2 * Page);
        byte[] text = Encoding.Latin1.GetBytes(new string('x', 300) + "\0");
        Assert.Equal(Errno.OK, f.Mm.CopyOut(new UserPtr(at + Page - 150), text));
        byte[] buffer = new byte[400];
        Assert.Equal(300, f.Mm.CopyInString(new UserPtr(at + Page - 150), buffer).Value);
        Assert.Equal(Errno.ENAMETOOLONG, f.Mm.CopyInString(new UserPtr(at + Page - 150), buffer.AsSpan(0, 300)).Error);
        // The last bytes before an unmapped page.
        Assert.Equal(Errno.OK, f.Mm.CopyOut(new UserPtr(at + (2 * Page) - 4), "abc\0"u8));
        Assert.Equal(3, f.Mm.CopyInString(new UserPtr(at + (2 * Page) - 4), buffer).Value);
        Assert.Equal(Errno.OK, f.Mm.CopyOut(new UserPtr(at + (2 * Page) - 4), "abcd"u8));
        Assert.Equal(Errno.EFAULT, f.Mm.CopyInString(new UserPtr(at + (2 * Page) - 4), buffer).Error);
    }

    [Fact]
    public void VectorsAreCheckedAndCapped()
    {
        using MemoryFixture f = new();
        ulong data = f.Map(Page), table = f.Map(8 * Page);
        using IoVector into = new();
        void Entry(int i, ulong start, ulong length)
        {
            Assert.Equal(Errno.OK, f.Mm.Write(new UserPtr<ulong>(table + ((ulong)i * 16)), start));
            Assert.Equal(Errno.OK, f.Mm.Write(new UserPtr<ulong>(table + ((ulong)i * 16) + 8), length));
        }
        Errno Run(int count)
        {
            into.Clear();
            f.Mm.BeginAccess();
            Errno error = f.Mm.TranslateVector(new UserPtr(table), count, MapAccess.Read, into, out _);
            f.Mm.EndAccess();
            return error;
        }
        for (int i = 0; i < 1024; i++)
            Entry(i, data + (ulong)i, 1);
        Assert.Equal(Errno.OK, Run(1024));
        Assert.Equal(1024UL, into.Remaining);
        Assert.Equal(Errno.EINVAL, Run(1025));
        Assert.Equal(Errno.EINVAL, Run(-1));
        Assert.Equal(Errno.OK, Run(0));
        Entry(100, 0, 1);
        Assert.Equal(Errno.OK, Run(1024));
        Assert.Equal(100UL, into.Remaining);
        Entry(1000, data, ulong.MaxValue);
        Assert.Equal(Errno.EINVAL, Run(1024));
        Assert.Equal(0UL, into.Remaining);
        // Nothing of it is there, but it could be.
        Entry(0, 0x20000, 1);
        Assert.Equal(Errno.OK, Run(1));
        Assert.Equal(0UL, into.Remaining);
        Entry(0, 0xffff800000000000, 0);
        Assert.Equal(Errno.EFAULT, Run(1));
        Assert.Equal(Errno.EFAULT, f.Mm.TranslateVector(new UserPtr(16), 1, MapAccess.Read, into, out _));
        // Three whole-memory entries: MAX_RW_COUNT in all.
        ulong big = f.Map(3UL << 30, MapAccess.Read);
        Entry(0, big, 1UL << 30);
        Entry(1, big + (1UL << 30), 2UL << 30);
        Assert.Equal(Errno.OK, Run(2));
        Assert.Equal(MemoryManager.MAX_RW_COUNT, into.Remaining);
    }

    [Fact]
    public void PinnedMemoryOutlivesTheMapping()
    {
        using MemoryFixture f = new();
        ulong at = f.Map(4 * Page);
        Assert.Equal(Errno.OK, f.Mm.CopyOut(new UserPtr(at + 100), "pinned"u8));
        using PinnedRange pin = new();
        Assert.Equal(Errno.EFAULT, f.Mm.Pin(new UserPtr(at), 5 * Page, RW, pin));
        Assert.Equal(0UL, pin.Length);
        Assert.Equal(Errno.OK, f.Mm.Pin(new UserPtr(at + 100), Page, RW, pin));
        Assert.Equal(Errno.OK, f.Mm.Unmap(at, 4 * Page));
        Assert.Equal(2 * Page, f.Frames.Charged);
        ulong other = f.Map(4 * Page);
        using IoVector vector = new();
        Assert.Equal(6UL, pin.AddTo(vector, 0, 6));
        byte[] text = new byte[6];
        Assert.Equal(6, vector.CopyTo(text));
        Assert.Equal("pinned"u8.ToArray(), text);
        Assert.Equal(0UL, pin.AddTo(vector, Page, 1));
        // New memory at the same place is not the pinned one.
        Assert.Equal(at, other);
        byte[] fresh = new byte[6];
        Assert.Equal(Errno.OK, f.Mm.CopyIn(new UserPtr(other + 100), fresh));
        Assert.Equal(new byte[6], fresh);
        pin.Unpin();
        Assert.Equal(4 * Page, f.Frames.Charged);
    }

    [Fact]
    public void DontNeedGivesNewFramesWherePinned()
    {
        using MemoryFixture f = new();
        ulong at = f.Map(2 * Page);
        Assert.Equal(Errno.OK, f.Mm.Write(new UserPtr<int>(at), 5));
        using PinnedRange pin = new();
        Assert.Equal(Errno.OK, f.Mm.Pin(new UserPtr(at), 4, RW, pin));
        Assert.Equal(Errno.OK, f.Mm.DontNeed(at, at + (2 * Page), locked: false));
        Assert.Equal(Errno.OK, f.Mm.Read(new UserPtr<int>(at), out int value));
        Assert.Equal(0, value);
        using IoVector vector = new();
        pin.AddTo(vector, 0, 4);
        byte[] held = new byte[4];
        vector.CopyTo(held);
        Assert.Equal(new byte[] { 5, 0, 0, 0 }, held);
    }

    [Fact]
    public void AtomicsAndFutexKeys()
    {
        using MemoryFixture f = new();
        ulong at = f.Map(Page);
        Assert.Equal(Errno.OK, f.Mm.CompareExchange32(new UserPtr(at), 0, 9, out uint seen));
        Assert.Equal(0u, seen);
        Assert.Equal(Errno.OK, f.Mm.CompareExchange32(new UserPtr(at), 0, 7, out seen));
        Assert.Equal(9u, seen);
        Assert.Equal(Errno.OK, f.Mm.Load32(new UserPtr(at), out seen));
        Assert.Equal(9u, seen);
        Assert.Equal(Errno.EINVAL, f.Mm.Load32(new UserPtr(at + 1), out _));
        Assert.Equal(Errno.EFAULT, f.Mm.Load32(new UserPtr(at + Page), out _));

        using MemoryFixture other = new(f.Frames);
        Assert.Equal(Errno.OK, AnonymousShared.Create(f.Frames, 2 * Page, FrameAllocator.NoHint, out AnonymousShared? shared));
        ulong here = (ulong)f.MapFile(shared!, 2 * Page, RW, flags: VmaFlags.Shared).Value;
        ulong there = (ulong)other.MapFile(shared!, Page, RW, flags: VmaFlags.Shared, offset: Page).Value;
        Assert.True(f.Mm.TryGetFutexKey(new UserPtr(here + Page + 8), true, out FutexKey a));
        Assert.True(other.Mm.TryGetFutexKey(new UserPtr(there + 8), true, out FutexKey b));
        Assert.Equal(a, b);
        Assert.True(f.Mm.TryGetFutexKey(new UserPtr(here + Page + 8), false, out FutexKey c));
        Assert.NotEqual(a, c);
        Assert.False(f.Mm.TryGetFutexKey(new UserPtr(0x20000), true, out _));
        f.Mm.DropUser();
        other.Mm.DropUser();
        Assert.Equal(0UL, f.Frames.Charged);
    }

    [Fact]
    public void ReservationsAreFreeUntilAccessible()
    {
        using MemoryFixture f = new();
        f.Frames.Limit = 64 * Page;
        ulong at = f.Map(1UL << 40, MapAccess.None);
        Assert.Equal(0UL, f.Frames.Charged);
        Assert.Equal(Errno.OK, f.Mm.Protect(at + (8 * Page), 60 * Page, RW));
        Assert.Equal(60 * Page, f.Frames.Charged);
        for (ulong page = 8; page < 68; page++)
            Assert.Equal(Errno.OK, f.Mm.Write(new UserPtr<int>(at + (page * Page)), 1));
        Assert.Equal(Errno.ENOMEM, f.Mm.Protect(at, 8 * Page, RW));
        Assert.Equal(Errno.OK, f.Mm.Write(new UserPtr<int>(at + (8 * Page)), 3));
        Assert.Equal(Errno.OK, f.Mm.Protect(at + (8 * Page), 60 * Page, MapAccess.None));
        Assert.Equal(Errno.EFAULT, f.Mm.Read(new UserPtr<int>(at + (8 * Page)), out int value));
        Assert.Equal(Errno.OK, f.Mm.Protect(at + (8 * Page), Page, MapAccess.Read));
        Assert.Equal(Errno.OK, f.Mm.Read(new UserPtr<int>(at + (8 * Page)), out value));
        Assert.Equal(3, value);
    }

    [Fact]
    public void AHostThatRefusesLeavesNothingBehind()
    {
        for (int calls = 0; calls < 6; calls++)
        {
            using MemoryFixture f = new();
            ulong at = f.Map(8 * Page);
            f.Space.FailAfter = calls;
            f.Mm.Protect(at, Page, MapAccess.Read);
            f.Mm.Unmap(at + (2 * Page), Page);
            f.Mm.Remap(at + (4 * Page), 2 * Page, 9 * Page, RemapFlags.MREMAP_MAYMOVE, 0);
            f.Space.FailAfter = -1;
            foreach ((ulong page, FakeAddressSpace.Page behind) in f.Space.Pages)
            {
                MapAccess access = (behind.Access & MapAccess.Write) != 0 ? RW : MapAccess.Read;
                Assert.NotEqual(Errno.EFAULT, access == RW ? f.Mm.Write(new UserPtr<int>(page), 1) : f.Mm.Read(new UserPtr<int>(page), out int _));
            }
            f.Mm.DropUser();
            Assert.Equal(0UL, f.Frames.Charged);
        }
    }

    [Fact]
    public void FaultsSayWhatLinuxSays()
    {
        using MemoryFixture f = new();
        ulong at = f.Map(2 * Page, MapAccess.Read);
        ulong none = f.Map(Page, MapAccess.None, at - (4 * Page));
        (bool Resume, int Signal, int Code) Fault(ulong address, ulong error)
        {
            FaultOutcome o = f.Mm.HandleFault(new GuestFault { Signal = 11, Code = 1, Address = address, TrapNumber = 14, ErrorCode = error });
            return (o.Resume, o.Signal, o.Code);
        }
        Assert.Equal((false, 11, 1), Fault(0x5000_0000, 4));
        Assert.Equal((false, 11, 2), Fault(at + 5, 6));
        Assert.Equal((false, 11, 2), Fault(none, 4));
        Assert.Equal((false, 11, 2), Fault(at, 0x14));
        Assert.Equal((true, 0, 0), Fault(at, 4));
        Assert.Equal(Errno.OK, f.Mm.InstallGuard(at, at + Page));
        Assert.Equal((false, 11, 1), Fault(at, 4));
        Assert.Equal(Errno.OK, f.Mm.RemoveGuard(at, at + Page));
        Assert.Equal((true, 0, 0), Fault(at, 4));
        FaultOutcome general = f.Mm.HandleFault(new GuestFault { Signal = 11, Code = 128, TrapNumber = 13 });
        Assert.Equal((11, 128, 0UL), (general.Signal, general.Code, general.Address));
    }

    [Fact]
    public void StacksGrowWhenTouchedUpToTheLimitAndTheGap()
    {
        using MemoryFixture f = new();
        ulong stack = f.Map(4 * Page, at: 0x40000000, flags: VmaFlags.GrowsDown);
        bool Touch(ulong address)
            => f.Mm.HandleFault(new GuestFault { Signal = 11, Code = 1, Address = address, TrapNumber = 14, ErrorCode = 6 }).Resume;
        Assert.True(Touch(stack - 8));
        Assert.Equal(Errno.OK, f.Mm.Write(new UserPtr<int>(stack - 8), 1));
        Assert.True(Touch(stack - (10 * Page)));
        Assert.False(Touch(stack - (8 << 20)));
        f.Map(Page, at: stack - (300 * Page));
        Assert.True(Touch(stack - (40 * Page)));
        Assert.False(Touch(stack - (100 * Page)));
        Assert.Equal(0x2000_0000UL, (ulong)f.Mm.Map(new MapRequest { Address = 0x2000_0000, Length = Page, Access = RW, MaxAccess = MapRequest.All }).Value);
    }

    [Fact]
    public void TheBreakMovesByBytes()
    {
        using MemoryFixture f = new();
        f.Mm.SetBreakStart(0x500000);
        Assert.Equal(0x500000UL, f.Mm.SetBreak(0));
        Assert.Equal(0x500123UL, f.Mm.SetBreak(0x500123));
        Assert.Equal(Errno.OK, f.Mm.Write(new UserPtr<int>(0x500ffc), 1));
        Assert.Equal(0x510000UL, f.Mm.SetBreak(0x510000));
        f.Map(Page, at: 0x520000);
        Assert.Equal(0x510000UL, f.Mm.SetBreak(0x520000));
        Assert.Equal(0x500000UL, f.Mm.SetBreak(0x500000));
        Assert.Equal(Errno.EFAULT, f.Mm.Read(new UserPtr<int>(0x500ffc), out int _));
        Assert.Equal(0x501000UL, f.Mm.SetBreak(0x501000));
        Assert.Equal(Errno.OK, f.Mm.Read(new UserPtr<int>(0x500ffc), out int again));
        Assert.Equal(0, again);
    }

    [Fact]
    public void AFewHotPathsAllocateNothing()
    {
        using MemoryFixture f = new();
        ulong at = f.Map(16 * Page);
        byte[] buffer = new byte[64];
        using IoVector vector = new();
        using PinnedRange pin = new();
        void Round()
        {
            f.Mm.CopyIn(new UserPtr(at), buffer);
            f.Mm.Write(new UserPtr<int>(at), 1);
            vector.Clear();
            f.Mm.BeginAccess();
            f.Mm.Translate(new UserPtr(at), 8 * Page, RW, vector);
            f.Mm.EndAccess();
            f.Mm.CompareExchange32(new UserPtr(at), 0, 1, out _);
            f.Mm.Pin(new UserPtr(at), Page, RW, pin);
            pin.Unpin();
            MapRequest request = new() { Length = 16 * Page, Access = RW, MaxAccess = MapRequest.All };
            ulong place = (ulong)f.Mm.Map(in request).Value;
            f.Mm.Write(new UserPtr<int>(place), 1);
            f.Mm.Protect(place + Page, Page, MapAccess.Read);
            f.Mm.DontNeed(place, place + (2 * Page), locked: false);
            f.Mm.Unmap(place, 16 * Page);
        }
        for (int i = 0; i < 100; i++)
            Round();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            Round();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
