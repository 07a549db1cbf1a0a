using Moat.Kernel.Events;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    /// <summary>Wakes who waits for host descriptors.</summary>
    public HostNotifier Notifier { get; } = new();
}
