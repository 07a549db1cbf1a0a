using Moat.Platform;

namespace Moat.Kernel.Memory;

// What tasks need of the memory manager until it is there.
internal sealed partial class MemoryManager
{
    /// <summary>Resolves a fault (true), or says which signal it is.</summary>
    public bool HandleFault(in GuestFault fault, out SigInfo info) => throw new NotSupportedException();
}
