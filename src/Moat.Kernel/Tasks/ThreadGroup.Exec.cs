using Moat.Kernel.Vfs;

namespace Moat.Kernel.Tasks;

internal sealed partial class ThreadGroup
{
    private FileDescription? _executable;
    private Task? _execTask;

    /// <summary>What /proc/self/exe is; null before the first program. Alive while the process is.</summary>
    public FileDescription? Executable => Volatile.Read(ref _executable);

    /// <summary>
    /// Takes over a reference to the program's file, which cannot be written from now on (ETXTBSY); null when the process has ended.
    /// </summary>
    internal void SetExecutable(FileDescription? file)
    {
        // A writer that came since the file was opened stays: the program runs all the same.
        file?.Claim(execute: true);
        Interlocked.Exchange(ref _executable, file)?.DropReference();
    }

    /// <summary>
    /// One thread is about to replace the program: all others end, no new ones start. False when the process ends or another
    /// thread was first.
    /// </summary>
    internal bool BeginExec(Task task)
    {
        lock (SignalLock)
        {
            if (_exiting || _execTask is not null)
                return false;
            _execTask = task;
            foreach (Task other in _tasks)
            {
                if (other != task)
                    other.EndForExec();
            }
            return true;
        }
    }

    /// <summary>The program is replaced.</summary>
    internal void EndExec()
    {
        lock (SignalLock)
            _execTask = null;
    }

    /// <summary>The thread that replaces the program takes the process's id.</summary>
    internal void SetLeader(Task task)
    {
        lock (SignalLock)
            Leader = task;
    }
}
