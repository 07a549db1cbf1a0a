namespace Moat.Kernel.Memory;

/// <summary>
/// The address spaces that map a file in memory. When the file shrinks, pages beyond its end disappear from them, so that touching
/// those is SIGBUS until the file grows again. Thread-safe; its lock is a leaf.
/// </summary>
internal sealed class FileMappers
{
    private readonly Lock _lock = new();
    private readonly Dictionary<MemoryManager, ulong> _mapped = [];

    /// <summary>How many address spaces map it.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _mapped.Count;
        }
    }

    /// <summary>One mapping more, of this many bytes. Only memory managers call it.</summary>
    internal void Add(MemoryManager mm, ulong bytes)
    {
        lock (_lock)
            _mapped[mm] = _mapped.GetValueOrDefault(mm) + bytes;
    }

    /// <summary>So many bytes less.</summary>
    internal void Remove(MemoryManager mm, ulong bytes)
    {
        lock (_lock)
        {
            if (_mapped.TryGetValue(mm, out ulong mapped) && mapped > bytes)
                _mapped[mm] = mapped - bytes;
            else
                _mapped.Remove(mm);
        }
    }

    /// <summary>
    /// The file ends at <paramref name="end"/> now, bytes. Called without the file's locks: a memory manager asks the file under its
    /// own.
    /// </summary>
    public void Shrunk(ulong end)
    {
        MemoryManager[] all;
        lock (_lock)
        {
            if (_mapped.Count == 0)
                return;
            all = [.. _mapped.Keys];
        }
        foreach (MemoryManager mm in all)
            mm.DropBeyond(this, MemoryManager.PageUp(end));
    }
}
