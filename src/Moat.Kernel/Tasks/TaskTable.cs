namespace Moat.Kernel.Tasks;

/// <summary>
/// All tasks of the sandbox by thread id. Look-ups take no lock. Ids rise and wrap, as Linux gives them; a process id
/// is its leader's thread id and stays taken until the whole process has ended.
/// </summary>
internal sealed class TaskTable
{
    /// <summary>First id that is never given (pid_max).</summary>
    public const int Limit = 1 << 22;

    private const int Reserved = 300, PageSize = 1024;
    private readonly Lock _lock = new();
    private readonly Task?[]?[] _pages = new Task?[Limit / PageSize][];
    private readonly HashSet<int> _taken = [];
    private int _last, _count, _workers;

    /// <summary>Gives out an id, or -1 when all are taken.</summary>
    public int Allocate()
    {
        lock (_lock)
            return Take();
    }

    /// <summary>
    /// Gives out an id for a worker of io_uring, or -1: there are enough of them. They take no place from programs (<see cref="WithoutWorkers"/>).
    /// </summary>
    public int AllocateForWorker()
    {
        const int Most = 4096;
        lock (_lock)
        {
            int id = _workers < Most ? Take() : -1;
            if (id >= 0)
                _workers++;
            return id;
        }
    }

    /// <summary>Frees the id of a worker.</summary>
    public void FreeWorker(int id)
    {
        lock (_lock)
        {
            _workers--;
            Drop(id);
        }
    }

    private int Take()
    {
        if (_taken.Count >= Limit - Reserved - 1)
            return -1;
        do
        {
            _last = _last + 1 < Limit ? _last + 1 : Reserved;
        }
        while (!_taken.Add(_last));
        Volatile.Write(ref _count, _taken.Count);
        return _last;
    }

    private void Drop(int id)
    {
        _taken.Remove(id);
        Volatile.Write(ref _count, _taken.Count);
    }

    /// <summary>As <see cref="Count"/>, without the workers of io_uring.</summary>
    public int WithoutWorkers => Count - Volatile.Read(ref _workers);

    /// <summary>Ids that are taken: threads that live, and processes that nobody has waited for.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The id given out last (/proc/loadavg, sysinfo).</summary>
    public int Last => Volatile.Read(ref _last);

    /// <summary>Makes a task found by its id.</summary>
    public void Add(Task task)
    {
        lock (_lock)
        {
            ref Task?[]? page = ref _pages[task.Tid / PageSize];
            if (page is null)
                Volatile.Write(ref page, new Task?[PageSize]);
            Volatile.Write(ref page[task.Tid % PageSize], task);
        }
    }

    /// <summary>Frees an id; a task that has it is no longer found.</summary>
    public void Free(int id)
    {
        lock (_lock)
        {
            if (_pages[id / PageSize] is { } page)
                Volatile.Write(ref page[id % PageSize], null);
            Drop(id);
        }
    }

    /// <summary>The task with an id, or null. It may be an ended leader whose process lives on.</summary>
    public Task? Find(int id)
    {
        if (id <= 0 || id >= Limit || Volatile.Read(ref _pages[id / PageSize]) is not { } page)
            return null;
        return Volatile.Read(ref page[id % PageSize]);
    }

    /// <summary>The process with an id, or null.</summary>
    public ThreadGroup? FindGroup(int id) => Find(id) is { } task && task.Group.Id == id ? task.Group : null;

    /// <summary>The processes there are, in order of id.</summary>
    public List<ThreadGroup> GetGroups()
    {
        List<ThreadGroup> groups = [];
        lock (_lock)
        {
            foreach (int id in _taken.Order())
            {
                if (FindGroup(id) is { } group)
                    groups.Add(group);
            }
        }
        return groups;
    }
}
