namespace Moat.Kernel.Vfs;

/// <summary>
/// A descriptor table. Look-ups take no lock; changes are serialized. Shared by threads (CLONE_FILES), copied by fork.
/// </summary>
internal sealed class FdTable
{
    private readonly Lock _lock = new();
    private Entry[] _entries = new Entry[64];
    private int _firstFree;
    private int _users = 1;

    private struct Entry
    {
        public FileDescription? File;
        public bool CloseOnExec;
    }

    /// <summary>RLIMIT_NOFILE's soft limit: the first number that is not given out.</summary>
    public int Limit { get; set; } = 1024;

    /// <summary>No descriptor at or above this number is open. A hint for select(2): may grow at once.</summary>
    public int Capacity => Volatile.Read(ref _entries).Length;

    /// <summary>One task more uses this table.</summary>
    public void AddUser() => Interlocked.Increment(ref _users);

    /// <summary>True when more than one task uses this table.</summary>
    public bool IsShared => Volatile.Read(ref _users) > 1;

    /// <summary>One task less uses this table; the last one closes everything.</summary>
    public void DropUser()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            CloseRange(0, int.MaxValue);
    }

    /// <summary>The description behind a descriptor with a reference taken, or null: EBADF.</summary>
    public FileDescription? Get(int fd)
    {
        Entry[] entries = Volatile.Read(ref _entries);
        while ((uint)fd < (uint)entries.Length)
        {
            FileDescription? file = Volatile.Read(ref entries[fd].File);
            if (file is null)
                return null;
            if (file.TryAddReference())
                return file;
            // Closed between the look and the reference: look again; the slot has changed.
            entries = Volatile.Read(ref _entries);
        }
        return null;
    }

    /// <summary>Puts a file at the lowest free number from <paramref name="minimum"/> on; takes over the caller's reference on success.</summary>
    /// <returns>The number, or EMFILE (EINVAL when the minimum is beyond the limit).</returns>
    public SysResult Install(FileDescription file, bool closeOnExec, int minimum = 0)
    {
        if (minimum < 0 || minimum >= Limit)
            return minimum == 0 ? Errno.EMFILE : Errno.EINVAL;
        lock (_lock)
        {
            int fd = Math.Max(minimum, minimum <= _firstFree ? _firstFree : minimum);
            while (fd < _entries.Length && _entries[fd].File is not null)
                fd++;
            if (fd >= Limit)
                return Errno.EMFILE;
            Grow(fd);
            _entries[fd].CloseOnExec = closeOnExec;
            Volatile.Write(ref _entries[fd].File, file);
            if (minimum <= _firstFree)
                _firstFree = fd + 1;
            return fd;
        }
    }

    /// <summary>True when a number is free now: what is made for it should be made.</summary>
    public bool HasRoom
    {
        get
        {
            lock (_lock)
            {
                int fd = _firstFree;
                while (fd < _entries.Length && _entries[fd].File is not null)
                    fd++;
                return fd < Limit;
            }
        }
    }

    /// <summary>Puts a file at a given number (dup2(2)); what was there is closed. Takes over the caller's reference on success.</summary>
    /// <returns>The number, or EBADF when out of range.</returns>
    public SysResult InstallAt(int fd, FileDescription file, bool closeOnExec)
    {
        if (fd < 0 || fd >= Limit)
            return Errno.EBADF;
        FileDescription? old;
        lock (_lock)
        {
            Grow(fd);
            old = _entries[fd].File;
            _entries[fd].CloseOnExec = closeOnExec;
            Volatile.Write(ref _entries[fd].File, file);
        }
        Drop(old);
        return fd;
    }

    /// <summary>Closes a descriptor; EBADF when it is not open.</summary>
    public Errno Close(int fd)
    {
        FileDescription? old;
        lock (_lock)
            old = Take(fd);
        if (old is null)
            return Errno.EBADF;
        Drop(old);
        return Errno.OK;
    }

    /// <summary>Closes every open descriptor in [first, last].</summary>
    public void CloseRange(int first, int last)
    {
        for (int fd = first; fd <= last && fd < _entries.Length; fd++)
        {
            FileDescription? old;
            lock (_lock)
                old = Take(fd);
            Drop(old);
        }
    }

    /// <summary>Marks every open descriptor in [first, last] close-on-exec (CLOSE_RANGE_CLOEXEC).</summary>
    public void SetCloseOnExecRange(int first, int last)
    {
        lock (_lock)
        {
            for (int fd = first; fd <= last && fd < _entries.Length; fd++)
                _entries[fd].CloseOnExec |= _entries[fd].File is not null;
        }
    }

    /// <summary>FD_CLOEXEC of a descriptor, or null: EBADF.</summary>
    public bool? GetCloseOnExec(int fd)
    {
        lock (_lock)
            return (uint)fd < (uint)_entries.Length && _entries[fd].File is not null ? _entries[fd].CloseOnExec : null;
    }

    /// <summary>Sets FD_CLOEXEC; EBADF.</summary>
    public Errno SetCloseOnExec(int fd, bool value)
    {
        lock (_lock)
        {
            if ((uint)fd >= (uint)_entries.Length || _entries[fd].File is null)
                return Errno.EBADF;
            _entries[fd].CloseOnExec = value;
            return Errno.OK;
        }
    }

    /// <summary>The lowest open descriptor from <paramref name="fd"/> on, or -1. For /proc/self/fd.</summary>
    public int NextOpen(int fd)
    {
        lock (_lock)
        {
            for (; fd < _entries.Length; fd++)
            {
                if (_entries[fd].File is not null)
                    return fd;
            }
            return -1;
        }
    }

    /// <summary>A copy with references of its own (fork(2), unshare, close_range's CLOSE_RANGE_UNSHARE).</summary>
    public FdTable Copy()
    {
        FdTable copy = new() { Limit = Limit };
        lock (_lock)
        {
            copy._entries = (Entry[])_entries.Clone();
            copy._firstFree = _firstFree;
            foreach (Entry e in copy._entries)
                e.File?.AddReference();
        }
        return copy;
    }

    /// <summary>Closes what is close-on-exec (execve(2)).</summary>
    public void CloseOnExec()
    {
        for (int fd = 0; fd < _entries.Length; fd++)
        {
            FileDescription? old = null;
            lock (_lock)
            {
                if (_entries[fd].CloseOnExec)
                    old = Take(fd);
            }
            Drop(old);
        }
    }

    private FileDescription? Take(int fd)
    {
        if ((uint)fd >= (uint)_entries.Length)
            return null;
        FileDescription? old = _entries[fd].File;
        Volatile.Write(ref _entries[fd].File, null);
        _entries[fd].CloseOnExec = false;
        if (old is not null && fd < _firstFree)
            _firstFree = fd;
        return old;
    }

    private void Drop(FileDescription? file)
    {
        if (file is null)
            return;
        file.OnDescriptorClosed(this);
        file.DropTableLocks(this);
        file.DropReference();
        file.AfterDescriptorClosed();
    }

    private void Grow(int fd)
    {
        if (fd < _entries.Length)
            return;
        Entry[] larger = new Entry[Math.Max(fd + 1, _entries.Length * 2)];
        _entries.CopyTo(larger, 0);
        Volatile.Write(ref _entries, larger);
    }
}
