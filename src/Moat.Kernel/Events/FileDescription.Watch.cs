using Moat.Kernel.Events;

namespace Moat.Kernel.Vfs;

internal abstract partial class FileDescription
{
    private FileWatch? _watches;

    /// <summary>Links a watch that holds no reference: it hears of the release before anything is given back.</summary>
    public void AddWatch(FileWatch watch)
    {
        lock (WatchLock)
        {
            watch.NextOfFile = _watches;
            watch.PreviousOfFile = null;
            if (_watches is not null)
                _watches.PreviousOfFile = watch;
            _watches = watch;
        }
    }

    /// <summary>Unlinks a watch that is linked here.</summary>
    public void RemoveWatch(FileWatch watch)
    {
        lock (WatchLock)
        {
            if (watch.PreviousOfFile is not null)
                watch.PreviousOfFile.NextOfFile = watch.NextOfFile;
            else if (_watches == watch)
                _watches = watch.NextOfFile;
            if (watch.NextOfFile is not null)
                watch.NextOfFile.PreviousOfFile = watch.PreviousOfFile;
            watch.NextOfFile = watch.PreviousOfFile = null;
        }
    }

    /// <summary>The watches there are, now.</summary>
    protected List<FileWatch> GetWatches()
    {
        List<FileWatch> watches = [];
        lock (WatchLock)
        {
            for (FileWatch? watch = _watches; watch is not null; watch = watch.NextOfFile)
                watches.Add(watch);
        }
        return watches;
    }

    /// <summary>A leaf lock: nothing else is taken under it.</summary>
    private Lock WatchLock { get; } = new();

    private void ReleaseWatches()
    {
        if (Volatile.Read(ref _watches) is null)
            return;
        while (true)
        {
            FileWatch? watch;
            lock (WatchLock)
                watch = _watches;
            if (watch is null)
                return;
            watch.OnFileReleased(this);
        }
    }
}
