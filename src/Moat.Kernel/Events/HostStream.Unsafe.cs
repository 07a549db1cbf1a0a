using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>How a standard stream is kept from blocking Moat.</summary>
internal enum HostStreamKind
{
    /// <summary>Has a position, or never blocks: regular files, block devices, /dev/null and its like.</summary>
    Plain,

    /// <summary>A pipe, terminal or character device behind a description of its own.</summary>
    Own,

    /// <summary>The same where the host does not let it be opened again: asked before each call whether it would block.</summary>
    Shared,

    Socket,
}

/// <summary>
/// A standard stream: a descriptor that Moat was started with, shared with whoever started it. O_NONBLOCK is never set on
/// a shared description. Pipes and terminals are opened once more, as a description of Moat's own; sockets are asked not
/// to block call by call; regular files keep the shared position, so that <c>moat do -- cmd &gt;&gt; log</c> and a shell's
/// own output take turns as they would without Moat.
/// </summary>
internal sealed unsafe partial class HostStream : FileDescription, IWaitSource
{
    private readonly HostNotifier _notifier;
    private readonly HostStreamSource _source;
    private readonly HostStreamKind _kind;
    private readonly int _fd;
    private readonly Lock _lock = new();
    private readonly WaitQueue? _waiters;
    private int _watch = -1;

    /// <summary>
    /// Takes over a reference to the source, and the descriptor if it is not the source's own. O_APPEND is the host's business where
    /// the description has it.
    /// </summary>
    internal HostStream(HostNotifier notifier, HostStreamSource source, int fd, HostStreamKind kind, OpenFlags flags)
        : base(flags)
    {
        _notifier = notifier;
        _source = source;
        _fd = fd;
        _kind = kind;
        _waiters = source.HasReadiness ? new WaitQueue(this) : null;
    }

    /// <summary>
    /// Takes over a standard stream. Null when the descriptor is not open: then the guest's is not either.
    /// </summary>
    public static HostStream? Create(HostNotifier notifier, int hostFd)
    {
        HostStreamSource? source = HostStreamSource.Create(hostFd);
        if (source is null)
            return null;
        int fd = hostFd;
        HostStreamKind kind = HostStreamKind.Plain;
        if (source.Type == FileMode.S_IFSOCK)
        {
            kind = HostStreamKind.Socket;
        }
        else if (source.HasReadiness)
        {
            kind = HostStreamKind.Shared;
            if (HostStreamCalls.Reopen(hostFd, (int)(source.Flags & OpenFlags.O_ACCMODE | OpenFlags.O_NONBLOCK)) is >= 0 and int own)
            {
                fd = own;
                kind = HostStreamKind.Own;
            }
        }
        return new HostStream(notifier, source, fd, kind, source.Flags)
        {
            Path = AnonymousFileSystem.MakePlace(new HostStreamInode(source, notifier), source.Name),
        };
    }

    /// <summary>The host's terminal is behind it.</summary>
    public bool IsTerminal => _source.IsTerminal;

    public override bool IsSeekable => _source.IsSeekable;

    public override bool IsRegular => _source.Type is FileMode.S_IFREG or FileMode.S_IFBLK;

    public override bool HasAsyncNotice => Waiters is not null;

    /// <inheritdoc/>
    public override bool RaisesSigpipe => _source.Type is FileMode.S_IFIFO or FileMode.S_IFSOCK;

    public override Errno GetStat(out FileStat stat) => HostStreamInode.ToFileStat(_fd, out stat);

    public override WaitQueue? Waiters => _waiters;

    public override int PollDescriptor => _waiters is null ? -1 : _fd;

    public override bool PollsOnHost => _waiters is not null;

    public override PollEvents Poll()
    {
        const uint Asked = (uint)(PollEvents.POLLIN | PollEvents.POLLPRI | PollEvents.POLLOUT | PollEvents.POLLRDNORM
            | PollEvents.POLLWRNORM | PollEvents.POLLRDBAND | PollEvents.POLLWRBAND | PollEvents.POLLRDHUP);
        return _waiters is null ? base.Poll() : (PollEvents)HostEpoll.PollNow(_fd, Asked);
    }

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        long r = IsSeekable ? HostStreamCalls.Read(_fd, to.Items, to.Count, offset, (int)HostFlags(flags)) : ReadStream(to, flags);
        if (r > 0 && IsSeekable)
            offset += r;
        return Done(to, r);
    }

    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
    {
        flags |= Appending;
        long r = IsSeekable ? HostStreamCalls.Write(_fd, from.Items, from.Count, offset, (int)HostFlags(flags)) : WriteStream(from, flags);
        if (r > 0 && IsSeekable)
            offset += r;
        return Done(from, r);
    }

    public override SysResult ReadNext(IoVector to, RwFlags flags)
    {
        if (IsTerminal && Tasks.Task.Current is { } reader && reader.CheckForeground(reader.Sentry.TerminalSession!, Signal.SIGTTIN) is var stop && stop != Errno.OK)
            return stop;
        return Done(to, ReadStream(to, flags));
    }

    public override SysResult WriteNext(IoVector from, RwFlags flags)
    {
        if (IsTerminal && Tasks.Task.Current is { } writer && writer.Sentry.TerminalSession!.ForegroundGroup != writer.Group.ProcessGroupId
            && StopsWriters && writer.CheckForeground(writer.Sentry.TerminalSession, Signal.SIGTTOU) is var stop && stop != Errno.OK)
            return stop;
        return Done(from, WriteStream(from, flags | Appending));
    }

    /// <summary>TOSTOP of the terminal's c_lflag (termios(3)): writers in the background are stopped too.</summary>
    private bool StopsWriters
    {
        get
        {
            const uint TCGETS = 0x5401, TOSTOP = 0x100;
            const int LocalFlags = 12;
            Span<byte> termios = stackalloc byte[36];
            return HostStreamCalls.Ioctl(_fd, TCGETS, termios) >= 0 && (BitConverter.ToUInt32(termios[LocalFlags..]) & TOSTOP) != 0;
        }
    }

    public override SysResult Seek(long offset, int whence)
        => FromHost(HostStreamCalls.Seek(_fd, offset, whence));

    public override SysResult Sync(bool dataOnly) => FromHost(HostStreamCalls.Sync(_fd, dataOnly));

    public override SysResult Truncate(long length) => FromHost(HostStreamCalls.Truncate(_fd, length));

    public override SysResult Allocate(int mode, long offset, long length)
        => FromHost(HostStreamCalls.Allocate(_fd, mode, offset, length));

    protected override void Release()
    {
        lock (_lock)
        {
            if (_watch >= 0)
                _notifier.Unwatch(_watch, _fd);
        }
        if (_fd != _source.Fd)
            HostStreamCalls.Close(_fd);
        _source.DropReference();
    }

    /// <summary>O_APPEND set by the guest, which the shared description does not have.</summary>
    private RwFlags Appending => (Flags & OpenFlags.O_APPEND) != 0 && IsRegular ? RwFlags.RWF_APPEND : RwFlags.None;

    private long ReadStream(IoVector to, RwFlags flags)
    {
        if (_kind == HostStreamKind.Socket)
            return HostStreamCalls.Receive(_fd, to.Items, to.Count);
        if (_kind == HostStreamKind.Shared && (Poll() & (PollEvents.POLLIN | PollEvents.POLLERR | PollEvents.POLLHUP)) == 0)
            return -(long)Errno.EAGAIN;
        return HostStreamCalls.Read(_fd, to.Items, to.Count, -1, (int)HostFlags(flags));
    }

    private long WriteStream(IoVector from, RwFlags flags)
    {
        if (_kind == HostStreamKind.Socket)
            return HostStreamCalls.Send(_fd, from.Items, from.Count);
        if (_kind == HostStreamKind.Shared)
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
    private RwFlags HostFlags(RwFlags flags) => IsRegular ? flags : RwFlags.None;

    private static SysResult Done(IoVector vector, long result)
    {
        if (result > 0)
            vector.Advance((ulong)result);
        return FromHost(result);
    }

    /// <summary>Host results are -errno as ours are.</summary>
    private static SysResult FromHost(long result) => new(result);

    /// <summary>Somebody waits who has no thread for it: the notifier tells.</summary>
    public void BeforeWait()
    {
        if (Volatile.Read(ref _watch) >= 0)
            return;
        lock (_lock)
        {
            if (_watch < 0 && _notifier.Watch(_fd, _waiters!) is { IsError: false } watch)
                Volatile.Write(ref _watch, (int)watch.Value);
        }
    }
}
