using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    private MemoryManager CreateMemory() => new(this);

    private Errno LoadFirst(Task task, SentryOptions options) => throw new NotSupportedException();
}
