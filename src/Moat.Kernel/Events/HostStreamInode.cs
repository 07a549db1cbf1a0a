using Moat.Host;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>
/// A standard stream as a file: what fstat(2) shows, and what opening /dev/stdin, /dev/tty or /proc/self/fd/N of it gives:
/// never more access than the descriptor itself had.
/// </summary>
internal sealed class HostStreamInode(HostStreamSource source, HostNotifier notifier)
    : Inode(AnonymousFileSystem.Instance, source.Stat.st_mode)
{
    public override InodePermissions Permissions
        => ToFileStat(source.Fd, out FileStat now) == Errno.OK ? new(now.Mode, now.Uid, now.Gid) : default;

    /// <summary>The host's name for it.</summary>
    public string Name => source.Name;

    public override Errno GetStat(out FileStat stat) => ToFileStat(source.Fd, out stat);

    /// <summary>fstat(2) of a host descriptor.</summary>
    public static Errno ToFileStat(int fd, out FileStat stat)
    {
        int r = HostStreamCalls.GetStat(fd, out Stat s);
        stat = new FileStat
        {
            Dev = s.st_dev,
            Ino = s.st_ino,
            Rdev = s.st_rdev,
            Mode = s.st_mode,
            Nlink = (uint)s.st_nlink,
            Uid = s.st_uid,
            Gid = s.st_gid,
            Size = s.st_size,
            Blocks = (ulong)s.st_blocks,
            BlockSize = (uint)s.st_blksize,
            Atime = s.st_atime,
            Mtime = s.st_mtime,
            Ctime = s.st_ctime,
        };
        return (Errno)(-r);
    }

    /// <summary>
    /// What the host allows. Set-id bits stay off: the contents are the guest's, but the file is the host user's.
    /// </summary>
    public override Errno SetAttributes(in AttributeChange change)
    {
        const long UTIME_OMIT = 0x3ffffffe;
        const uint SetIds = FileMode.S_ISUID | FileMode.S_ISGID;
        int result = 0;
        if (change.Has(AttributeMask.Size) && IsRegular)
        {
            if ((source.Flags & OpenFlags.O_ACCMODE) == OpenFlags.O_RDONLY)
                return Errno.EACCES;
            result = HostStreamCalls.Truncate(source.Fd, change.Size);
        }
        if (result == 0 && change.Has(AttributeMask.Uid | AttributeMask.Gid))
        {
            result = HostFiles.ChangeOwner(
                source.Fd, change.Has(AttributeMask.Uid) ? change.Uid : uint.MaxValue, change.Has(AttributeMask.Gid) ? change.Gid : uint.MaxValue);
        }
        if (result == 0 && change.Has(AttributeMask.Mode))
            result = HostFiles.ChangeMode(source.Fd, change.Mode & ~SetIds);
        if (result == 0 && change.Has(AttributeMask.Atime | AttributeMask.Mtime))
        {
            Timespec omit = new() { Nanoseconds = UTIME_OMIT };
            result = HostFiles.ChangeTimes(
                source.Fd, change.Has(AttributeMask.Atime) ? change.Atime : omit, change.Has(AttributeMask.Mtime) ? change.Mtime : omit);
        }
        return (Errno)(-result);
    }

    /// <summary>Opens it once more. EACCES beyond the descriptor's own access, ENXIO for sockets.</summary>
    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        if (Type == FileMode.S_IFSOCK)
            return Errno.ENXIO;
        OpenFlags access = flags & OpenFlags.O_ACCMODE, had = source.Flags & OpenFlags.O_ACCMODE;
        if (had != OpenFlags.O_RDWR && access != had)
            return Errno.EACCES;
        if (!source.TryAddReference())
            return Errno.ENXIO;
        int hostFlags = (int)(access | (flags & OpenFlags.O_APPEND)) | (source.HasReadiness ? (int)OpenFlags.O_NONBLOCK : 0);
        int fd = HostStreamCalls.Reopen(source.Fd, hostFlags);
        if (fd < 0)
        {
            source.DropReference();
            return (Errno)(-fd);
        }
        file = new HostStream(notifier, source, fd, source.HasReadiness ? HostStreamKind.Own : HostStreamKind.Plain, flags);
        return Errno.OK;
    }
}
