using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Platform;

namespace Moat.Kernel;

/// <summary>One sandbox: everything that its guests share.</summary>
internal sealed partial class Sentry(GuestPlatform platform)
{
    /// <summary>How guests execute.</summary>
    public GuestPlatform Platform { get; } = platform;
}
