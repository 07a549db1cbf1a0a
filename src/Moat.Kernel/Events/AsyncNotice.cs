using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>Whom the signals of O_ASYNC go to: struct f_owner_ex of fcntl(2).</summary>
internal struct FileOwner
{
    /// <summary>A thread, a process, a process group.</summary>
    public const int F_OWNER_TID = 0, F_OWNER_PID = 1, F_OWNER_PGRP = 2;

    /// <summary>What <see cref="Id"/> names.</summary>
    public int Type;

    /// <summary>The number; 0: nobody.</summary>
    public int Id;
}

/// <summary>
/// Signals about a description's readiness (O_ASYNC, F_SETOWN, F_SETSIG of fcntl(2)). A signal is sent by the waker's task on its way out of
/// the call, or by a worker: a waker may hold locks that sending takes.
/// </summary>
internal sealed class AsyncNotice : FileWatch
{
    // si_code of each reason, and the si_band that goes with it (sigaction(2)).
    private const int POLL_IN = 1, POLL_OUT = 2, POLL_ERR = 4, POLL_PRI = 5, POLL_HUP = 6;
    private const PollEvents
        In = PollEvents.POLLIN | PollEvents.POLLRDNORM,
        Out = PollEvents.POLLOUT | PollEvents.POLLWRNORM | PollEvents.POLLWRBAND,
        Priority = PollEvents.POLLPRI | PollEvents.POLLRDBAND,
        Hangup = PollEvents.POLLHUP | PollEvents.POLLERR;

    private readonly Sentry _sentry;
    private readonly Delivery _delivery;
    private readonly Lock _lock = new();
    private FileDescription? _file;
    private FileOwner _owner;
    private uint _uid, _effectiveUid;
    private int _signal, _fd, _events, _queued;

    /// <summary>One without owner and signal, off.</summary>
    public AsyncNotice(Sentry sentry)
    {
        _sentry = sentry;
        _delivery = new Delivery(this);
    }

    /// <summary>The signal besides SIGIO (F_SETSIG); 0: SIGIO without details.</summary>
    public int SignalNumber
    {
        get => Volatile.Read(ref _signal);
        set => Volatile.Write(ref _signal, value);
    }

    /// <summary>Who gets the signals.</summary>
    public FileOwner Owner
    {
        get
        {
            lock (_lock)
                return _owner;
        }
    }

    /// <summary>Real and effective user of who set the owner (F_GETOWNER_UIDS).</summary>
    public (uint Uid, uint EffectiveUid) Ids
    {
        get
        {
            lock (_lock)
                return (_uid, _effectiveUid);
        }
    }

    /// <summary>F_SETOWN, F_SETOWN_EX: the caller's ids decide later whom it may signal.</summary>
    public void SetOwner(Task task, FileOwner owner)
    {
        lock (_lock)
        {
            _owner = owner;
            _uid = task.Credentials.Uid;
            _effectiveUid = task.Credentials.EffectiveUid;
        }
    }

    /// <summary>O_ASYNC on (with the descriptor that signals shall name) or off (-1).</summary>
    public void Switch(FileDescription file, int fd)
    {
        lock (_lock)
        {
            _fd = fd;
            if (fd >= 0 == _file is not null)
                return;
            if (fd < 0)
            {
                Unlink(file);
                return;
            }
            _file = file;
            file.AddWatch(this);
            file.Waiters!.Add(this, In | Out | Priority | Hangup);
        }
    }

    /// <inheritdoc/>
    public override bool OnWake(PollEvents events)
    {
        Note(events == PollEvents.None ? In : events & ~Priority);
        return true;
    }

    /// <summary>Urgent data have come (SIGURG of socket(7)), whether O_ASYNC is on or not. Any thread, any lock held.</summary>
    public void NoteUrgent() => Note(Priority);

    private void Note(PollEvents events)
    {
        Interlocked.Or(ref _events, (int)events);
        if (Interlocked.Exchange(ref _queued, 1) == 0 && Task.Current?.TryTakeNotice(this) != true)
            _sentry.UringWorkers.Queue(_delivery);
    }

    /// <inheritdoc/>
    public override void OnFileReleased(FileDescription file)
    {
        lock (_lock)
            Unlink(file);
    }

    private void Unlink(FileDescription file)
    {
        if (_file is null)
            return;
        _file = null;
        Remove();
        file.RemoveWatch(this);
    }

    /// <summary>Sends what has been noted. Holding no lock.</summary>
    public void Send()
    {
        Volatile.Write(ref _queued, 0);
        PollEvents events = (PollEvents)Interlocked.Exchange(ref _events, 0);
        FileOwner owner;
        bool isOn;
        lock (_lock)
        {
            owner = _owner;
            isOn = _file is not null;
        }
        SigInfo urgent = new() { Signo = Signal.SIGURG, Code = Signal.SI_KERNEL };
        if ((events & Priority) != 0)
            Send(in owner, in urgent, in urgent);
        if (!isOn)
            return;
        if ((events & Priority) != 0)
            Send(POLL_PRI, Priority);
        if ((events & In) != 0)
            Send(POLL_IN, In);
        if ((events & Out) != 0)
            Send(POLL_OUT, Out);
        if ((events & PollEvents.POLLHUP) != 0)
            Send(POLL_HUP, Hangup);
        else if ((events & PollEvents.POLLERR) != 0)
            Send(POLL_ERR, PollEvents.POLLERR);
    }

    private void Send(int reason, PollEvents band)
    {
        SigInfo plain = new() { Signo = Signal.SIGIO, Code = Signal.SI_KERNEL };
        SigInfo info = SignalNumber == 0 ? plain
            : new SigInfo { Signo = SignalNumber, Code = reason, Band = (long)band, FileDescriptor = _fd };
        Send(Owner, in info, in plain);
    }

    private void Send(in FileOwner owner, in SigInfo info, in SigInfo plain)
    {
        switch (owner.Type)
        {
            case FileOwner.F_OWNER_TID when _sentry.Tasks.Find(owner.Id) is { } target:
                Send(target.Group, target, in info, in plain);
                break;
            case FileOwner.F_OWNER_PID when _sentry.Tasks.FindGroup(owner.Id) is { } group:
                Send(group, null, in info, in plain);
                break;
            case FileOwner.F_OWNER_PGRP:
                lock (_sentry.Processes.Lock)
                {
                    foreach (ThreadGroup member in _sentry.Tasks.GetGroups())
                    {
                        if (member.ProcessGroupId == owner.Id)
                            Send(member, null, in info, in plain);
                    }
                }
                break;
        }
    }

    private void Send(ThreadGroup group, Task? target, in SigInfo info, in SigInfo plain)
    {
        Credentials theirs = (target ?? group.Leader).Credentials;
        bool may = _effectiveUid == 0 || _effectiveUid == theirs.SavedUid || _effectiveUid == theirs.Uid
            || _uid == theirs.SavedUid || _uid == theirs.Uid;
        // A full queue loses the details, not the news.
        if (may && group.Send(target, in info) != Errno.OK)
            group.Send(target, in plain);
    }

    private sealed class Delivery(AsyncNotice notice) : WorkItem
    {
        public override void Run() => notice.Send();
    }
}
