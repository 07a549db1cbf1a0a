using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>A wait entry on a file that does not keep the file open: an epoll item.</summary>
internal abstract class FileWatch : WaitEntry
{
    internal FileWatch? NextOfFile, PreviousOfFile;

    /// <summary>
    /// The last reference to the watched file is gone. Returns when this watch is no longer linked to it. Called without a lock;
    /// may run beside the owner's own removal.
    /// </summary>
    public abstract void OnFileReleased(FileDescription file);
}
