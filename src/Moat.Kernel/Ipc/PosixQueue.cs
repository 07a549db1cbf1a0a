using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Ipc;

/// <summary>
/// How a queue tells <paramref name="Process"/> that a message has come (mq_notify(3)): with a signal, by <paramref name="Cookie"/>, or not at all.
/// </summary>
internal readonly record struct QueueNotice(ThreadGroup Process, int How, int Signal, ulong Value, QueueCookie? Cookie)
{
    public const int SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD = 2;
}

/// <summary>
/// A POSIX message queue (mq_overview(7)): messages of higher priority first, then the oldest. It lives while it has a name or a
/// descriptor. Its lock guards all of it; the table's comes before.
/// </summary>
internal sealed class PosixQueue : Inode
{
    private static readonly ulong s_device = DeviceNumber.NextAnonymous();

    private readonly Lock _lock = new();
    private readonly PriorityQueue<byte[], (long Priority, long Number)> _messages = new();
    private readonly PosixQueues _table;
    private readonly ulong _number = AnonymousFileSystem.NextInode();
    private InodePermissions _permissions;
    private Timespec _atime = RealTime.Now, _mtime = RealTime.Now, _ctime = RealTime.Now;
    private QueueNotice? _notice;
    private long _sent, _bytes;
    private int _users, _receivers;
    private bool _hasName = true;

    public PosixQueue(PosixQueues table, string name, InodePermissions permissions, long mostMessages, long mostBytes)
        : base(AnonymousFileSystem.Instance, FileMode.S_IFREG)
    {
        _table = table;
        Name = name;
        _permissions = permissions;
        MostMessages = mostMessages;
        MostBytes = mostBytes;
    }

    /// <summary>Without the slash.</summary>
    public string Name { get; }

    /// <summary>mq_maxmsg and mq_msgsize.</summary>
    public long MostMessages { get; }

    public long MostBytes { get; }

    /// <summary>What RLIMIT_MSGQUEUE counts: the messages that may come and what they are kept in, bytes.</summary>
    public long Charge => PosixQueues.ChargeOf(MostMessages, MostBytes);

    /// <summary>Who waits for a message, and for room.</summary>
    public WaitQueue Waiters { get; } = new();

    /// <summary>Messages in the queue.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _messages.Count;
        }
    }

    public override InodePermissions Permissions => _permissions;

    public override Errno GetStat(out FileStat stat)
    {
        const int StatusSize = 80;
        lock (_lock)
        {
            stat = new FileStat
            {
                Dev = s_device,
                Ino = _number,
                Mode = _permissions.Mode,
                Uid = _permissions.Uid,
                Gid = _permissions.Gid,
                Nlink = _hasName ? 1u : 0,
                Size = StatusSize,
                BlockSize = 4096,
                Atime = _atime,
                Mtime = _mtime,
                Ctime = _ctime,
            };
        }
        return Errno.OK;
    }

    public override Errno SetAttributes(in AttributeChange change)
    {
        if (change.Has(AttributeMask.Size))
            return Errno.EINVAL;
        lock (_lock)
        {
            _permissions = new InodePermissions(
                change.Has(AttributeMask.Mode) ? FileMode.S_IFREG | (change.Mode & ~FileMode.S_IFMT) : _permissions.Mode,
                change.Has(AttributeMask.Uid) ? change.Uid : _permissions.Uid,
                change.Has(AttributeMask.Gid) ? change.Gid : _permissions.Gid);
            _ctime = RealTime.Now;
        }
        return Errno.OK;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = new PosixQueueFile(this, flags);
        AddOpen();
        return Errno.OK;
    }

    /// <summary>A description stands for it.</summary>
    public void AddOpen() => Interlocked.Increment(ref _users);

    /// <summary>A description is gone; what nobody can reach any more is freed.</summary>
    public void DropOpen()
    {
        lock (_lock)
        {
            if (--_users == 0 && !_hasName)
                Empty();
        }
    }

    /// <summary>mq_unlink(2).</summary>
    public void DropName()
    {
        lock (_lock)
        {
            _hasName = false;
            if (_users == 0)
                Empty();
        }
    }

    private void Empty()
    {
        _messages.Clear();
        _table.Release(this, _bytes);
        _bytes = 0;
    }

    public PollEvents Poll()
    {
        lock (_lock)
        {
            return (_messages.Count != 0 ? PollEvents.POLLIN | PollEvents.POLLRDNORM : PollEvents.None)
                | (_messages.Count < MostMessages ? PollEvents.POLLOUT | PollEvents.POLLWRNORM : PollEvents.None);
        }
    }

    /// <summary>Puts a message in. EAGAIN: full; ENOMEM: the sandbox has too much in queues.</summary>
    public Errno Send(Task sender, byte[] message, uint priority)
    {
        lock (_lock)
        {
            if (_messages.Count >= MostMessages)
                return Errno.EAGAIN;
            if (!_table.Hold(message.Length))
                return Errno.ENOMEM;
            _bytes += message.Length;
            if (_messages.Count == 0 && _receivers == 0 && _notice is { } notice)
            {
                // Before anybody can take the message: a receiver that comes back for the next one is not interrupted. Whoever holds a
                // signal lock takes none of a queue.
                _notice = null;
                Tell(in notice, sender);
            }
            _messages.Enqueue(message, (-(long)priority, _sent++));
            _mtime = _ctime = RealTime.Now;
        }
        Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM);
        return Errno.OK;
    }

    private static void Tell(in QueueNotice notice, Task sender)
    {
        notice.Cookie?.Send(QueueCookie.Woken);
        if (notice.How != QueueNotice.SIGEV_SIGNAL)
            return;
        notice.Process.Send(new SigInfo
        {
            Signo = notice.Signal,
            Code = Signal.SI_MESGQ,
            Pid = sender.Group.Id,
            Uid = sender.Credentials.Uid,
            Value = notice.Value,
        });
    }

    /// <summary>Takes the first message out. EAGAIN: there is none.</summary>
    public Errno Receive(out byte[] message, out uint priority)
    {
        priority = 0;
        lock (_lock)
        {
            if (!_messages.TryDequeue(out byte[]? first, out (long Priority, long Number) order))
            {
                message = [];
                return Errno.EAGAIN;
            }
            message = first;
            priority = (uint)-order.Priority;
            _bytes -= first.Length;
            _table.Release(first.Length);
            _atime = RealTime.Now;
        }
        Waiters.Wake(PollEvents.POLLOUT | PollEvents.POLLWRNORM);
        return Errno.OK;
    }

    /// <summary>Somebody waits in mq_timedreceive(2), or no longer: who asked to be told is not meanwhile.</summary>
    public void CountReceiver(int change)
    {
        lock (_lock)
            _receivers += change;
    }

    /// <summary>mq_notify(2): registers; null: ends what <paramref name="process"/> has registered. EBUSY.</summary>
    public Errno SetNotice(ThreadGroup process, QueueNotice? notice)
    {
        lock (_lock)
        {
            if (notice is not null && _notice is not null)
                return Errno.EBUSY;
            if (notice is null)
            {
                if (_notice?.Process != process)
                    return Errno.OK;
                _notice.Value.Cookie?.Send(QueueCookie.Removed);
            }
            _notice = notice;
            return Errno.OK;
        }
    }

    /// <summary>What reading the descriptor tells.</summary>
    public string Describe()
    {
        lock (_lock)
        {
            QueueNotice notice = _notice.GetValueOrDefault();
            int signal = notice.How == QueueNotice.SIGEV_SIGNAL ? notice.Signal : 0;
            return $"QSIZE:{_bytes,-10} NOTIFY:{notice.How,-5} SIGNO:{signal,-5} NOTIFY_PID:{notice.Process?.Id ?? 0,-6}\n";
        }
    }
}

/// <summary>A descriptor of a queue.</summary>
internal sealed class PosixQueueFile(PosixQueue queue, OpenFlags flags) : FileDescription(flags)
{
    public PosixQueue Queue => queue;

    public override WaitQueue Waiters => queue.Waiters;

    public override bool IsSeekable => true;

    public override bool SupportsNoWait => false;

    /// <inheritdoc/>
    public override bool CanTransfer(bool write) => !write;

    public override PollEvents Poll() => queue.Poll();

    /// <summary>The state as a line of text.</summary>
    public override SysResult Read(Memory.IoVector to, ref long offset, RwFlags flags)
    {
        byte[] text = System.Text.Encoding.Latin1.GetBytes(queue.Describe());
        if (offset >= text.Length)
            return 0;
        int copied = to.CopyFrom(text.AsSpan((int)offset));
        offset += copied;
        return copied == 0 && to.Remaining > 0 ? Errno.EFAULT : copied;
    }

    public override SysResult Seek(long offset, int whence) => SeekPosition(offset, whence);

    /// <summary>The process that asked to be told closes one of its descriptors: it gets none.</summary>
    public override void OnDescriptorClosed(FdTable table)
    {
        if (Task.Current is { } task && task.Files == table)
            queue.SetNotice(task.Group, null);
    }

    protected override void Release() => queue.DropOpen();
}

/// <summary>The POSIX message queues of a sandbox, by name.</summary>
internal sealed class PosixQueues
{
    /// <summary>fs.mqueue: queues_max, msg_default, msg_max, msgsize_default, msgsize_max; and what CAP_SYS_RESOURCE may exceed them to.</summary>
    public const int MaxQueues = 256, DefaultMessages = 10, MaxMessages = 10, DefaultSize = 8192, MaxSize = 8192,
        HardMaxMessages = 65536, HardMaxSize = 16 << 20;

    // Bytes in all queues: they are the sentry's memory.
    private const long MostBytes = 64 << 20;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, PosixQueue> _byName = new(StringComparer.Ordinal);
    private long _bytes, _charged;

    /// <summary>What a queue counts for under RLIMIT_MSGQUEUE.</summary>
    public static long ChargeOf(long messages, long size)
    {
        const int PerMessage = 56, PerPriority = 48, Priorities = 32768;
        return (messages * (size + PerMessage - PerPriority)) + (Math.Min(messages, Priorities) * PerPriority);
    }

    public PosixQueue? Find(string name)
    {
        lock (_lock)
            return _byName.GetValueOrDefault(name);
    }

    /// <summary>Enters a new queue. EEXIST, ENOSPC (too many), EMFILE (RLIMIT_MSGQUEUE).</summary>
    public Errno Add(PosixQueue queue, ulong limit, bool isPrivileged)
    {
        lock (_lock)
        {
            if (_byName.ContainsKey(queue.Name))
                return Errno.EEXIST;
            if (_byName.Count >= MaxQueues && !isPrivileged)
                return Errno.ENOSPC;
            if ((ulong)(_charged + queue.Charge) > limit)
                return Errno.EMFILE;
            _charged += queue.Charge;
            _byName.Add(queue.Name, queue);
            return Errno.OK;
        }
    }

    /// <summary>Takes a name out. False: it means another queue by now.</summary>
    public bool Remove(PosixQueue queue)
    {
        lock (_lock)
            return _byName.GetValueOrDefault(queue.Name) == queue && _byName.Remove(queue.Name);
    }

    /// <summary>Room for a message's bytes. False: too many in all.</summary>
    public bool Hold(int bytes)
    {
        if (Interlocked.Add(ref _bytes, bytes) <= MostBytes)
            return true;
        Interlocked.Add(ref _bytes, -bytes);
        return false;
    }

    public void Release(int bytes) => Interlocked.Add(ref _bytes, -bytes);

    /// <summary>A queue is gone, with the bytes that were in it.</summary>
    public void Release(PosixQueue queue, long bytes)
    {
        Interlocked.Add(ref _bytes, -bytes);
        Interlocked.Add(ref _charged, -queue.Charge);
    }
}
