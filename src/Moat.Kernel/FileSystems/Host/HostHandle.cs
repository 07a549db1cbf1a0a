using Moat.Host;

namespace Moat.Kernel.FileSystems.Host;

/// <summary>A host descriptor with a count of users; closed with the last.</summary>
internal sealed class HostHandle(int fd)
{
    private int _users = 1;

    /// <summary>The descriptor; valid for those who hold a reference.</summary>
    public int Fd { get; } = fd;

    /// <summary>Used since the cache's hand last passed.</summary>
    internal bool Referenced { get; set; }

    /// <summary>The next open description of the same inode.</summary>
    internal HostHandle? NextOpen { get; set; }

    /// <summary>Takes a reference unless the descriptor is closed already.</summary>
    public bool TryAddReference()
    {
        int n = Volatile.Read(ref _users);
        while (n > 0)
        {
            int seen = Interlocked.CompareExchange(ref _users, n + 1, n);
            if (seen == n)
                return true;
            n = seen;
        }
        return false;
    }

    /// <summary>Gives a reference back.</summary>
    public void DropReference()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            HostFiles.Close(Fd);
    }
}

/// <summary>
/// The O_PATH descriptors of recently used directories and files, shared by all host file systems of a sandbox: bounded, so that
/// walking a large tree does not use up the sentry's descriptors. What is let go is opened again by name and compared.
/// </summary>
internal sealed class HostHandleCache(int capacity)
{
    private readonly Lock _lock = new();
    private readonly HostHandle?[] _ring = new HostHandle?[capacity];
    private int _hand;

    /// <summary>Keeps a handle (its own reference is the cache's); may close another one.</summary>
    public void Add(HostHandle handle)
    {
        HostHandle? victim = null;
        lock (_lock)
        {
            for (int tries = 0; tries < 32; tries++)
            {
                _hand = (_hand + 1) % _ring.Length;
                victim = _ring[_hand];
                if (victim is null || !victim.Referenced)
                    break;
                victim.Referenced = false;
            }
            _ring[_hand] = handle;
        }
        victim?.DropReference();
    }

    /// <summary>Closes everything that nobody else uses.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            for (int i = 0; i < _ring.Length; i++)
            {
                _ring[i]?.DropReference();
                _ring[i] = null;
            }
        }
    }
}
