namespace Moat.Kernel.Memory;

/// <summary>
/// A set of disjoint ranges [start, end), sorted, neighbours merged: the free part of the memory file. An array with
/// binary search; nothing is allocated once it has grown. Not thread-safe.
/// </summary>
internal sealed class ExtentSet
{
    private ulong[] _starts = new ulong[64];
    private ulong[] _ends = new ulong[64];

    /// <summary>How many ranges there are.</summary>
    public int Count { get; private set; }

    /// <summary>Range number <paramref name="index"/> in ascending order.</summary>
    public (ulong Start, ulong End) this[int index] => (_starts[index], _ends[index]);

    /// <summary>Adds a range that overlaps none in the set.</summary>
    public void Add(ulong start, ulong end)
    {
        int i = LowerBound(start);
        bool joinsPrevious = i > 0 && _ends[i - 1] == start;
        bool joinsNext = i < Count && _starts[i] == end;
        if (joinsPrevious && joinsNext)
        {
            _ends[i - 1] = _ends[i];
            RemoveAt(i);
        }
        else if (joinsPrevious)
        {
            _ends[i - 1] = end;
        }
        else if (joinsNext)
        {
            _starts[i] = start;
        }
        else
        {
            InsertAt(i, start, end);
        }
    }

    /// <summary>Takes exactly [start, end) out; false, and nothing changed, when part of it is not in the set.</summary>
    public bool TryTake(ulong start, ulong end)
    {
        int i = LowerBound(start);
        if (i == Count || _starts[i] != start)
            i--;
        if (i < 0 || _starts[i] > start || _ends[i] < end)
            return false;
        TakeFrom(i, start, end);
        return true;
    }

    /// <summary>Takes <paramref name="length"/> bytes from the lowest range that has them, at or after <paramref name="from"/>.</summary>
    public bool TryTakeLowest(ulong length, ulong from, out ulong start)
    {
        int i = LowerBound(from);
        if (i > 0 && _ends[i - 1] > from)
            i--;
        for (; i < Count; i++)
        {
            start = Math.Max(_starts[i], from);
            if (_ends[i] - start >= length)
            {
                TakeFrom(i, start, start + length);
                return true;
            }
        }
        start = 0;
        return false;
    }

    /// <summary>
    /// Takes <paramref name="length"/> bytes that end at a multiple of <paramref name="slot"/> with <paramref name="room"/>
    /// free bytes below them, at or after <paramref name="from"/>.
    /// </summary>
    public bool TryTakeWithRoom(ulong length, ulong room, ulong slot, ulong from, out ulong start)
    {
        int i = LowerBound(from);
        if (i > 0 && _ends[i - 1] > from)
            i--;
        for (; i < Count; i++)
        {
            ulong low = Math.Max(_starts[i], from);
            ulong end = (low + room + length + slot - 1) / slot * slot;
            if (end <= _ends[i])
            {
                start = end - length;
                TakeFrom(i, start, end);
                return true;
            }
        }
        start = 0;
        return false;
    }

    private void TakeFrom(int i, ulong start, ulong end)
    {
        ulong oldEnd = _ends[i];
        if (_starts[i] == start)
        {
            if (oldEnd == end)
                RemoveAt(i);
            else
                _starts[i] = end;
            return;
        }
        _ends[i] = start;
        if (oldEnd != end)
            InsertAt(i + 1, end, oldEnd);
    }

    /// <summary>The first index whose start is not below <paramref name="start"/>.</summary>
    private int LowerBound(ulong start)
    {
        int low = 0, high = Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_starts[middle] < start)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

    private void InsertAt(int i, ulong start, ulong end)
    {
        if (Count == _starts.Length)
        {
            Array.Resize(ref _starts, Count * 2);
            Array.Resize(ref _ends, Count * 2);
        }
        Array.Copy(_starts, i, _starts, i + 1, Count - i);
        Array.Copy(_ends, i, _ends, i + 1, Count - i);
        _starts[i] = start;
        _ends[i] = end;
        Count++;
    }

    private void RemoveAt(int i)
    {
        Count--;
        Array.Copy(_starts, i + 1, _starts, i, Count - i);
        Array.Copy(_ends, i + 1, _ends, i, Count - i);
    }
}
