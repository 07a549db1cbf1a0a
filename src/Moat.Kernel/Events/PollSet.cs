using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>
/// The files that one task polls in one call: poll(2), select(2) and their kin. Belongs to the task and is reused;
/// nothing is allocated once its entries exist.
/// </summary>
internal sealed class PollSet(Task task)
{
    private const int Kept = 1024;

    private readonly Task _task = task;
    private Entry[] _entries = [];
    private bool _registered;

    /// <summary>How many files the set has.</summary>
    public int Count { get; private set; }

    /// <summary>What was ready of the file added as number <paramref name="index"/>, at the last look.</summary>
    public PollEvents Ready(int index) => _entries[index].Ready;

    /// <summary>
    /// Adds a file and takes over the caller's reference. POLLERR and POLLHUP are always looked for. Null: not open,
    /// which is ready with POLLNVAL.
    /// </summary>
    public void Add(FileDescription? file, PollEvents events)
    {
        if (Count == _entries.Length)
            Array.Resize(ref _entries, Math.Max(16, Count * 2));
        Entry entry = _entries[Count] ??= new Entry(_task);
        Count++;
        entry.File = file;
        entry.Wanted = events | PollEvents.POLLERR | PollEvents.POLLHUP;
        entry.Ready = PollEvents.None;
        entry.Host = -1;
        if (file is not null && file.PollDescriptor is >= 0 and int descriptor)
            entry.Host = _task.HostDescriptors.Add(descriptor, (uint)(file.PollsOnHost ? entry.Wanted : PollEvents.POLLIN));
    }

    /// <summary>Adds a descriptor of the task; EBADF leaves a POLLNVAL entry. O_PATH descriptors are not open here.</summary>
    public Errno Add(int fd, PollEvents events)
    {
        FileDescription? file = _task.Files.Get(fd);
        if (file is not null && (file.Flags & OpenFlags.O_PATH) != 0)
        {
            file.DropReference();
            file = null;
        }
        Add(file, events);
        return file is null ? Errno.EBADF : Errno.OK;
    }

    /// <summary>Keeps the place of a descriptor that is to be ignored (poll(2): negative).</summary>
    public void AddIgnored()
    {
        Add(null, PollEvents.None);
        _entries[Count - 1].Wanted = PollEvents.None;
    }

    /// <summary>
    /// Waits until a file is ready, a signal comes or the deadline passes (0: only looks). Returns how many are ready, 0 when
    /// the deadline passed, EINTR when interrupted with none ready.
    /// </summary>
    public SysResult Wait(long deadline)
    {
        int ready = Look(lookOnHost: true);
        if (ready > 0 || deadline == 0)
            return ready;
        Register();
        WaitOutcome outcome = WaitOutcome.Woken;
        // Waiting for host descriptors begins with a look at them, and brings what was seen.
        bool onHost = _task.HostDescriptors.Count > 0;
        while (true)
        {
            ready = Look(lookOnHost: false);
            if (ready > 0 || outcome == WaitOutcome.TimedOut)
                return ready;
            if (outcome == WaitOutcome.Interrupted)
                return Errno.EINTR;
            outcome = onHost ? _task.BlockBeside(deadline) : _task.Block(deadline);
        }
    }

    /// <summary>Leaves all queues and gives the files back.</summary>
    public void Clear()
    {
        for (int i = 0; i < Count; i++)
        {
            Entry entry = _entries[i];
            if (_registered)
                entry.Remove();
            entry.File?.DropReference();
            entry.File = null;
        }
        _registered = false;
        _task.HostDescriptors.Clear();
        Count = 0;
        if (_entries.Length > Kept)
            Array.Resize(ref _entries, Kept);
    }

    private void Register()
    {
        _registered = true;
        for (int i = 0; i < Count; i++)
        {
            Entry entry = _entries[i];
            entry.File?.Waiters?.Add(entry, entry.Wanted, besideHost: entry.Host >= 0);
        }
    }

    private int Look(bool lookOnHost)
    {
        int ready = 0;
        if (lookOnHost)
            _task.HostDescriptors.Look();
        for (int i = 0; i < Count; i++)
        {
            Entry entry = _entries[i];
            if (entry.File is { } file)
                entry.Ready = (file.PollsOnHost ? (PollEvents)_task.HostDescriptors.Ready(entry.Host) : file.Poll()) & entry.Wanted;
            else
                entry.Ready = entry.Wanted == PollEvents.None ? PollEvents.None : PollEvents.POLLNVAL;
            if (entry.Ready != PollEvents.None)
                ready++;
        }
        return ready;
    }

    private sealed class Entry : WaitEntry
    {
        private readonly Task _task;

        public Entry(Task task)
        {
            _task = task;
            GoesFirst = true;
        }

        public FileDescription? File;
        public PollEvents Wanted, Ready;

        /// <summary>Its place among the task's host descriptors, or -1.</summary>
        public int Host;

        public override bool OnWake(PollEvents events)
        {
            _task.Wake();
            return true;
        }
    }
}

/// <summary>A task in epoll_wait(2): one caller wakes per event, and leaves the queue by being woken.</summary>
internal sealed class EpollCaller : WaitEntry
{
    private readonly Task _task;

    public EpollCaller(Task task)
    {
        _task = task;
        Exclusive = true;
        GoesFirst = true;
    }

    public override bool OnWake(PollEvents events)
    {
        Queue!.RemoveFromCallback(this);
        _task.Wake();
        return true;
    }
}
