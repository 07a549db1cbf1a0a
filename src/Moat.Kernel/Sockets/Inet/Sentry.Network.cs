using Moat.Kernel.Sockets.Inet;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    private NetworkInterfaces? _interfaces;

    /// <summary>Which network the guests have.</summary>
    public NetworkMode Network { get; init; }

    /// <summary>Its interfaces.</summary>
    public NetworkInterfaces Interfaces => LazyInitializer.EnsureInitialized(ref _interfaces, () => new NetworkInterfaces(Network));
}
