using Moat.Kernel.Syscalls;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    private int _barriers;

    /// <summary>What the program has registered for (membarrier(2)).</summary>
    public MembarrierCommand BarrierRegistrations => (MembarrierCommand)Volatile.Read(ref _barriers);

    /// <summary>True when it has registered for a command.</summary>
    public bool HasBarrier(MembarrierCommand registration) => (BarrierRegistrations & registration) != 0;

    /// <summary>Registers; for good.</summary>
    public void RegisterBarrier(MembarrierCommand registration) => Interlocked.Or(ref _barriers, (int)registration);

    /// <summary>A barrier on all processors that run this program's threads.</summary>
    public Errno Barrier(bool core) => FromHost(Space.Barrier(core));
}
