using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Host;

/// <summary>
/// An open regular file of the host. Data goes straight between the host descriptor and guest memory; whoever waits for a disk asks
/// with RWF_NOWAIT first.
/// </summary>
internal unsafe partial class HostFile(HostInode? inode, HostHandle handle, OpenFlags flags) : FileDescription(flags)
{
    private const RwFlags HostFlags = RwFlags.RWF_HIPRI | RwFlags.RWF_DSYNC | RwFlags.RWF_SYNC | RwFlags.RWF_NOWAIT
        | RwFlags.RWF_ATOMIC | RwFlags.RWF_DONTCACHE;

    private readonly Lock _appendLock = new();
    private ReadWindow? _window;

    // Small reads until the file is worth a mapping.
    private int _readsToWindow = inode is not null && inode.IsLower ? 16 : 0;

    // O_DIRECT of a file that nobody in the sandbox writes: its rules, while the data may come from the host's page cache.
    private DirectRules? _direct = (flags & OpenFlags.O_DIRECT) != 0 && IsUnwritten(inode) ? DirectRules.Take(handle.Fd) : null;

    public override bool IsSeekable => true;

    public override bool IsRegular => true;

    public override int HostDescriptor => handle.Fd;

    public override bool IsDirect => (Flags & OpenFlags.O_DIRECT) != 0 && _direct is null;

    private static bool IsUnwritten(HostInode? inode) => inode is not null && (inode.IsLower || inode.FileSystem.IsReadOnly);

    private bool IsReadOnlyFile => inode is not null && inode.FileSystem.IsReadOnly;

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        if (_direct is { } direct && !direct.Allows(to, offset) && direct.Refuses(handle.Fd, offset))
            return Errno.EINVAL;
        ReadWindow? window = Volatile.Read(ref _window);
        if (window is not null)
            return ReadThrough(window, to, ref offset, flags);
        if (_readsToWindow > 0 && to.Remaining <= ReadWindow.LongestRead && Interlocked.Decrement(ref _readsToWindow) == 0)
            Volatile.Write(ref _window, ReadWindow.Open(handle.Fd));
        return ReadHost(to, ref offset, flags);
    }

    public override Errno GetCacheCounts(in CacheRange range, out CacheCounts counts)
    {
        CacheRange asked = range;
        CacheCounts found = default;
        // SAFETY: two locals of the sizes that cachestat(2) takes.
        long result = HostSyscall.Call(451 /* cachestat */, handle.Fd, (long)&asked, (long)&found, 0);
        counts = found;
        return result < 0 ? (Errno)(-result) : Errno.OK;
    }

    private SysResult ReadThrough(ReadWindow window, IoVector to, ref long offset, RwFlags flags)
    {
        ulong length = to.Remaining;
        if (length == 0)
            return 0;
        long start = offset;
        if (window.Has(offset, length))
        {
            ulong copied = window.Read(to, offset, length);
            offset += (long)copied;
            if (copied == length)
                return (long)copied;
            // Guest memory or the file faults: the host says what it is.
            SysResult rest = ReadHost(to, ref offset, flags);
            return copied > 0 ? (long)copied + Math.Max(0, rest.Value) : rest;
        }
        SysResult read = ReadHost(to, ref offset, flags);
        if (read.Value > 0)
            window.Saw(start, read.Value);
        return read;
    }

    private SysResult ReadHost(IoVector to, ref long offset, RwFlags flags)
    {
        long done = 0;
        // One host call, more only when there are more spans than it takes.
        while (to.Count > 0)
        {
            // SAFETY: the vector's spans are translated guest memory; the host answers EFAULT for what is not there.
            long n = HostFiles.ReadVector(handle.Fd, to.Items, to.Count, offset, (int)(flags & HostFlags));
            if (n <= 0)
                return done > 0 ? done : n;
            bool all = n == Prefix(to);
            to.Advance((ulong)n);
            offset += n;
            done += n;
            if (!all)
                break;
        }
        return done;
    }

    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
    {
        if ((((Flags & OpenFlags.O_APPEND) != 0) && (flags & RwFlags.RWF_NOAPPEND) == 0) || (flags & RwFlags.RWF_APPEND) != 0)
            return Append(from, ref offset, flags);
        long done = 0;
        while (from.Count > 0)
        {
            // SAFETY: as in Read.
            long n = HostFiles.WriteVector(handle.Fd, from.Items, from.Count, offset, (int)(flags & HostFlags));
            if (n <= 0)
                return done > 0 ? done : n;
            bool all = n == Prefix(from);
            from.Advance((ulong)n);
            offset += n;
            done += n;
            if (!all)
                break;
        }
        return done;
    }

    public override SysResult Seek(long offset, int whence)
    {
        const int SEEK_END = 2;
        if (whence < SEEK_END)
            return SeekPosition(offset, whence);
        // SEEK_END, SEEK_DATA, SEEK_HOLE: the host knows; its own position is used by nobody but appending writes, which set it.
        long result;
        lock (_appendLock)
            result = HostFiles.Seek(handle.Fd, offset, whence);
        if (result >= 0)
            Position = result;
        return result;
    }

    public override SysResult Sync(bool dataOnly) => IsReadOnlyFile ? 0 : HostFiles.Sync(handle.Fd, dataOnly);

    public override SysResult Allocate(int mode, long offset, long length) => HostFiles.Allocate(handle.Fd, mode, offset, length);

    public override SysResult Truncate(long length)
    {
        int result = HostFiles.Truncate(handle.Fd, length);
        if (result == 0)
            inode?.Shrunk(length);
        return result;
    }

    public override Errno Advise(long offset, long length, int advice) => (Errno)(-HostFiles.Advise(handle.Fd, offset, length, advice));

    public override Errno SyncRange(long offset, long length, uint flags)
        => IsReadOnlyFile ? Errno.OK : (Errno)(-HostFiles.SyncRange(handle.Fd, offset, length, flags));

    public override Errno SetFlags(OpenFlags flags)
    {
        const OpenFlags OnHost = OpenFlags.O_DIRECT | OpenFlags.O_NOATIME;
        if (((flags ^ Flags) & OnHost) != 0)
        {
            int now = HostFiles.GetFlags(handle.Fd);
            int result = now < 0 ? now : HostFiles.SetFlags(handle.Fd, (now & ~(int)OnHost) | (int)(flags & OnHost));
            if (result < 0)
                return (Errno)(-result);
            _direct = (flags & OpenFlags.O_DIRECT) != 0 && IsUnwritten(inode) ? DirectRules.Take(handle.Fd) : null;
        }
        return base.SetFlags(flags);
    }

    protected override void Release()
    {
        _window?.Close();
        inode?.Closed(handle);
        handle.DropReference();
    }

    // The host's position is the only way to learn where an append went.
    private SysResult Append(IoVector from, ref long offset, RwFlags flags)
    {
        if (from.Count == 0)
            return 0;
        lock (_appendLock)
        {
            // SAFETY: as in Read.
            long n = HostFiles.WriteVector(handle.Fd, from.Items, from.Count, -1, (int)((flags & HostFlags) | RwFlags.RWF_APPEND));
            if (n < 0)
                return n;
            from.Advance((ulong)n);
            long end = HostFiles.Seek(handle.Fd, 0, 1);
            if (end >= 0)
                offset = end;
            return n;
        }
    }

    /// <summary>Bytes of the spans that one host call takes.</summary>
    private static long Prefix(IoVector vector)
    {
        if (vector.Count <= 1024)
            return (long)vector.Remaining;
        long bytes = 0;
        // SAFETY: Items has Count entries.
        for (int i = 0; i < 1024; i++)
            bytes += (long)vector.Items[i].Length;
        return bytes;
    }
}
