using System.Runtime.InteropServices;
using Moat.Abi;
using Moat.Host;
using Moat.Kernel.Memory;
using Xunit;

namespace Moat.UnitTests.Memory;

public sealed unsafe class FrameAllocatorTests
{
    private const ulong Page = 4096;

    /// <summary>What is allocated is zero, overlaps nothing, and is all given back.</summary>
    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    public void RandomUseStaysDisjointAndZeroed(int seed)
    {
        Random random = new(seed);
        using MemoryFile file = MemoryFile.Create();
        FrameAllocator frames = new(file);
        List<(ulong Offset, ulong Length, byte Mark)> live = [];
        for (int step = 0; step < 3000; step++)
        {
            if (live.Count > 0 && random.Next(2) == 0)
            {
                int i = random.Next(live.Count);
                (ulong offset, ulong length, byte mark) = live[i];
                Assert.Equal(-1, Bytes(frames, offset, length).IndexOfAnyExcept(mark));
                // A part of it goes, the rest stays.
                ulong freed = (ulong)(1 + random.Next((int)(length / Page))) * Page;
                frames.Free(offset, freed);
                live[i] = (offset + freed, length - freed, mark);
                if (freed == length)
                    live.RemoveAt(i);
                continue;
            }
            ulong size = (ulong)(1 + random.Next(random.Next(10) == 0 ? 200 : 10)) * Page;
            ulong hint = live.Count == 0 ? FrameAllocator.NoHint : live[^1].Offset - size;
            Errno error = random.Next(2) == 0 ? frames.Allocate(size, out ulong at) : frames.AllocateNear(size, hint, out at);
            Assert.Equal(Errno.OK, error);
            Assert.Equal(-1, Bytes(frames, at, size).IndexOfAnyExcept((byte)0));
            byte fill = (byte)(1 + random.Next(255));
            Bytes(frames, at, size).Fill(fill);
            live.Add((at, size, fill));
            Assert.Equal(live.Aggregate(0UL, (sum, l) => sum + l.Length), frames.Charged);
        }
        foreach ((ulong offset, ulong length, byte mark) in live)
        {
            Assert.Equal(-1, Bytes(frames, offset, length).IndexOfAnyExcept(mark));
            frames.Free(offset, length);
        }
        Assert.Equal(0UL, frames.Charged);
    }

    [Fact]
    public void HintsContinueTheNeighbour()
    {
        using MemoryFile file = MemoryFile.Create();
        FrameAllocator frames = new(file);
        Assert.Equal(Errno.OK, frames.AllocateNear(4 * Page, FrameAllocator.NoHint, out ulong first));
        Assert.Equal(Errno.OK, frames.AllocateNear(8 * Page, first - (8 * Page), out ulong below));
        Assert.Equal(first - (8 * Page), below);
        Assert.Equal(Errno.OK, frames.AllocateNear(8 * Page, first - (8 * Page), out ulong other));
        Assert.NotEqual(below, other);
    }

    [Fact]
    public void TheLimitIsOfTouchedMemory()
    {
        using MemoryFile file = MemoryFile.Create();
        FrameAllocator frames = new(file) { Limit = 10 * Page };
        Assert.Equal(Errno.ENOMEM, frames.Allocate(11 * Page, out _));
        Assert.Equal(Errno.OK, frames.Allocate(6 * Page, out ulong first));
        Assert.Equal(Errno.OK, frames.Allocate(5 * Page, out ulong third));
        Bytes(frames, first, 6 * Page).Fill(1);
        frames.Free(third, 5 * Page);
        Assert.Equal(Errno.ENOMEM, frames.Allocate(5 * Page, out _));
        Assert.Equal(Errno.OK, frames.Allocate(11 * Page, out third, MemoryNeed.Unlikely));
        frames.Free(third, 11 * Page);
        Assert.Equal(Errno.OK, frames.Allocate(4 * Page, out ulong second));
        Bytes(frames, second, 4 * Page).Fill(1);
        Assert.Equal(Errno.ENOMEM, frames.Allocate(Page, out _, MemoryNeed.Unlikely));
        Assert.Equal(Errno.ENOMEM, frames.AllocateNear(Page, FrameAllocator.NoHint, out _));
        frames.Free(first, 6 * Page);
        frames.Free(second, 4 * Page);
        Assert.Equal(Errno.OK, frames.Allocate(10 * Page, out _));
    }

    [Fact]
    public void FilesInMemoryHaveALimitOfTheirOwn()
    {
        using MemoryFile file = MemoryFile.Create();
        FrameAllocator frames = new(file) { Limit = 10 * Page, StorageLimit = 5 * Page };
        Assert.Equal(Errno.OK, frames.AllocateStored(4 * Page, out ulong first));
        Bytes(frames, first, 4 * Page).Fill(1);
        Assert.Equal(Errno.OK, frames.AllocateStored(2 * Page, out ulong mapped, MemoryNeed.Unlikely));
        Bytes(frames, mapped, 2 * Page).Fill(1);
        Assert.Equal(Errno.ENOSPC, frames.AllocateStored(Page, out _));
        frames.FreeStored(mapped, 2 * Page);
        Assert.Equal(Errno.OK, frames.AllocateStored(Page, out _));
        Assert.Equal(5 * Page, frames.Stored);
    }

    [Fact]
    public void PinnedFramesComeBackOnlyAfterTheLastUnpin()
    {
        using MemoryFile file = MemoryFile.Create();
        FrameAllocator frames = new(file);
        Assert.Equal(Errno.OK, frames.Allocate(8 * Page, out ulong at));
        Bytes(frames, at, 8 * Page).Fill(7);
        frames.Pin(at + (2 * Page), 3 * Page);
        frames.Pin(at + (3 * Page), 4 * Page);
        frames.Free(at, 8 * Page);
        Assert.Equal(5 * Page, frames.Charged);
        Assert.Equal(7, *frames.Pointer(at + (2 * Page)));
        frames.Unpin(at + (2 * Page), 3 * Page);
        Assert.Equal(4 * Page, frames.Charged);
        Assert.Equal(7, *frames.Pointer(at + (6 * Page)));
        Assert.True(frames.IsPinned(at + (6 * Page), Page));
        frames.Unpin(at + (3 * Page), 4 * Page);
        Assert.Equal(0UL, frames.Charged);
        Assert.False(frames.IsPinned(at, 8 * Page));
    }

    /// <summary>Pins against a count a page.</summary>
    [Theory]
    [InlineData(21)]
    [InlineData(22)]
    public void PinMapAgreesWithANaiveModel(int seed)
    {
        const int Pages = 64;
        Random random = new(seed);
        PinMap map = new();
        int[] pins = new int[Pages];
        bool[] freed = new bool[Pages];
        List<(int First, int Last)> live = [];
        List<(ulong Start, ulong End)> ranges = [];
        for (int step = 0; step < 5000; step++)
        {
            int first = random.Next(Pages), last = Math.Min(Pages, first + 1 + random.Next(10));
            ranges.Clear();
            switch (random.Next(4))
            {
                case 0:
                case 1:
                    // Freed pages cannot be pinned anew.
                    if (Array.IndexOf(freed, true, first, last - first) >= 0 || live.Count > 12)
                        break;
                    map.Pin((ulong)first, (ulong)last);
                    live.Add((first, last));
                    for (int i = first; i < last; i++)
                        pins[i]++;
                    break;
                case 2:
                    if (live.Count == 0)
                        break;
                    int pick = random.Next(live.Count);
                    (first, last) = live[pick];
                    live.RemoveAt(pick);
                    map.Unpin((ulong)first, (ulong)last, ranges);
                    HashSet<int> expected = [];
                    for (int i = first; i < last; i++)
                    {
                        if (--pins[i] == 0 && freed[i])
                        {
                            expected.Add(i);
                            freed[i] = false;
                        }
                    }
                    Assert.Equal(expected, PagesOf(ranges));
                    break;
                default:
                    if (Array.IndexOf(freed, true, first, last - first) >= 0)
                        break;
                    map.Free((ulong)first, (ulong)last, ranges);
                    HashSet<int> free = [];
                    for (int i = first; i < last; i++)
                    {
                        freed[i] = pins[i] > 0;
                        if (pins[i] == 0)
                            free.Add(i);
                    }
                    Assert.Equal(free, PagesOf(ranges));
                    break;
            }
            for (int i = 0; i < Pages; i++)
                Assert.Equal(pins[i] > 0, map.Overlaps((ulong)i, (ulong)i + 1));
            Assert.Equal(live.Count == 0, map.IsEmpty);
        }
    }

    private static HashSet<int> PagesOf(List<(ulong Start, ulong End)> ranges)
    {
        HashSet<int> pages = [];
        foreach ((ulong start, ulong end) in ranges)
        {
            for (ulong i = start; i < end; i++)
                Assert.True(pages.Add((int)i));
        }
        return pages;
    }

    private static Span<byte> Bytes(FrameAllocator frames, ulong offset, ulong length)
        => MemoryMarshal.CreateSpan(ref *frames.Pointer(offset), (int)length); // SAFETY: allocated memory-file bytes.
}
