using Moat.Kernel.Tasks;

namespace Moat.Kernel.Ipc;

/// <summary>
/// The objects of one kind by id and by key. Its lock is for making, removing and listing; looking up an id takes none.
/// </summary>
internal sealed class IpcTable<T>(int most)
    where T : IpcObject
{
    /// <summary>Bits of an id that are the place in the table (IPCMNI_SHIFT).</summary>
    private const int IndexBits = 15;

    private const int MaxSequence = int.MaxValue >> IndexBits;

    private readonly Dictionary<int, T> _byKey = [];
    private T?[] _slots = new T?[8];
    private int _next, _sequence;

    /// <summary>Guards the table, and what owners say it guards.</summary>
    public Lock Lock { get; } = new();

    /// <summary>How many objects there are.</summary>
    public int Count { get; private set; }

    /// <summary>Makes an object, or says why not.</summary>
    public delegate Errno Maker(out T? made);

    /// <summary>The object with an id, or null.</summary>
    public T? Find(int id)
    {
        T? found = At(id & ((1 << IndexBits) - 1));
        return found is not null && found.Id == id && id >= 0 ? found : null;
    }

    /// <summary>The object at a place in the table, or null (SHM_STAT and its like).</summary>
    public T? At(int index)
    {
        T?[] slots = Volatile.Read(ref _slots);
        return (uint)index < (uint)slots.Length ? Volatile.Read(ref slots[index]) : null;
    }

    /// <summary>The highest place in use, or 0 when there is none.</summary>
    public int HighestIndex
    {
        get
        {
            lock (Lock)
                return Math.Max(Array.FindLastIndex(_slots, static s => s is not null), 0);
        }
    }

    /// <summary>
    /// shmget(2), semget(2), msgget(2): the id for a key, made if <paramref name="flags"/> ask for it. ENOENT, EEXIST, EACCES, ENOSPC, what
    /// <paramref name="check"/> says of one that exists, and what the maker says.
    /// </summary>
    public SysResult Get(Task task, int key, int flags, Func<T, Errno> check, Maker maker)
    {
        lock (Lock)
        {
            if (key != IpcObject.IPC_PRIVATE)
            {
                if (_byKey.TryGetValue(key, out T? found))
                {
                    if ((flags & (IpcFlags.IPC_CREAT | IpcFlags.IPC_EXCL)) == (IpcFlags.IPC_CREAT | IpcFlags.IPC_EXCL))
                        return Errno.EEXIST;
                    Errno wrong = check(found);
                    if (wrong == Errno.OK)
                        wrong = found.CheckAccess(task.Credentials, (uint)flags);
                    return wrong != Errno.OK ? wrong : found.Id;
                }
                if ((flags & IpcFlags.IPC_CREAT) == 0)
                    return Errno.ENOENT;
            }
            if (Count >= most)
                return Errno.ENOSPC;
            Errno error = maker(out T? made);
            if (error != Errno.OK)
                return error;
            made!.SetOwner(task.Credentials, (uint)flags);
            made.Key = key;
            Add(made);
            return made.Id;
        }
    }

    /// <summary>The key names nothing any more. Under the lock.</summary>
    public void ForgetKey(T item)
    {
        if (item.Key != IpcObject.IPC_PRIVATE)
            _byKey.Remove(item.Key);
        item.Key = IpcObject.IPC_PRIVATE;
    }

    /// <summary>Out of the table. Under the lock.</summary>
    public void Remove(T item)
    {
        ForgetKey(item);
        item.IsRemoved = true;
        Volatile.Write(ref _slots[item.Id & ((1 << IndexBits) - 1)], null);
        Count--;
    }

    /// <summary>All objects, in order of their places. Under the lock.</summary>
    public IEnumerable<T> All => _slots.OfType<T>();

    private void Add(T item)
    {
        // The next place behind the last one, so that ids come back late.
        int length = _slots.Length, index = _next;
        while (index < length && _slots[index] is not null)
            index++;
        if (index >= length)
        {
            index = Array.IndexOf(_slots, null);
            _sequence = _sequence == MaxSequence ? 0 : _sequence + 1;
        }
        if (index < 0)
        {
            index = length;
            Array.Resize(ref _slots, length * 2);
        }
        _next = index + 1;
        item.Sequence = _sequence;
        item.Id = (_sequence << IndexBits) | index;
        if (item.Key != IpcObject.IPC_PRIVATE)
            _byKey[item.Key] = item;
        Volatile.Write(ref _slots[index], item);
        Count++;
    }
}
