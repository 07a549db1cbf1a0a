using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>
/// A standard stream: a descriptor that Moat was started with, shared with whoever started it. O_NONBLOCK is never set on
/// a shared description. Pipes and terminals are opened once more, as a description of Moat's own; sockets are asked not
/// to block call by call; regular files keep the shared position, so that <c>moat do -- cmd &gt;&gt; log</c> and a shell's
/// own output take turns as they would without Moat.
/// </summary>
internal sealed unsafe partial class HostStream : FileDescription
{
    private enum Kind
    {
        /// <summary>Has a position, or never blocks: regular files, block devices, /dev/null and its like.</summary>
        Plain,

        /// <summary>A pipe, terminal or character device behind a description of its own.</summary>
        Own,

        /// <summary>The same where the host does not let it be opened again: asked before each call whether it would block.</summary>
        Shared,

        Socket,
    }

    private readonly HostNotifier _notifier;
    private readonly Kind _kind;
    private readonly uint _mode;
    private readonly int _original, _fd;
    private readonly Lock _lock = new();
    private readonly WaitQueue? _waiters;
    private int _watch = -1;

    private HostStream(HostNotifier notifier, int original, int fd, Kind kind, uint mode, bool hasReadiness, OpenFlags flags)
        : base(flags)
    {
        _notifier = notifier;
        _original = original;
        _fd = fd;
        _kind = kind;
        _mode = mode;
        _waiters = hasReadiness ? new WaitQueue() : null;
    }

    /// <summary>
    /// Takes over a standard stream. Null when the descriptor is not open: then the guest's is not either.
    /// </summary>
    public static HostStream? Create(HostNotifier notifier, int hostFd)
    {
        const int O_NONBLOCK = 0x800;
        long mode = HostStreamCalls.GetMode(hostFd);
        int flags = HostStreamCalls.GetFlags(hostFd);
        if (mode < 0 || flags < 0)
            return null;
        uint type = (uint)mode & FileMode.S_IFMT;
        int fd = hostFd;
        Kind kind = type switch
        {
            FileMode.S_IFSOCK => Kind.Socket,
            FileMode.S_IFIFO or FileMode.S_IFCHR => Kind.Shared,
            _ => Kind.Plain,
        };
        bool hasReadiness = kind != Kind.Plain;
        if (kind == Kind.Shared)
        {
            hasReadiness = CanBeWatched(hostFd);
            if (!hasReadiness)
            {
                kind = Kind.Plain;
            }
            else if (HostStreamCalls.Reopen(hostFd, (flags & (int)OpenFlags.O_ACCMODE) | O_NONBLOCK) is >= 0 and int own)
            {
                fd = own;
                kind = Kind.Own;
            }
        }
        // O_NONBLOCK of the shared description is the starter's; the guest starts with what it would have seen.
        return new HostStream(notifier, hostFd, fd, kind, (uint)mode, hasReadiness, (OpenFlags)flags);
    }

    public override bool IsSeekable => _kind == Kind.Plain && IsRegular;

    public override bool IsRegular => (_mode & FileMode.S_IFMT) is FileMode.S_IFREG or FileMode.S_IFBLK;

    public override bool RaisesSigpipe => (_mode & FileMode.S_IFMT) is FileMode.S_IFIFO or FileMode.S_IFSOCK;

    public override string AnonymousName => HostStreamCalls.GetName(_original);

    public override WaitQueue? Waiters
    {
        get
        {
            if (_waiters is not null && Volatile.Read(ref _watch) < 0)
                Watch();
            return _waiters;
        }
    }

    public override PollEvents Poll()
    {
        const uint Asked = (uint)(PollEvents.POLLIN | PollEvents.POLLPRI | PollEvents.POLLOUT | PollEvents.POLLRDNORM
            | PollEvents.POLLWRNORM | PollEvents.POLLRDBAND | PollEvents.POLLWRBAND | PollEvents.POLLRDHUP);
        return _waiters is null ? base.Poll() : (PollEvents)HostEpoll.PollNow(_fd, Asked);
    }

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        long r = IsSeekable ? HostStreamCalls.Read(_fd, to.Items, to.Count, offset, (int)flags) : ReadStream(to, flags);
        if (r > 0 && IsSeekable)
            offset += r;
        return Done(to, r);
    }

    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
    {
        flags |= Appending;
        long r = IsSeekable ? HostStreamCalls.Write(_fd, from.Items, from.Count, offset, (int)flags) : WriteStream(from, flags);
        if (r > 0 && IsSeekable)
            offset += r;
        return Done(from, r);
    }

    public override SysResult ReadNext(IoVector to, RwFlags flags) => Done(to, ReadStream(to, flags));

    public override SysResult WriteNext(IoVector from, RwFlags flags) => Done(from, WriteStream(from, flags | Appending));

    public override SysResult Seek(long offset, int whence)
        => IsSeekable ? FromHost(HostStreamCalls.Seek(_fd, offset, whence)) : _kind == Kind.Plain ? 0 : Errno.ESPIPE;

    public override SysResult Sync(bool dataOnly) => FromHost(HostStreamCalls.Sync(_fd, dataOnly));

    public override SysResult Truncate(long length) => FromHost(HostStreamCalls.Truncate(_fd, length));

    public override SysResult Allocate(int mode, long offset, long length)
        => FromHost(HostStreamCalls.Allocate(_fd, mode, offset, length));

    /// <summary>Gives the host descriptors back, so that a reader of this stream sees its end now and not when Moat ends.</summary>
    protected override void Release()
    {
        lock (_lock)
        {
            if (_watch >= 0)
                _notifier.Unwatch(_watch, _fd);
        }
        if (_fd != _original)
            HostStreamCalls.Close(_fd);
        // Standard error stays: Moat itself may have to say something.
        if (_original is 0 or 1)
            HostStreamCalls.ReplaceByNull(_original);
    }

    /// <summary>O_APPEND set by the guest, which the shared description does not have.</summary>
    private RwFlags Appending => (Flags & OpenFlags.O_APPEND) != 0 && IsSeekable ? RwFlags.RWF_APPEND : RwFlags.None;

    private long ReadStream(IoVector to, RwFlags flags)
    {
        if (_kind == Kind.Socket)
            return HostStreamCalls.Receive(_fd, to.Items, to.Count);
        if (_kind == Kind.Shared && (Poll() & (PollEvents.POLLIN | PollEvents.POLLERR | PollEvents.POLLHUP)) == 0)
            return -(long)Errno.EAGAIN;
        return HostStreamCalls.Read(_fd, to.Items, to.Count, -1, (int)HostFlags(flags));
    }

    private long WriteStream(IoVector from, RwFlags flags)
    {
        if (_kind == Kind.Socket)
            return HostStreamCalls.Send(_fd, from.Items, from.Count);
        if (_kind == Kind.Shared)
        {
            if ((Poll() & (PollEvents.POLLOUT | PollEvents.POLLERR | PollEvents.POLLHUP)) == 0)
                return -(long)Errno.EAGAIN;
            // A ready pipe takes one page without waiting, no more is sure.
            IoVec first = from.Items[0];
            first.Length = Math.Min(first.Length, 4096);
            // SAFETY: first lives on this frame and describes the start of the vector's first span.
            return HostStreamCalls.Write(_fd, &first, 1, -1, 0);
        }
        return HostStreamCalls.Write(_fd, from.Items, from.Count, -1, (int)HostFlags(flags));
    }

    /// <summary>Only regular files know these; streams answer EOPNOTSUPP to some of them.</summary>
    private RwFlags HostFlags(RwFlags flags) => IsSeekable ? flags : RwFlags.None;

    private static SysResult Done(IoVector vector, long result)
    {
        if (result > 0)
            vector.Advance((ulong)result);
        return FromHost(result);
    }

    /// <summary>Host results are -errno as ours are.</summary>
    private static SysResult FromHost(long result) => new(result);

    private void Watch()
    {
        lock (_lock)
        {
            if (_watch < 0 && _notifier.Watch(_fd, _waiters!) is { IsError: false } watch)
                Volatile.Write(ref _watch, (int)watch.Value);
        }
    }

    private static bool CanBeWatched(int fd)
    {
        using HostEpoll probe = new();
        return probe.Add(fd, 0, 0) == 0;
    }
}
