namespace Moat.Kernel.FileSystems.Tmp;

/// <summary>
/// Where the pages of a file in memory lie: page number to memory-file offset, sparse. A radix tree of 512-way nodes that grows with
/// the highest page; small files have one small leaf. Not thread-safe.
/// </summary>
internal sealed class PageMap
{
    private const int Bits = 9, Fanout = 1 << Bits;

    /// <summary>Set on a slot whose page is allocated but was never written (fallocate(2)): it reads as zero and is a hole to SEEK_DATA.</summary>
    public const ulong Unwritten = 1;

    private const ulong OffsetMask = ~0xffful;

    // Height 0: a leaf. Leaves are ulong[], other nodes object?[].
    private object _root = Array.Empty<ulong>();
    private int _height;

    /// <summary>Pages that are allocated.</summary>
    public ulong Count { get; private set; }

    /// <summary>The slot of a page: 0 for a hole, else its offset with flags.</summary>
    public ulong this[ulong page] => LeafOf(page) is { } leaf && (page & (Fanout - 1)) < (ulong)leaf.Length ? leaf[page & (Fanout - 1)] : 0;

    /// <summary>The memory-file offset in a slot.</summary>
    public static ulong OffsetOf(ulong slot) => slot & OffsetMask;

    /// <summary>
    /// How many pages from <paramref name="page"/> on, at most <paramref name="most"/>, are like it: holes, or pages whose offsets follow
    /// each other. <paramref name="offset"/>: of the first one, 0 for holes.
    /// </summary>
    public ulong Run(ulong page, ulong most, out ulong offset)
    {
        offset = OffsetOf(this[page]);
        ulong done = 0;
        while (done < most)
        {
            ulong at = page + done;
            ulong[]? leaf = LeafOf(at);
            int index = (int)(at & (Fanout - 1));
            ulong inLeaf = Math.Min((ulong)(Fanout - index), most - done);
            if (leaf is null)
            {
                if (offset != 0)
                    return done;
                done += HoleBelow(at, most - done);
                continue;
            }
            for (ulong i = 0; i < inLeaf; i++, done++)
            {
                ulong slot = index + (int)i < leaf.Length ? leaf[index + (int)i] & OffsetMask : 0;
                if (slot != (offset == 0 ? 0 : offset + (done << 12)))
                    return done;
            }
        }
        return done;
    }

    /// <summary>Puts consecutive memory-file pages at consecutive places that are holes.</summary>
    public void Set(ulong page, ulong offset, ulong count, ulong flags = 0)
    {
        Count += count;
        for (ulong i = 0; i < count; i++)
            Leaf(page + i)[(page + i) & (Fanout - 1)] = (offset + (i << 12)) | flags;
    }

    /// <summary>Takes the flags off pages that are being written.</summary>
    public void MarkWritten(ulong page, ulong count)
    {
        for (ulong i = 0; i < count; i++)
        {
            if (LeafOf(page + i) is { } leaf)
            {
                ref ulong slot = ref leaf[(page + i) & (Fanout - 1)];
                slot &= OffsetMask;
            }
        }
    }

    /// <summary>
    /// Takes allocated pages out of [first, end), a run at a time: the offset of a run and its pages, or false when there are no more.
    /// </summary>
    public bool Take(ref ulong first, ulong end, out ulong offset, out ulong count)
    {
        if (!NextAllocated(ref first, end))
        {
            offset = count = 0;
            return false;
        }
        count = Run(first, end - first, out offset);
        for (ulong i = 0; i < count; i++)
            LeafOf(first + i)![(first + i) & (Fanout - 1)] = 0;
        first += count;
        Count -= count;
        return true;
    }

    /// <summary>Moves <paramref name="page"/> to the next allocated page below <paramref name="end"/>; false: there is none.</summary>
    public bool NextAllocated(ref ulong page, ulong end)
    {
        while (page < end)
        {
            ulong[]? leaf = LeafOf(page);
            if (leaf is null)
            {
                page += HoleBelow(page, end - page);
                continue;
            }
            for (int i = (int)(page & (Fanout - 1)); i < Fanout && page < end; i++, page++)
            {
                if (i < leaf.Length && leaf[i] != 0)
                    return true;
            }
        }
        return false;
    }

    /// <summary>Moves <paramref name="page"/> to the next one below <paramref name="end"/> that was written; false: there is none.</summary>
    public bool NextWritten(ref ulong page, ulong end)
    {
        for (; NextAllocated(ref page, end); page++)
        {
            if ((this[page] & Unwritten) == 0)
                return true;
        }
        return false;
    }

    /// <summary>Moves <paramref name="page"/> to the next one below <paramref name="end"/> that reads as zero; false: there is none.</summary>
    public bool NextHole(ref ulong page, ulong end)
    {
        for (; page < end; page++)
        {
            ulong slot = this[page];
            if (slot == 0 || (slot & Unwritten) != 0)
                return true;
        }
        return false;
    }

    private ulong[]? LeafOf(ulong page)
    {
        object? node = _root;
        if (_height == 0)
            return page < Fanout ? (ulong[])node : null;
        if (_height * Bits + Bits < 64 && page >> (_height * Bits + Bits) != 0)
            return null;
        for (int level = _height; level > 0; level--)
        {
            node = ((object?[])node)[(page >> (level * Bits)) & (Fanout - 1)];
            if (node is null)
                return null;
        }
        return (ulong[])node;
    }

    /// <summary>Pages that a missing node stands for, from <paramref name="page"/> to its end, at most <paramref name="most"/>.</summary>
    private ulong HoleBelow(ulong page, ulong most)
    {
        object? node = _root;
        int level = _height;
        if ((_height * Bits) + Bits < 64 && page >> ((_height * Bits) + Bits) != 0)
            return most;
        for (; level > 0; level--)
        {
            node = ((object?[])node!)[(page >> (level * Bits)) & (Fanout - 1)];
            if (node is null)
                break;
        }
        ulong span = 1UL << (level * Bits);
        return Math.Min(span - (page & (span - 1)), most);
    }

    private ulong[] Leaf(ulong page)
    {
        while ((_height * Bits) + Bits < 64 && page >> ((_height * Bits) + Bits) != 0)
        {
            if (_height == 0)
                GrowRootLeaf(Fanout);
            object?[] above = new object?[Fanout];
            above[0] = _root;
            _root = above;
            _height++;
        }
        if (_height == 0)
        {
            if (page >= (ulong)((ulong[])_root).Length)
                GrowRootLeaf((int)Math.Min(Fanout, Math.Max(4, System.Numerics.BitOperations.RoundUpToPowerOf2(page + 1))));
            return (ulong[])_root;
        }
        object?[] node = (object?[])_root;
        for (int level = _height; level > 1; level--)
        {
            ref object? next = ref node[(page >> (level * Bits)) & (Fanout - 1)];
            next ??= new object?[Fanout];
            node = (object?[])next;
        }
        ref object? leaf = ref node[(page >> Bits) & (Fanout - 1)];
        leaf ??= new ulong[Fanout];
        return (ulong[])leaf;
    }

    private void GrowRootLeaf(int size)
    {
        ulong[] leaf = (ulong[])_root;
        if (leaf.Length < size)
            Array.Resize(ref leaf, size);
        _root = leaf;
    }
}
