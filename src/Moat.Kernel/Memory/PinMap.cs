namespace Moat.Kernel.Memory;

/// <summary>
/// Which memory-file ranges are pinned, how often, and which of those their owner has freed meanwhile; or which have more owners than one,
/// and how many more: disjoint sorted segments. Usually empty. Not thread-safe.
/// </summary>
internal sealed class PinMap
{
    private Segment[] _segments = new Segment[16];
    private int _count;

    private struct Segment
    {
        public ulong Start, End;
        public int Pins;
        public bool Freed;
    }

    /// <summary>True when nothing is pinned.</summary>
    public bool IsEmpty => _count == 0;

    /// <summary>Pins [start, end) once more.</summary>
    public void Pin(ulong start, ulong end)
    {
        int i = SplitAt(start);
        SplitAt(end);
        while (start < end)
        {
            if (i < _count && _segments[i].Start == start)
            {
                _segments[i].Pins++;
                start = _segments[i].End;
            }
            else
            {
                ulong stop = i < _count ? Math.Min(end, _segments[i].Start) : end;
                Insert(i, new Segment { Start = start, End = stop, Pins = 1 });
                start = stop;
            }
            i++;
        }
    }

    /// <summary>
    /// Takes one pin from [start, end), which is pinned throughout. What is freed and no longer pinned is added to
    /// <paramref name="released"/>: the caller frees it.
    /// </summary>
    public void Unpin(ulong start, ulong end, List<(ulong Start, ulong End)> released)
    {
        int first = SplitAt(start);
        int last = SplitAt(end);
        int keep = first;
        for (int i = first; i < last; i++)
        {
            Segment s = _segments[i];
            s.Pins--;
            if (s.Pins > 0)
                _segments[keep++] = s;
            else if (s.Freed)
                released.Add((s.Start, s.End));
        }
        Array.Copy(_segments, last, _segments, keep, _count - last);
        _count -= last - keep;
        MergeAround(first, keep);
    }

    /// <summary>
    /// The owner frees [start, end): pinned parts are marked and kept; the other parts are added to
    /// <paramref name="free"/>.
    /// </summary>
    public void Free(ulong start, ulong end, List<(ulong Start, ulong End)> free)
    {
        int i = SplitAt(start);
        SplitAt(end);
        for (; i < _count && _segments[i].Start < end; i++)
        {
            if (start < _segments[i].Start)
                free.Add((start, _segments[i].Start));
            _segments[i].Freed = true;
            start = _segments[i].End;
        }
        if (start < end)
            free.Add((start, end));
    }

    /// <summary>
    /// Takes one count from every counted part of [start, end); the other parts are added to <paramref name="rest"/>.
    /// </summary>
    public void TakeOne(ulong start, ulong end, List<(ulong Start, ulong End)> rest)
    {
        int first = SplitAt(start), last = SplitAt(end);
        int keep = first;
        for (int i = first; i < last; i++)
        {
            Segment s = _segments[i];
            if (start < s.Start)
                rest.Add((start, s.Start));
            start = s.End;
            if (--s.Pins > 0)
                _segments[keep++] = s;
        }
        if (start < end)
            rest.Add((start, end));
        Array.Copy(_segments, last, _segments, keep, _count - last);
        _count -= last - keep;
        MergeAround(first, keep);
    }

    /// <summary>The first counted part of [start, end), or false.</summary>
    public bool TryFind(ulong start, ulong end, out ulong from, out ulong to)
    {
        int i = FirstEndingAfter(start);
        bool found = i < _count && _segments[i].Start < end;
        from = found ? Math.Max(start, _segments[i].Start) : 0;
        to = found ? Math.Min(end, _segments[i].End) : 0;
        return found;
    }

    /// <summary>True when some byte of [start, end) is pinned.</summary>
    public bool Overlaps(ulong start, ulong end)
    {
        int i = FirstEndingAfter(start);
        return i < _count && _segments[i].Start < end;
    }

    /// <summary>Makes <paramref name="at"/> a boundary; returns the first segment at or after it.</summary>
    private int SplitAt(ulong at)
    {
        int i = FirstEndingAfter(at);
        if (i == _count || _segments[i].Start >= at)
            return i;
        Segment upper = _segments[i];
        upper.Start = at;
        _segments[i].End = at;
        Insert(i + 1, upper);
        return i + 1;
    }

    private int FirstEndingAfter(ulong at)
    {
        int low = 0, high = _count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_segments[middle].End <= at)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

    private void MergeAround(int first, int last)
    {
        for (int i = Math.Min(last, _count - 1); i >= Math.Max(first, 1); i--)
        {
            ref Segment lower = ref _segments[i - 1];
            Segment upper = _segments[i];
            if (lower.End != upper.Start || lower.Pins != upper.Pins || lower.Freed != upper.Freed)
                continue;
            lower.End = upper.End;
            _count--;
            Array.Copy(_segments, i + 1, _segments, i, _count - i);
        }
    }

    private void Insert(int i, Segment segment)
    {
        if (_count == _segments.Length)
            Array.Resize(ref _segments, _count * 2);
        Array.Copy(_segments, i, _segments, i + 1, _count - i);
        _segments[i] = segment;
        _count++;
    }
}
