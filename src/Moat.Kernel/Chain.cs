namespace Moat.Kernel;

/// <summary>What can be in a <see cref="Chain{T}"/>: one at a time. Guarded by what guards the chain.</summary>
internal abstract class Link<T>
    where T : Link<T>
{
    internal T? Next, Previous;
}

/// <summary>A list whose links are in its members: being put in and taken out allocates nothing and looks for nothing. Not locked.</summary>
internal struct Chain<T>
    where T : Link<T>
{
    /// <summary>Its ends; null: it is empty. Changed by the chain alone.</summary>
    internal T? First, Last;

    /// <summary>Puts a member, which is in no chain, at the end.</summary>
    public void Add(T item) => Insert(item, null);

    /// <summary>Puts a member, which is in no chain, before another one, or with null at the end.</summary>
    public void Insert(T item, T? before)
    {
        T? previous = before is null ? Last : before.Previous;
        item.Next = before;
        item.Previous = previous;
        if (before is null)
            Last = item;
        else
            before.Previous = item;
        if (previous is null)
            First = item;
        else
            previous.Next = item;
    }

    /// <summary>Takes out a member that is in this chain.</summary>
    public void Remove(T item)
    {
        if (item.Previous is null)
            First = item.Next;
        else
            item.Previous.Next = item.Next;
        if (item.Next is null)
            Last = item.Previous;
        else
            item.Next.Previous = item.Previous;
        item.Next = item.Previous = null;
    }
}
