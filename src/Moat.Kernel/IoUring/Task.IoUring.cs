using Moat.Kernel.IoUring;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private readonly List<Ring> _rings = [];
    private Ring? _lastRing;

    /// <summary>True once the thread has ended: what it submitted and is still waiting is cancelled when woken.</summary>
    internal bool IoUringEnded { get; private set; }

    /// <summary>
    /// The thread ends, or executes another program (<paramref name="exec"/>): its requests are cancelled as on Linux. Only the
    /// task itself calls it, holding no lock.
    /// </summary>
    internal void EndIoUring(bool exec)
    {
        IoUringEnded = !exec;
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
