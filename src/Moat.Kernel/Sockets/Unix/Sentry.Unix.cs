using Moat.Kernel.Sockets.Unix;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    /// <summary>Names of AF_UNIX sockets.</summary>
    public UnixNames UnixNames { get; } = new();

    /// <summary>AF_UNIX sockets on their way through others.</summary>
    public UnixGarbage UnixGarbage { get; } = new();
}
