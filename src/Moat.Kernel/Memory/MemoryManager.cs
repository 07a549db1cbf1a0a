using Moat.Platform;

namespace Moat.Kernel.Memory;

/// <summary>
/// A guest address space: the set of its mappings (VMAs) and the one door to guest memory. Guest addresses are hostile:
/// every access is translated, and what is not mapped with the right access is EFAULT.
/// </summary>
internal sealed partial class MemoryManager
{
}
