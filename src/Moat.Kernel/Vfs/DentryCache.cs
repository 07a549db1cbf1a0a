namespace Moat.Kernel.Vfs;

/// <summary>
/// The recently used dentries of one file system, held strongly; what the clock's hand finds unused since its last round is
/// let go. Bounded, so walking a large tree does not grow the sentry for ever.
/// </summary>
internal sealed class DentryCache(int capacity = DentryCache.DefaultCapacity)
{
    public const int DefaultCapacity = 16384;

    private readonly Lock _lock = new();
    private Dentry?[] _ring = new Dentry?[Math.Min(capacity, 64)];
    private int _count, _hand;

    /// <summary>Holds a new dentry; may let another one go.</summary>
    public void Add(Dentry dentry)
    {
        Dentry? victim = null;
        lock (_lock)
        {
            if (_count < capacity)
            {
                if (_count == _ring.Length)
                    Array.Resize(ref _ring, Math.Min(capacity, _ring.Length * 2));
                _ring[_count++] = dentry;
                return;
            }
            // A bounded search: a round in which everything was used takes the last one looked at.
            for (int tries = 0; tries < 64; tries++)
            {
                _hand = (_hand + 1) % _count;
                victim = _ring[_hand];
                if (!victim!.Referenced)
                    break;
                victim.Referenced = false;
            }
            _ring[_hand] = dentry;
        }
        victim!.Weaken();
    }
}
