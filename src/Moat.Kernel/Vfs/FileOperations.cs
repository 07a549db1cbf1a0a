using Moat.Kernel.Memory;

namespace Moat.Kernel.Vfs;

/// <summary>
/// What system calls and io_uring requests do with descriptions and descriptors: one method per operation, arguments already
/// copied from the guest. None waits for readiness.
/// </summary>
internal static partial class FileOperations
{
    /// <summary>The most that one read or write moves, bytes (MAX_RW_COUNT).</summary>
    public const ulong MaxCount = 0x7ffff000;

    private const RwFlags KnownFlags = RwFlags.RWF_HIPRI | RwFlags.RWF_DSYNC | RwFlags.RWF_SYNC | RwFlags.RWF_NOWAIT | RwFlags.RWF_APPEND
        | RwFlags.RWF_NOAPPEND | RwFlags.RWF_ATOMIC | RwFlags.RWF_DONTCACHE | RwFlags.RWF_NOSIGNAL;

    /// <summary>The flags of preadv2(2) and of an SQE: EOPNOTSUPP for unknown and unsupported ones, EINVAL for a contradiction.</summary>
    public static Errno CheckFlags(FileDescription file, RwFlags flags, bool write)
    {
        if (flags == RwFlags.None)
            return Errno.OK;
        if ((flags & ~KnownFlags) != 0)
            return Errno.EOPNOTSUPP;
        if ((flags & (RwFlags.RWF_APPEND | RwFlags.RWF_NOAPPEND)) == (RwFlags.RWF_APPEND | RwFlags.RWF_NOAPPEND))
            return Errno.EINVAL;
        if ((flags & RwFlags.RWF_NOWAIT) != 0 && !file.SupportsNoWait)
            return Errno.EOPNOTSUPP;
        // Atomic writes need a block device that has them and O_DIRECT; uncached I/O a file system that has it.
        if ((flags & RwFlags.RWF_ATOMIC) != 0 && (!write || file.HostDescriptor < 0))
            return Errno.EOPNOTSUPP;
        if ((flags & RwFlags.RWF_DONTCACHE) != 0 && !file.SupportsUncached)
            return Errno.EOPNOTSUPP;
        return write && (flags & RwFlags.RWF_NOWAIT) != 0 && WritesMayWait(file) ? Errno.EOPNOTSUPP : Errno.OK;
    }

    /// <summary>
    /// A buffered write to a regular file may wait for memory or for its journal, so that it is not made with RWF_NOWAIT, as on ext4. The host
    /// answers for its own files.
    /// </summary>
    public static bool WritesMayWait(FileDescription file) => file.IsRegular && file.SupportsNoWait && !file.IsDirect && file.HostDescriptor < 0;

    /// <summary>
    /// Reads: at the position when <paramref name="offset"/> is -1, else there (ESPIPE for streams). Flags have been checked.
    /// Bytes, or EBADF, EAGAIN and what <see cref="FileDescription.Read"/> answers.
    /// </summary>
    public static SysResult Read(FileDescription file, IoVector to, long offset, RwFlags flags)
    {
        if (!file.CanRead)
            return Errno.EBADF;
        if (offset != -1 && !file.IsSeekable)
            return Errno.ESPIPE;
        if (offset != -1 && (ulong)offset + to.Remaining > long.MaxValue)
            return Errno.EINVAL;
        return Move(file, to, offset, flags, write: false);
    }

    /// <summary>Writes; as <see cref="Read"/>.</summary>
    public static SysResult Write(FileDescription file, IoVector from, long offset, RwFlags flags)
    {
        if (!file.CanWrite)
            return Errno.EBADF;
        if (offset != -1 && !file.IsSeekable)
            return Errno.ESPIPE;
        if (offset != -1 && (ulong)offset + from.Remaining > long.MaxValue)
            return Errno.EINVAL;
        return Move(file, from, offset, flags, write: true);
    }

    /// <summary>
    /// What is to be written is not all readable: of a message nothing is sent then; streams take whole pieces, and what faults in the middle of
    /// one takes the piece with it.
    /// </summary>
    public static void CutWrite(FileDescription file, IoVector vector)
    {
        const ulong Page = 4096, UnixPiece = 36544;
        if (file is Sockets.Socket { IsStream: false })
        {
            vector.AddInaccessible(1);
            return;
        }
        vector.Truncate(vector.Remaining - (vector.Remaining % (file is Sockets.Unix.UnixStream ? UnixPiece : Page)));
        if (vector.Remaining == 0)
            vector.AddInaccessible(1);
    }

    /// <summary>Reads or writes at the position (-1) or an offset, all checked, and tells who watches.</summary>
    public static SysResult Move(FileDescription file, IoVector vector, long offset, RwFlags flags, bool write)
    {
        SysResult moved = offset == -1
            ? write ? file.WriteNext(vector, flags) : file.ReadNext(vector, flags)
            : write ? file.Write(vector, ref offset, flags) : file.Read(vector, ref offset, flags);
        if (FileEvents.IsActive)
            Tell(file, in moved, write);
        return moved;
    }

    /// <summary>Tells who watches a file that bytes of it were read or written.</summary>
    public static void Tell(FileDescription file, in SysResult moved, bool write)
    {
        if (moved.Value <= 0)
            return;
        if (write)
            FileEvents.Written(file);
        else
            FileEvents.Read(file);
    }

    /// <summary>dup(2) and F_DUPFD: the lowest free number from a minimum on. EBADF, EMFILE, EINVAL.</summary>
    public static SysResult Duplicate(FdTable files, int fd, int minimum, bool closeOnExec)
    {
        FileDescription? file = files.Get(fd);
        if (file is null)
            return Errno.EBADF;
        SysResult result = files.Install(file, closeOnExec, minimum);
        if (result.IsError)
            file.DropReference();
        return result;
    }

    /// <summary>fstat(2) and statx(2) of a descriptor, and its place. EBADF.</summary>
    public static Errno Stat(in Caller caller, int fd, out FileStat stat, out VfsPath place)
    {
        stat = default;
        place = default;
        FileDescription? file = caller.Files?.Get(fd);
        if (file is null)
            return Errno.EBADF;
        place = file.Path;
        Errno error = file.GetStat(out stat);
        file.DropReference();
        return error;
    }

    /// <summary>lseek(2). EINVAL for unknown whence, ESPIPE for streams.</summary>
    public static SysResult Seek(FileDescription file, long offset, int whence)
    {
        const int SEEK_HOLE = 4;
        if ((file.Flags & OpenFlags.O_PATH) != 0)
            return Errno.EBADF;
        if ((uint)whence > SEEK_HOLE)
            return Errno.EINVAL;
        lock (file.PositionLock)
            return file.Seek(offset, whence);
    }

    /// <summary>fsync(2), fdatasync(2). EINVAL for pipes and their like.</summary>
    public static SysResult Sync(FileDescription file, bool dataOnly)
        => (file.Flags & OpenFlags.O_PATH) != 0 ? Errno.EBADF : file.Sync(dataOnly);

    /// <summary>sync_file_range(2). EINVAL, ESPIPE.</summary>
    public static Errno SyncRange(FileDescription file, long offset, long length, uint flags)
    {
        if ((file.Flags & OpenFlags.O_PATH) != 0)
            return Errno.EBADF;
        if ((flags & ~7u) != 0 || offset < 0 || length < 0 || offset > long.MaxValue - length)
            return Errno.EINVAL;
        return file.SyncRange(offset, length, flags);
    }

    /// <summary>fallocate(2).</summary>
    public static SysResult Allocate(FileDescription file, FallocFlags mode, long offset, long length)
    {
        const FallocFlags Known = FallocFlags.FALLOC_FL_KEEP_SIZE | FallocFlags.FALLOC_FL_PUNCH_HOLE | FallocFlags.FALLOC_FL_COLLAPSE_RANGE
            | FallocFlags.FALLOC_FL_ZERO_RANGE | FallocFlags.FALLOC_FL_INSERT_RANGE | FallocFlags.FALLOC_FL_UNSHARE_RANGE | FallocFlags.FALLOC_FL_WRITE_ZEROES;
        if ((file.Flags & OpenFlags.O_PATH) != 0)
            return Errno.EBADF;
        if (offset < 0 || length <= 0)
            return Errno.EINVAL;
        if ((mode & ~Known) != 0)
            return Errno.EOPNOTSUPP;
        FallocFlags action = mode & ~FallocFlags.FALLOC_FL_KEEP_SIZE;
        bool keep = (mode & FallocFlags.FALLOC_FL_KEEP_SIZE) != 0;
        switch (action)
        {
            case 0 or FallocFlags.FALLOC_FL_UNSHARE_RANGE or FallocFlags.FALLOC_FL_ZERO_RANGE:
                break;
            case FallocFlags.FALLOC_FL_PUNCH_HOLE:
                if (!keep)
                    return Errno.EOPNOTSUPP;
                break;
            case FallocFlags.FALLOC_FL_COLLAPSE_RANGE or FallocFlags.FALLOC_FL_INSERT_RANGE or FallocFlags.FALLOC_FL_WRITE_ZEROES:
                if (keep)
                    return Errno.EOPNOTSUPP;
                break;
            default:
                return Errno.EINVAL;
        }
        if (!file.CanWrite)
            return Errno.EBADF;
        uint type = file.Inode.Type;
        if (type == FileMode.S_IFIFO)
            return Errno.ESPIPE;
        if (type == FileMode.S_IFDIR)
            return Errno.EISDIR;
        if (offset > long.MaxValue - length)
            return Errno.EFBIG;
        SysResult result = file.Allocate((int)mode, offset, length);
        if (!result.IsError)
            FileEvents.Written(file);
        return result;
    }

    /// <summary>posix_fadvise(2). ESPIPE for pipes, EINVAL for unknown advice.</summary>
    public static Errno Advise(FileDescription file, long offset, long length, int advice)
    {
        const int POSIX_FADV_NOREUSE = 5;
        if ((file.Flags & OpenFlags.O_PATH) != 0)
            return Errno.EBADF;
        if (file.Inode.Type == FileMode.S_IFIFO)
            return Errno.ESPIPE;
        if (length < 0 || (uint)advice > POSIX_FADV_NOREUSE)
            return Errno.EINVAL;
        return file.Advise(offset, length, advice);
    }

    /// <summary>ftruncate(2). EINVAL unless it is a regular file open for writing.</summary>
    public static Errno Truncate(FileDescription file, long length)
    {
        if (length < 0)
            return Errno.EINVAL;
        if ((file.Flags & OpenFlags.O_PATH) != 0)
            return Errno.EBADF;
        if (!file.CanWrite || !file.Inode.IsRegular)
            return Errno.EINVAL;
        Errno error = file.Truncate(length).Error;
        if (error == Errno.OK)
            FileEvents.Written(file);
        return error;
    }
}
