namespace Moat.Kernel;

internal sealed partial class Sentry
{
    /// <summary>Events that contexts of native asynchronous I/O were made for (fs.aio-nr).</summary>
    internal int AioEvents;
}
