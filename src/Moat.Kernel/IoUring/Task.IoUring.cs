using Moat.Kernel.IoUring;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private readonly List<Ring> _rings = [];
    private Ring? _lastRing;

    // A ring with work for this task to run when it next enters guest code or sleeps.
    private Ring? _ringWork;
    private volatile bool _runs, _blocked;

    /// <summary>True once the thread has ended: what it submitted and is still waiting is cancelled when woken.</summary>
    internal bool IoUringEnded { get; private set; }

    /// <summary>
    /// Has this task run a ring's work on its way out of the call it is serving, as Linux does. False: it is in guest code, asleep
    /// or ending, and somebody else has to. Any thread, any lock held.
    /// </summary>
    internal bool TryTakeRingWork(Ring ring)
    {
        if (!_runs || _inGuest || _blocked)
            return false;
        Ring? other = Interlocked.CompareExchange(ref _ringWork, ring, null);
        if (other is not null && other != ring)
            return false;
        // The task announces where it goes and then looks for work; either it sees this, or this sees where it went.
        return !_inGuest && !_blocked && !IoUringEnded;
    }

    private void BeginIoUring() => _runs = true;

    /// <summary>Called on the way into guest code or sleep, after a full fence; holding no lock.</summary>
    private void RunIoUringWork()
    {
        if (_ringWork is not null)
            Interlocked.Exchange(ref _ringWork, null)?.RunPending();
    }

    /// <summary>
    /// The thread ends, or executes another program (<paramref name="exec"/>): its requests are cancelled as on Linux. Only the
    /// task itself calls it, holding no lock.
    /// </summary>
    internal void EndIoUring(bool exec)
    {
        IoUringEnded = !exec;
        Interlocked.MemoryBarrier();
        RunIoUringWork();
        foreach (Ring ring in _rings)
            ring.CancelOf(this, exec);
        _rings.Clear();
        _lastRing = null;
    }

    /// <summary>Remembers that this task submits to a ring. Only the task itself calls it.</summary>
    internal void AddRing(Ring ring)
    {
        if (_lastRing == ring)
            return;
        _lastRing = ring;
        if (!_rings.Contains(ring))
            _rings.Add(ring);
    }
}
