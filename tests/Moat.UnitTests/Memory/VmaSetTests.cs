using Moat.Kernel.Memory;
using Moat.Platform;
using Xunit;

namespace Moat.UnitTests.Memory;

public sealed class VmaSetTests
{
    private const ulong Page = 4096, Base = 0x100000, Pages = 200;

    /// <summary>Random insertions, removals, splits and look-ups against one word a page.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void AgreesWithANaiveModel(int seed)
    {
        Random random = new(seed);
        VmaSet set = new();
        (MapAccess Access, ulong Offset)?[] model = new (MapAccess, ulong)?[Pages];
        List<Vma> detached = [];
        for (int step = 0; step < 1200; step++)
        {
            int first = random.Next((int)Pages), last = Math.Min((int)Pages, first + 1 + random.Next(12));
            ulong start = Base + ((ulong)first * Page), end = Base + ((ulong)last * Page);
            switch (random.Next(4))
            {
                case 0:
                case 1:
                    set.Detach(start, end, detached);
                    foreach (Vma vma in detached)
                        set.Recycle(vma);
                    detached.Clear();
                    Array.Fill(model, null, first, last - first);
                    if (random.Next(3) == 0)
                        break;
                    MapAccess access = (MapAccess)random.Next(3);
                    // Few distinct distances, so that neighbours often continue each other.
                    ulong offset = (ulong)random.Next(2) * 0x40000000 + ((ulong)first * Page);
                    Vma inserted = set.Rent();
                    (inserted.Start, inserted.End, inserted.Access, inserted.Kind, inserted.Offset) = (start, end, access, VmaKind.Frames, offset);
                    inserted.Flags = VmaFlags.None;
                    inserted.MaxAccess = MapRequest.All;
                    Vma result = set.Insert(inserted);
                    Assert.True(result.Start <= start && result.End >= end);
                    for (int i = first; i < last; i++)
                        model[i] = (access, offset + ((ulong)(i - first) * Page));
                    break;
                case 2:
                    set.SplitAt(start);
                    set.MergeRange(start, end);
                    break;
                default:
                    ulong length = (ulong)(1 + random.Next(20)) * Page;
                    Assert.Equal(NaiveFindFree(model, length), set.FindFree(length, Base, Base + (Pages * Page), 0));
                    break;
            }
            Check(set, model);
        }
    }

    private static ulong NaiveFindFree((MapAccess Access, ulong Offset)?[] model, ulong length)
    {
        int need = (int)(length / Page);
        for (int i = (int)Pages - need; i >= 0; i--)
        {
            if (Array.TrueForAll(model[i..(i + need)], p => p is null))
                return Base + ((ulong)i * Page);
        }
        return 0;
    }

    private static void Check(VmaSet set, (MapAccess Access, ulong Offset)?[] model)
    {
        ulong mapped = 0;
        for (int i = 0; i < (int)Pages; i++)
        {
            ulong address = Base + ((ulong)i * Page);
            Vma? vma = set.Find(address + 17);
            Assert.Equal(model[i] is null, vma is null);
            if (vma is null)
                continue;
            mapped += Page;
            Assert.Equal(model[i], (vma.Access, vma.Offset + (address - vma.Start)));
        }
        Assert.Equal(mapped, set.TotalBytes);
        for (int i = 1; i < set.Count; i++)
        {
            Assert.True(set[i - 1].End <= set[i].Start);
            Assert.False(set[i - 1].CanMerge(set[i]), "neighbours that continue each other are one");
        }
    }

    [Fact]
    public void FindFreeKeepsTheGapBelowStacks()
    {
        VmaSet set = new();
        set.Insert(new Vma { Start = 0x200000, End = 0x210000, Flags = VmaFlags.GrowsDown });
        Assert.Equal(0x1f0000UL - 0x1000, set.FindFree(0x1000, 0x10000, 0x210000, 0x10000));
        Assert.Equal(0UL, set.FindFree(0x200000, 0x10000, 0x210000, 0x10000));
    }

    [Fact]
    public void IsMappedSeesHoles()
    {
        VmaSet set = new();
        set.Insert(new Vma { Start = 0x1000, End = 0x3000, Access = MapAccess.Read });
        set.Insert(new Vma { Start = 0x3000, End = 0x4000, Access = MapAccess.Write });
        set.Insert(new Vma { Start = 0x5000, End = 0x6000 });
        Assert.True(set.IsMapped(0x1000, 0x4000));
        Assert.False(set.IsMapped(0x1000, 0x6000));
        Assert.False(set.IsMapped(0x4000, 0x5000));
        Assert.True(set.IsFree(0x4000, 0x5000));
        Assert.False(set.IsFree(0x4000, 0x5001));
    }
}
