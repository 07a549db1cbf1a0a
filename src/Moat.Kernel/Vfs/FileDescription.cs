using Moat.Kernel.Events;
using Moat.Kernel.Memory;

namespace Moat.Kernel.Vfs;

/// <summary>
/// An open file description (open(2)). Operations never block the caller on readiness: they finish or answer EAGAIN,
/// whatever O_NONBLOCK says; the system call layer and io_uring then wait on <see cref="Waiters"/>, each in its way.
/// Regular files have no readiness; their operations may wait for a disk, unless <see cref="RwFlags.RWF_NOWAIT"/> is
/// given, and then they answer EAGAIN.
/// </summary>
internal abstract partial class FileDescription
{
    private int _references = 1;
    private int _flags;

    /// <summary>Keeps of open(2)'s flags those that belong to the description.</summary>
    protected FileDescription(OpenFlags flags) => _flags = (int)(flags & ~OpeningFlags);

    private const OpenFlags OpeningFlags = OpenFlags.O_CREAT | OpenFlags.O_EXCL | OpenFlags.O_NOCTTY | OpenFlags.O_TRUNC | OpenFlags.O_CLOEXEC;

    /// <summary>Access mode and status flags, as F_GETFL gives them.</summary>
    public OpenFlags Flags => (OpenFlags)Volatile.Read(ref _flags);

    public bool CanRead => (Flags & OpenFlags.O_ACCMODE) is OpenFlags.O_RDONLY or OpenFlags.O_RDWR && (Flags & OpenFlags.O_PATH) == 0;

    public bool CanWrite => (Flags & OpenFlags.O_ACCMODE) is OpenFlags.O_WRONLY or OpenFlags.O_RDWR && (Flags & OpenFlags.O_PATH) == 0;

    /// <summary>False when this kind of file has no read(2) or no write(2) at all: EINVAL, whatever the buffer.</summary>
    public virtual bool CanTransfer(bool write) => true;

    /// <summary>A request of io_uring that moves nothing does not get as far as the file's own read or write.</summary>
    public virtual bool SkipsEmpty(bool write) => false;

    /// <summary>It knows no arrays: each part of one is a read or write of its own.</summary>
    public virtual bool TakesParts(bool write) => false;

    public bool IsNonBlocking => (Flags & OpenFlags.O_NONBLOCK) != 0;

    /// <summary>The file position; guarded by <see cref="PositionLock"/>. Only seekable files have one.</summary>
    public long Position;

    /// <summary>Serializes calls that use the position (POSIX.1-2008 2.9.7).</summary>
    public Lock PositionLock { get; } = new();

    /// <summary>True for files with a position: pread and lseek work. False: ESPIPE.</summary>
    public virtual bool IsSeekable => false;

    /// <summary>True for regular files and block devices: no readiness, may wait for a disk.</summary>
    public virtual bool IsRegular => false;

    /// <summary>True when every transfer waits for the disk (O_DIRECT of a host file).</summary>
    public virtual bool IsDirect => false;

    /// <summary>True when writing to a reader that is gone raises SIGPIPE besides EPIPE (pipes, sockets).</summary>
    public virtual bool RaisesSigpipe => false;

    /// <summary>splice(2) may read from it; else EINVAL.</summary>
    public virtual bool CanSpliceFrom => true;

    /// <summary>splice(2) may write to it; else EINVAL.</summary>
    public virtual bool CanSpliceTo => CanSpliceFrom;

    /// <summary>Where to wait for readiness; null when always ready (and epoll answers EPERM).</summary>
    public virtual WaitQueue? Waiters => null;

    /// <summary>
    /// A host descriptor that becomes ready when this file may have, so that a thread waits for it in the host without a detour;
    /// -1: none. <see cref="Waiters"/> tells of everything else.
    /// </summary>
    public virtual int PollDescriptor => -1;

    /// <summary><see cref="Poll"/> is exactly what poll(2) says of <see cref="PollDescriptor"/>.</summary>
    public virtual bool PollsOnHost => false;

    /// <summary>Readiness now. Files without readiness are always readable and writable.</summary>
    public virtual PollEvents Poll() => PollEvents.POLLIN | PollEvents.POLLOUT | PollEvents.POLLRDNORM | PollEvents.POLLWRNORM;

    /// <summary>
    /// Reads at <paramref name="offset"/>, which advances; streams ignore it. Returns bytes, 0 at the end, or an errno:
    /// EAGAIN (would block), EISDIR, EINVAL, EIO. The caller has checked <see cref="CanRead"/>.
    /// </summary>
    public virtual SysResult Read(IoVector to, ref long offset, RwFlags flags) => Errno.EINVAL;

    /// <summary>
    /// Writes at <paramref name="offset"/>, which advances; with O_APPEND or RWF_APPEND at the end of the file, and the
    /// offset follows. Returns bytes or an errno: EAGAIN, EPIPE, ENOSPC, EFBIG, EIO. The caller has checked <see cref="CanWrite"/>.
    /// </summary>
    public virtual SysResult Write(IoVector from, ref long offset, RwFlags flags) => Errno.EINVAL;

    /// <summary>
    /// read(2) and an SQE's offset of -1: at the position, which advances under its lock; streams have none. Files whose
    /// position lives in a host description shared with other processes override it.
    /// </summary>
    public virtual SysResult ReadNext(IoVector to, RwFlags flags)
    {
        if (!IsSeekable)
        {
            long none = 0;
            return Read(to, ref none, flags);
        }
        lock (PositionLock)
            return Read(to, ref Position, flags);
    }

    /// <summary>write(2) and an SQE's offset of -1; as <see cref="ReadNext"/>.</summary>
    public virtual SysResult WriteNext(IoVector from, RwFlags flags)
    {
        if (!IsSeekable)
        {
            long none = 0;
            return Write(from, ref none, flags);
        }
        lock (PositionLock)
            return Write(from, ref Position, flags);
    }

    /// <summary>
    /// What /proc/self/fd shows for a file without a path: <c>pipe:[7]</c>, <c>anon_inode:[eventfd]</c>. Null: it has a path.
    /// </summary>
    public virtual string? AnonymousName => null;

    /// <summary>Adds this kind's own lines to /proc/self/fdinfo (man 5 proc_pid_fdinfo), each with its line feed.</summary>
    public virtual void AppendFdInfo(System.Text.StringBuilder text)
    {
    }

    /// <summary>Moves the position (lseek(2)); called under <see cref="PositionLock"/>. whence as Linux numbers it.</summary>
    public virtual SysResult Seek(long offset, int whence) => Errno.ESPIPE;

    /// <summary>Moves the position of a file that has one, but no end to count from: SEEK_SET and SEEK_CUR, else EINVAL.</summary>
    protected SysResult SeekPosition(long offset, int whence)
    {
        const int SEEK_SET = 0, SEEK_CUR = 1;
        if (whence == SEEK_CUR)
            offset += Position;
        else if (whence != SEEK_SET)
            return Errno.EINVAL;
        return offset < 0 ? Errno.EINVAL : Position = offset;
    }

    /// <summary>fsync(2) or, with <paramref name="dataOnly"/>, fdatasync(2). May wait for a disk.</summary>
    public virtual SysResult Sync(bool dataOnly) => Errno.EINVAL;

    /// <summary>fallocate(2), mode bits as Linux has them. May wait for a disk. ENODEV for what is no file, EOPNOTSUPP for one that has no room to give.</summary>
    public virtual SysResult Allocate(int mode, long offset, long length) => Inode.IsRegular ? Errno.EOPNOTSUPP : Errno.ENODEV;

    /// <summary>ftruncate(2); the caller has checked <see cref="CanWrite"/>.</summary>
    public virtual SysResult Truncate(long length) => Errno.EINVAL;

    /// <summary>ioctl(2); ENOTTY when the file does not know the command.</summary>
    public virtual SysResult Ioctl(Tasks.Task task, uint command, ulong argument) => Errno.ENOTTY;

    /// <summary>What mmap(2) of this file maps; ENODEV when it cannot be mapped.</summary>
    public virtual Errno GetMappable(out IMappable? mappable)
    {
        mappable = null;
        return Errno.ENODEV;
    }

    /// <summary>Changes O_APPEND, O_NONBLOCK, O_DIRECT, O_NOATIME, O_ASYNC (F_SETFL). Errors: EINVAL, EPERM.</summary>
    public virtual Errno SetFlags(OpenFlags flags)
    {
        const OpenFlags Settable = OpenFlags.O_APPEND | OpenFlags.O_NONBLOCK | OpenFlags.O_DIRECT | OpenFlags.O_NOATIME | OpenFlags.O_ASYNC;
        int old, updated;
        do
        {
            old = Volatile.Read(ref _flags);
            updated = (old & ~(int)Settable) | (int)(flags & Settable);
        }
        while (Interlocked.CompareExchange(ref _flags, updated, old) != old);
        return Errno.OK;
    }

    /// <summary>
    /// One descriptor of a table is being closed (flush, POSIX locks); the description may live on elsewhere.
    /// </summary>
    public virtual void OnDescriptorClosed(FdTable table)
    {
    }

    /// <summary>As <see cref="OnDescriptorClosed"/>, when the descriptor's reference has been given back; the description may be gone.</summary>
    public virtual void AfterDescriptorClosed()
    {
    }

    /// <summary>References there are now: descriptors, calls in progress, requests, packets on their way.</summary>
    internal int References => Volatile.Read(ref _references);

    /// <summary>The last reference is gone: give everything back. Called once; no other call is running or follows.</summary>
    protected virtual void Release()
    {
    }

    /// <summary>Takes a reference; the caller holds one already.</summary>
    public void AddReference() => Interlocked.Increment(ref _references);

    /// <summary>Takes a reference unless the description is already released.</summary>
    public bool TryAddReference()
    {
        int n = Volatile.Read(ref _references);
        while (n > 0)
        {
            int seen = Interlocked.CompareExchange(ref _references, n + 1, n);
            if (seen == n)
                return true;
            n = seen;
        }
        return false;
    }

    /// <summary>Gives a reference back; the last one releases.</summary>
    public void DropReference()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            ReleaseWatches();
            DropOwnLocks();
            DropClaim();
            Release();
            if (_dentry is not { } place)
                return;
            place.Inode.DropUser();
            place.Inode.CountDescription(-1);
            if (FileEvents.IsActive && (Flags & OpenFlags.O_PATH) == 0)
                FileEvents.Closed(place, CanWrite);
        }
    }
}
