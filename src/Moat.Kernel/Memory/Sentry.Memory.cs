using Moat.Kernel.Memory;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    /// <summary>The memory of all guests, of files in memory and of rings.</summary>
    public FrameAllocator Frames { get; } = new(platform.Memory);
}
