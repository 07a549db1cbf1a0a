namespace Moat.Kernel.IoUring;

/// <summary>A buffer that the program has provided. Address and length are the guest's, unchecked.</summary>
internal struct ProvidedBuffer
{
    public ulong Address;
    public uint Length;
    public ushort Id;
}

/// <summary>
/// A group of provided buffers (sqe.buf_group): a list filled by PROVIDE_BUFFERS, or a buffer ring. Under the ring's lock.
/// </summary>
internal sealed class BufferGroup(ushort id, BufferRing? ring)
{
    /// <summary>Most buffers in a list.</summary>
    public const int MaxBuffers = ushort.MaxValue;

    // A ring buffer that grows; its length is a power of two.
    private ProvidedBuffer[] _list = [];
    private int _head;

    /// <summary>sqe.buf_group.</summary>
    public ushort Id => id;

    /// <summary>The buffer ring; null: a list.</summary>
    public BufferRing? Ring => ring;

    /// <summary>Buffers in the list.</summary>
    public int Count { get; private set; }

    /// <summary>Appends to the list, or (<paramref name="first"/>) puts back what was taken last. False: it is full.</summary>
    public bool TryAdd(in ProvidedBuffer buffer, bool first = false)
    {
        if (Count == MaxBuffers && !first)
            return false;
        if (Count == _list.Length)
            Grow();
        if (first)
            _head = (_head - 1) & (_list.Length - 1);
        int at = first ? _head : (_head + Count) & (_list.Length - 1);
        _list[at] = buffer;
        Count++;
        return true;
    }

    /// <summary>Takes the first of the list.</summary>
    public bool TryTake(out ProvidedBuffer buffer)
    {
        if (Count == 0)
        {
            buffer = default;
            return false;
        }
        buffer = _list[_head];
        _head = (_head + 1) & (_list.Length - 1);
        Count--;
        return true;
    }

    /// <summary>Takes up to <paramref name="count"/> out of the list; returns how many.</summary>
    public int Remove(int count)
    {
        int removed = Math.Min(count, Count);
        Count -= removed;
        if (_list.Length != 0)
            _head = (_head + removed) & (_list.Length - 1);
        return removed;
    }

    private void Grow()
    {
        ProvidedBuffer[] larger = new ProvidedBuffer[Math.Max(16, _list.Length * 2)];
        for (int i = 0; i < Count; i++)
            larger[i] = _list[(_head + i) & (_list.Length - 1)];
        _list = larger;
        _head = 0;
    }
}
