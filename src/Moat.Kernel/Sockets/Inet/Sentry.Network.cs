using Moat.Kernel.Sockets.Inet;
using Moat.Kernel.Sockets.Inet.Loopback;
using Moat.Kernel.Sockets.Netlink;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    private NetworkInterfaces? _interfaces;

    /// <summary>Which network the guests have.</summary>
    public NetworkMode Network { get; init; }

    /// <summary>The sandbox's own loopback, when it has no other network.</summary>
    public LoopbackNetwork Loopback { get; } = new();

    /// <summary>The ports of netlink sockets.</summary>
    public NetlinkPorts NetlinkPorts { get; } = new();

    /// <summary>Its interfaces.</summary>
    public NetworkInterfaces Interfaces => LazyInitializer.EnsureInitialized(ref _interfaces, () => new NetworkInterfaces(Network));
}
