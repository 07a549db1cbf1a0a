
namespace Moat.Kernel.Vfs.Pseudo;

/// <summary>A file of a generated file system (/proc, /dev): an owner, a mode, a number, and times of its making.</summary>
internal abstract class PseudoInode : Inode
{
    private static long s_lastNumber;
    private uint _mode;

    /// <param name="fileSystem">Its file system.</param>
    /// <param name="mode">Type and permission bits.</param>
    protected PseudoInode(FileSystem fileSystem, uint mode)
        : base(fileSystem, mode) => _mode = mode;

    /// <summary>st_ino; unique among generated files unless overridden.</summary>
    public virtual ulong Number { get; } = (ulong)Interlocked.Increment(ref s_lastNumber);

    /// <summary>Owner of the file; user 0 unless overridden.</summary>
    public virtual (uint Uid, uint Gid) Owner => (0, 0);

    public virtual long Size => 0;

    public virtual ulong Rdev => 0;

    public virtual uint LinkCount => IsDirectory ? 2u : 1u;

    private Timespec Created { get; } = RealTime.Now;

    public override InodePermissions Permissions => new(_mode, Owner.Uid, Owner.Gid);

    public override Errno GetStat(out FileStat stat)
    {
        (uint uid, uint gid) = Owner;
        stat = new FileStat
        {
            Dev = FileSystem.Device,
            Ino = Number,
            Rdev = Rdev,
            Mode = _mode,
            Nlink = LinkCount,
            Uid = uid,
            Gid = gid,
            Size = Size,
            BlockSize = 4096,
            Atime = Created,
            Mtime = Created,
            Ctime = Created,
        };
        return Errno.OK;
    }

    /// <summary>Truncation and times are accepted and forgotten, as /proc does; mode and owner stay (EPERM).</summary>
    public override Errno SetAttributes(in AttributeChange change)
        => change.Has(AttributeMask.Mode | AttributeMask.Uid | AttributeMask.Gid) ? Errno.EPERM : Errno.OK;
}

/// <summary>A symbolic link whose target is made when it is read (/proc/self).</summary>
internal abstract class PseudoLink(FileSystem fileSystem) : PseudoInode(fileSystem, FileMode.S_IFLNK | 0x1ff)
{
    public abstract override Errno ReadLink(in Caller caller, out string target);

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        return Errno.ELOOP;
    }
}

/// <summary>A symbolic link with a fixed target (/proc/mounts, /dev/stdin).</summary>
internal sealed class FixedLink(FileSystem fileSystem, string to) : PseudoLink(fileSystem)
{
    public override long Size => to.Length;

    public override Errno ReadLink(in Caller caller, out string target)
    {
        target = to;
        return Errno.OK;
    }
}
