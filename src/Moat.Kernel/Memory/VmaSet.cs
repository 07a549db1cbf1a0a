namespace Moat.Kernel.Memory;

/// <summary>
/// The mappings of an address space, sorted by address, disjoint, neighbours merged where they continue each other. Arrays with
/// binary search: look-ups allocate nothing and may run in many threads at once; changes need exclusion. Knows nothing of the
/// guest or of who owns what is behind a mapping.
/// </summary>
internal sealed class VmaSet
{
    private ulong[] _starts = new ulong[64];
    private Vma[] _vmas = new Vma[64];
    private int _lastHit;
    private Vma? _pool;
    private int _pooled;

    // Search for free ranges from above: no hole between _searchFrom and _searchLimit is larger than _holeSize.
    private ulong _searchFrom, _searchLimit, _holeSize;

    /// <summary>How many mappings there are.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes mapped in all.</summary>
    public ulong TotalBytes { get; private set; }

    /// <summary>Mapping number <paramref name="index"/> in ascending order.</summary>
    public Vma this[int index] => _vmas[index];

    /// <summary>The mapping that holds <paramref name="address"/>, or null.</summary>
    public Vma? Find(ulong address)
    {
        int i = IndexOf(address);
        return i >= 0 ? _vmas[i] : null;
    }

    /// <summary>The index of the mapping that holds <paramref name="address"/>, or -1.</summary>
    public int IndexOf(ulong address)
    {
        int hit = _lastHit;
        if ((uint)hit < (uint)Count)
        {
            Vma last = _vmas[hit];
            if (address - last.Start < last.End - last.Start)
                return hit;
        }
        int i = UpperBound(address) - 1;
        if (i < 0 || address >= _vmas[i].End)
            return -1;
        _lastHit = i;
        return i;
    }

    /// <summary>The index of the first mapping that ends above <paramref name="address"/>; <see cref="Count"/> if none.</summary>
    public int IndexAtOrAbove(ulong address)
    {
        int i = UpperBound(address) - 1;
        return i >= 0 && address < _vmas[i].End ? i : i + 1;
    }

    /// <summary>True when nothing is mapped in [start, end).</summary>
    public bool IsFree(ulong start, ulong end)
    {
        int i = IndexAtOrAbove(start);
        return i == Count || _vmas[i].Start >= end;
    }

    /// <summary>True when [start, end) is mapped throughout.</summary>
    public bool IsMapped(ulong start, ulong end)
    {
        for (int i = IndexAtOrAbove(start); i < Count && _vmas[i].Start <= start; i++)
        {
            start = _vmas[i].End;
            if (start >= end)
                return true;
        }
        return start >= end;
    }

    /// <summary>
    /// The highest free range of <paramref name="length"/> bytes within [low, high), or 0: none. <paramref name="gap"/>:
    /// bytes kept free below a mapping that grows down.
    /// </summary>
    public ulong FindFree(ulong length, ulong low, ulong high, ulong gap)
    {
        if (length > high - low || high < low)
            return 0;
        ulong limit = high;
        if (_searchLimit == high && length > _holeSize && _searchFrom < high)
            limit = _searchFrom;
        else
            _holeSize = 0;
        _searchLimit = high;
        for (int i = UpperBound(limit - 1) - 1; ; i--)
        {
            ulong bottom = i >= 0 ? Math.Max(_vmas[i].End, low) : low;
            if (limit > bottom)
            {
                if (limit - bottom >= length && limit <= high)
                {
                    _searchFrom = limit;
                    return limit - length;
                }
                _holeSize = Math.Max(_holeSize, limit - bottom);
            }
            if (i < 0 || _vmas[i].Start < low + length)
            {
                _searchFrom = high; // Nothing is known; the next search starts at the top.
                _holeSize = 0;
                return 0;
            }
            limit = Math.Min(limit, _vmas[i].Start);
            if ((_vmas[i].Flags & VmaFlags.GrowsDown) != 0)
                limit = limit > gap ? limit - gap : 0;
            if (limit <= low)
            {
                _searchFrom = high;
                _holeSize = 0;
                return 0;
            }
        }
    }

    /// <summary>A blank mapping, from the pool when it has one.</summary>
    public Vma Rent()
    {
        Vma? vma = _pool;
        if (vma is null)
            return new Vma();
        _pool = vma.Next;
        vma.Next = null;
        _pooled--;
        return vma;
    }

    /// <summary>Gives back a mapping that is in no set and that nobody refers to.</summary>
    public void Recycle(Vma vma)
    {
        vma.File = null;
        vma.View = null;
        vma.SharesFrames = false;
        vma.Next = null;
        if (_pooled >= 256)
            return;
        vma.Next = _pool;
        _pool = vma;
        _pooled++;
    }

    /// <summary>
    /// Inserts a mapping into a free range and merges it with its neighbours. Views of what is merged are dropped: their
    /// counts are given back. Returns the mapping that covers the range now.
    /// </summary>
    public Vma Insert(Vma vma)
    {
        int i = UpperBound(vma.Start);
        InsertAt(i, vma);
        TotalBytes += vma.Length;
        return MergeAt(i);
    }

    /// <summary>
    /// Takes the mappings in [start, end) out of the set, splitting those that stick out, and adds them to
    /// <paramref name="into"/> in ascending order.
    /// </summary>
    public void Detach(ulong start, ulong end, List<Vma> into)
    {
        int first = SplitAt(start);
        int last = SplitAt(end);
        for (int i = first; i < last; i++)
        {
            TotalBytes -= _vmas[i].Length;
            into.Add(_vmas[i]);
        }
        RemoveRange(first, last - first);
        ulong holeEnd = first < Count ? _vmas[first].Start : ulong.MaxValue;
        _searchFrom = Math.Max(_searchFrom, Math.Min(holeEnd, _searchLimit));
    }

    /// <summary>
    /// Makes <paramref name="address"/> a boundary. Returns the index of the first mapping at or above it.
    /// </summary>
    public int SplitAt(ulong address)
    {
        int i = IndexAtOrAbove(address);
        if (i == Count || _vmas[i].Start >= address)
            return i;
        Vma lower = _vmas[i];
        Vma upper = Rent();
        ulong below = address - lower.Start;
        upper.Start = address;
        upper.End = lower.End;
        upper.Access = lower.Access;
        upper.MaxAccess = lower.MaxAccess;
        upper.Flags = lower.Flags;
        upper.Kind = lower.Kind;
        upper.SharesFrames = lower.SharesFrames;
        upper.Offset = lower.Offset + below;
        upper.HostFd = lower.HostFd;
        upper.File = lower.File;
        upper.FileOffset = lower.FileOffset + below;
        upper.View = lower.View;
        upper.View?.AddReference();
        lower.End = address;
        InsertAt(i + 1, upper);
        return i + 1;
    }

    /// <summary>Merges what continues each other in [start, end) and at its edges, after changes in place.</summary>
    public void MergeRange(ulong start, ulong end)
    {
        int i = Math.Max(IndexAtOrAbove(start) - 1, 0);
        while (i + 1 < Count && _vmas[i].Start < end)
        {
            if (!TryMerge(i))
                i++;
        }
    }

    /// <summary>A mapping's lower end moved down to <paramref name="start"/> (a stack that grows).</summary>
    public void ExtendDown(Vma vma, ulong start)
    {
        int i = IndexOf(vma.Start);
        TotalBytes += vma.Start - start;
        vma.Start = start;
        _starts[i] = start;
    }

    private Vma MergeAt(int i)
    {
        if (i + 1 < Count)
            TryMerge(i);
        if (i > 0 && TryMerge(i - 1))
            i--;
        return _vmas[i];
    }

    private bool TryMerge(int i)
    {
        Vma lower = _vmas[i], upper = _vmas[i + 1];
        if (!lower.CanMerge(upper))
            return false;
        if (lower.View is not null || upper.View is not null)
        {
            if (!ReferenceEquals(lower.View, upper.View))
            {
                lower.View?.DropReference();
                lower.View = null;
            }
            upper.View?.DropReference();
        }
        lower.End = upper.End;
        RemoveRange(i + 1, 1);
        Recycle(upper);
        return true;
    }

    /// <summary>The first index whose start is above <paramref name="address"/>.</summary>
    private int UpperBound(ulong address)
    {
        ulong[] starts = _starts;
        int low = 0, high = Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (starts[middle] <= address)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

    private void InsertAt(int i, Vma vma)
    {
        if (Count == _vmas.Length)
        {
            Array.Resize(ref _starts, Count * 2);
            Array.Resize(ref _vmas, Count * 2);
        }
        Array.Copy(_starts, i, _starts, i + 1, Count - i);
        Array.Copy(_vmas, i, _vmas, i + 1, Count - i);
        _starts[i] = vma.Start;
        _vmas[i] = vma;
        Count++;
    }

    private void RemoveRange(int i, int count)
    {
        if (count == 0)
            return;
        Array.Copy(_starts, i + count, _starts, i, Count - i - count);
        Array.Copy(_vmas, i + count, _vmas, i, Count - i - count);
        Array.Clear(_vmas, Count - count, count);
        Count -= count;
    }
}
