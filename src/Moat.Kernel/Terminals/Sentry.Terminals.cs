using Moat.Kernel.Terminals;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    private PtyTable? _terminals;

    /// <summary>The pseudoterminals of the sandbox.</summary>
    public PtyTable Terminals => LazyInitializer.EnsureInitialized(ref _terminals, () => new PtyTable(this));
}
