using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>
/// What requests run with: the memory, files and rights that their task had when it submitted them. A task that changes one of
/// them (execve, setuid) submits with another snapshot from then on.
/// </summary>
internal sealed class Submitter(Task task)
{
    public Task Task { get; } = task;

    public MemoryManager Mm { get; } = task.Mm;

    public FdTable Files { get; } = task.Files;

    public FsContext Fs { get; } = task.Fs;

    public Credentials Credentials { get; } = task.Credentials;

    /// <summary>For path operations.</summary>
    public Caller Caller => new(Credentials, Fs, Files, Task);

    /// <summary>True while the task still has all of this.</summary>
    public bool IsCurrent(Task task)
        => Task == task && Mm == task.Mm && Credentials == task.Credentials && Files == task.Files && Fs == task.Fs;
}
