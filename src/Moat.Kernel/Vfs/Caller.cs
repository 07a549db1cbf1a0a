using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

/// <summary>
/// On whose behalf a file operation runs: a task in its system call, or a worker with what an io_uring request carries.
/// </summary>
internal readonly struct Caller(Credentials credentials, FsContext fs, FdTable? files, Task? task)
{
    public Caller(Task task)
        : this(task.Credentials, task.Fs, task.Files, task)
    {
    }

    public Credentials Credentials { get; } = credentials;

    public FsContext Fs { get; } = fs;

    /// <summary>Where directory descriptors are looked up; null when there is no table.</summary>
    public FdTable? Files { get; } = files;

    /// <summary>The task asked for, which /proc/self shows; never blocked or changed through this. Null: the sandbox itself.</summary>
    public Task? Task { get; } = task;
}
