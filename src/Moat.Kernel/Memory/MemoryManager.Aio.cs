using Moat.Kernel.Aio;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    private AioTable? _aio;

    /// <summary>Contexts of native asynchronous I/O (io_setup(2)), or null when there never were any. They end with the address space.</summary>
    public AioTable? AioIfAny => Volatile.Read(ref _aio);

    /// <summary>The same, made when it is not there.</summary>
    public AioTable GetAio() => LazyInitializer.EnsureInitialized(ref _aio);
}
