using System.Numerics;

namespace Moat.Kernel.Terminals;

/// <summary>A queue of values in a ring that grows as needed and can also be taken from at its end. Not thread-safe.</summary>
internal sealed class RingQueue<T>
    where T : unmanaged
{
    private const int Least = 256;

    private T[] _items = [];
    private int _head;

    public int Count { get; private set; }

    /// <summary>The value at a place counted from the front.</summary>
    public T this[int index]
    {
        get => _items[(_head + index) & (_items.Length - 1)];
        set => _items[(_head + index) & (_items.Length - 1)] = value;
    }

    public void Add(T item)
    {
        if (Count == _items.Length)
            Grow(Count + 1);
        _items[(_head + Count++) & (_items.Length - 1)] = item;
    }

    public void Add(ReadOnlySpan<T> items)
    {
        if (Count + items.Length > _items.Length)
            Grow(Count + items.Length);
        int at = (_head + Count) & (_items.Length - 1), first = Math.Min(items.Length, _items.Length - at);
        items[..first].CopyTo(_items.AsSpan(at));
        items[first..].CopyTo(_items);
        Count += items.Length;
    }

    /// <summary>The front, as far as it lies in one piece.</summary>
    public ReadOnlySpan<T> Front => _items.AsSpan(_head, Math.Min(Count, _items.Length - _head));

    public void RemoveFirst(int count)
    {
        Count -= count;
        _head = Count == 0 ? 0 : (_head + count) & (_items.Length - 1);
    }

    public T RemoveLast() => _items[(_head + --Count) & (_items.Length - 1)];

    public void Clear() => _head = Count = 0;

    private void Grow(int needed)
    {
        T[] grown = new T[Math.Max(Least, (int)BitOperations.RoundUpToPowerOf2((uint)needed))];
        ReadOnlySpan<T> front = Front;
        front.CopyTo(grown);
        _items.AsSpan(0, Count - front.Length).CopyTo(grown.AsSpan(front.Length));
        _items = grown;
        _head = 0;
    }
}
