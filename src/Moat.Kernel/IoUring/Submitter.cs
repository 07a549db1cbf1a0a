using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>
/// What requests run with: the memory, files and rights that their task had when it submitted them. A task that changes one of
/// them (execve, setuid) submits with another snapshot from then on.
/// </summary>
internal sealed class Submitter
{
    /// <summary>What the task has now.</summary>
    public Submitter(Task task)
    {
        Task = task;
        Mm = task.Mm;
        Files = task.Files;
        Fs = task.Fs;
        Credentials = task.Credentials;
    }

    /// <summary>The same with other credentials (IORING_REGISTER_PERSONALITY).</summary>
    public Submitter(Submitter other, Credentials credentials)
    {
        Task = other.Task;
        Mm = other.Mm;
        Files = other.Files;
        Fs = other.Fs;
        Credentials = credentials;
        HasPersonality = true;
    }

    public Task Task { get; }

    public MemoryManager Mm { get; }

    public FdTable Files { get; }

    public FsContext Fs { get; }

    public Credentials Credentials { get; }

    /// <summary>The credentials are not the task's own.</summary>
    public bool HasPersonality { get; }

    /// <summary>For path operations.</summary>
    public Caller Caller => new(Credentials, Fs, Files, Task);

    /// <summary>True while the task still has all of this.</summary>
    public bool IsCurrent(Task task)
        => Task == task && Mm == task.Mm && Credentials == task.Credentials && Files == task.Files && Fs == task.Fs;

    /// <summary>True when all but the credentials is the same.</summary>
    public bool IsLike(Submitter other) => Task == other.Task && Mm == other.Mm && Files == other.Files && Fs == other.Fs;
}
