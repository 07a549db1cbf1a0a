using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>A watched file (inotify_add_watch(2)). The place is held so that whoever walks there meets the same inode.</summary>
internal sealed class InotifyWatch(Inotify owner, int descriptor, VfsPath place, InotifyMask mask)
{
    private int _mask = (int)mask;

    public Inotify Owner { get; } = owner;

    /// <summary>The number that events carry.</summary>
    public int Descriptor { get; } = descriptor;

    public VfsPath Place { get; } = place;

    public Inode Inode => Place.Inode;

    public InotifyMask Mask
    {
        get => (InotifyMask)Volatile.Read(ref _mask);
        set => Volatile.Write(ref _mask, (int)value);
    }
}

/// <summary>A queue of what happens to watched files (inotify(7)). What the host itself changes in volumes is not seen.</summary>
internal sealed class Inotify : AnonymousFile
{
    /// <summary>fs.inotify: max_user_instances, max_user_watches, max_queued_events.</summary>
    public const int MaxInstances = 128, MaxWatches = 65536, MaxQueued = 16384;

    private const int HeaderSize = 16;

    private readonly Lock _lock = new();
    private readonly Sentry _sentry;
    private readonly Queue<Event> _queue = [];
    private readonly Dictionary<int, InotifyWatch> _byDescriptor = [];
    private readonly Dictionary<Inode, InotifyWatch> _byInode = [];
    private Event _last;
    private int _bytes, _lastDescriptor;

    private readonly record struct Event(int Descriptor, InotifyMask Mask, uint Cookie, string? Name)
    {
        /// <summary>Bytes of the name as it is read, padded to whole headers.</summary>
        public int NameSize => string.IsNullOrEmpty(Name) ? 0 : (Name.Length + HeaderSize) & ~(HeaderSize - 1);

        public int Size => HeaderSize + NameSize;
    }

    public override bool SupportsNoWait => false;

    private Inotify(Sentry sentry, OpenFlags flags)
        : base(OpenFlags.O_RDONLY | flags, "inotify") => _sentry = sentry;

    /// <summary>Makes one. EMFILE beyond <see cref="MaxInstances"/>.</summary>
    public static Errno Create(Sentry sentry, OpenFlags flags, out Inotify? made)
    {
        made = null;
        if (Interlocked.Increment(ref sentry.InotifyInstances) > MaxInstances)
        {
            Interlocked.Decrement(ref sentry.InotifyInstances);
            return Errno.EMFILE;
        }
        made = new Inotify(sentry, flags);
        return Errno.OK;
    }

    public override WaitQueue Waiters { get; } = new();

    /// <inheritdoc/>
    public override bool TakesParts(bool write) => !write;

    /// <inheritdoc/>
    public override bool HasAsyncNotice => true;

    /// <inheritdoc/>
    public override bool CanTransfer(bool write) => !write;

    public override PollEvents Poll()
    {
        lock (_lock)
            return _queue.Count != 0 ? PollEvents.POLLIN | PollEvents.POLLRDNORM : PollEvents.None;
    }

    /// <summary>Watches a place, or changes how it is watched. The watch's number, or EEXIST, ENOSPC.</summary>
    public SysResult Watch(VfsPath place, InotifyMask mask)
    {
        const InotifyMask Kept = InotifyMask.IN_ALL_EVENTS | InotifyMask.IN_EXCL_UNLINK | InotifyMask.IN_ONESHOT;
        InotifyWatch watch;
        lock (_lock)
        {
            if (_byInode.TryGetValue(place.Inode, out InotifyWatch? known))
            {
                if ((mask & InotifyMask.IN_MASK_CREATE) != 0)
                    return Errno.EEXIST;
                known.Mask = (mask & Kept) | ((mask & InotifyMask.IN_MASK_ADD) != 0 ? known.Mask : 0);
                return known.Descriptor;
            }
            if (Interlocked.Increment(ref _sentry.InotifyWatches) > MaxWatches)
            {
                Interlocked.Decrement(ref _sentry.InotifyWatches);
                return Errno.ENOSPC;
            }
            watch = new InotifyWatch(this, ++_lastDescriptor, place, mask & Kept);
            _byDescriptor.Add(watch.Descriptor, watch);
            _byInode.Add(place.Inode, watch);
        }
        FileEvents.Add(watch);
        return watch.Descriptor;
    }

    /// <summary>inotify_rm_watch(2). EINVAL.</summary>
    public Errno Unwatch(int descriptor)
    {
        InotifyWatch? watch;
        lock (_lock)
            _byDescriptor.TryGetValue(descriptor, out watch);
        return watch is not null && Drop(watch) ? Errno.OK : Errno.EINVAL;
    }

    /// <summary>A watch ends: IN_IGNORED tells. False: it has ended already.</summary>
    public bool Drop(InotifyWatch watch)
    {
        lock (_lock)
        {
            if (!_byDescriptor.Remove(watch.Descriptor))
                return false;
            _byInode.Remove(watch.Inode);
        }
        FileEvents.Remove(watch);
        Interlocked.Decrement(ref _sentry.InotifyWatches);
        Queue(new Event(watch.Descriptor, InotifyMask.IN_IGNORED, 0, null));
        return true;
    }

    /// <summary>Something happened that a watch is for.</summary>
    public void Tell(InotifyWatch watch, InotifyMask what, string? name, uint cookie)
    {
        if ((what & InotifyMask.IN_DELETE_SELF) != 0 || (what & InotifyMask.IN_MOVE_SELF) != 0)
            what &= ~InotifyMask.IN_ISDIR;
        Queue(new Event(watch.Descriptor, what, cookie, name));
        if ((watch.Mask & InotifyMask.IN_ONESHOT) != 0)
            Drop(watch);
    }

    private void Queue(Event happened)
    {
        lock (_lock)
        {
            // The same once more tells nothing new.
            if (_queue.Count != 0 && _last == happened)
                return;
            if (_queue.Count >= MaxQueued)
            {
                happened = new Event(-1, InotifyMask.IN_Q_OVERFLOW, 0, null);
                if (_last == happened)
                    return;
            }
            _queue.Enqueue(happened);
            _last = happened;
            _bytes += happened.Size;
        }
        Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM);
    }

    /// <summary>Takes as many events as fit. EINVAL when not even one does, EAGAIN.</summary>
    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        Span<byte> bytes = stackalloc byte[HeaderSize + 256 + HeaderSize];
        long done = 0;
        lock (_lock)
        {
            while (_queue.TryPeek(out Event next))
            {
                if ((ulong)next.Size > to.Remaining)
                    return done != 0 ? done : Errno.EINVAL;
                Span<byte> one = bytes[..next.Size];
                one.Clear();
                BinaryPrimitives.WriteInt32LittleEndian(one, next.Descriptor);
                BinaryPrimitives.WriteUInt32LittleEndian(one[4..], (uint)next.Mask);
                BinaryPrimitives.WriteUInt32LittleEndian(one[8..], next.Cookie);
                BinaryPrimitives.WriteInt32LittleEndian(one[12..], next.NameSize);
                if (next.NameSize != 0)
                    Encoding.Latin1.GetBytes(next.Name, one[HeaderSize..]);
                _queue.Dequeue();
                _bytes -= next.Size;
                if (to.CopyFrom(one) != one.Length)
                    return done != 0 ? done : Errno.EFAULT;
                done += next.Size;
            }
        }
        return done != 0 ? done : Errno.EAGAIN;
    }

    public override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        const uint FIONREAD = 0x541B;
        return command == FIONREAD ? task.Mm.Write(new UserPtr<int>(argument), Volatile.Read(ref _bytes)) : Errno.ENOTTY;
    }

    public override void AppendFdInfo(StringBuilder text)
    {
        InotifyWatch[] watches;
        lock (_lock)
            watches = [.. _byDescriptor.Values];
        foreach (InotifyWatch watch in watches)
        {
            if (watch.Inode.GetStat(out FileStat stat) == Errno.OK)
            {
                text.Append(CultureInfo.InvariantCulture,
                    $"inotify wd:{watch.Descriptor:x} ino:{stat.Ino:x} sdev:{stat.Dev:x} mask:{(uint)watch.Mask:x} ignored_mask:0\n");
            }
        }
    }

    protected override void Release()
    {
        InotifyWatch[] watches;
        lock (_lock)
        {
            watches = [.. _byDescriptor.Values];
            _byDescriptor.Clear();
            _byInode.Clear();
        }
        foreach (InotifyWatch watch in watches)
            FileEvents.Remove(watch);
        Interlocked.Add(ref _sentry.InotifyWatches, -watches.Length);
        Interlocked.Decrement(ref _sentry.InotifyInstances);
    }
}
