using Moat.Kernel.FileSystems.Tmp;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    private TmpFileSystem? _memoryFiles;

    /// <summary>Where files of memfd_create(2) live; mounted nowhere.</summary>
    public TmpFileSystem MemoryFiles => LazyInitializer.EnsureInitialized(ref _memoryFiles, () => new TmpFileSystem(Frames));
}
