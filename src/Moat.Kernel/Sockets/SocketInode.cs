using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets;

/// <summary>What fstat(2) shows of a socket. It cannot be opened (ENXIO).</summary>
internal sealed class SocketInode(ulong number, Credentials creator, Timespec created)
    : Inode(AnonymousFileSystem.Instance, FileMode.S_IFSOCK)
{
    private static readonly ulong s_device = DeviceNumber.NextAnonymous();

    private uint _mode = FileMode.S_IFSOCK | 0x1ff, _uid = creator.FsUid, _gid = creator.FsGid;

    public override InodePermissions Permissions => new(_mode, _uid, _gid);

    /// <summary>The mode is what a path gets that the socket is bound to later; times are not kept.</summary>
    public override Errno SetAttributes(in AttributeChange change)
    {
        if (change.Has(AttributeMask.Mode))
            _mode = FileMode.S_IFSOCK | change.Mode;
        if (change.Has(AttributeMask.Uid))
            _uid = change.Uid;
        if (change.Has(AttributeMask.Gid))
            _gid = change.Gid;
        return Errno.OK;
    }

    public override Errno GetStat(out FileStat stat)
    {
        stat = new FileStat
        {
            Dev = s_device,
            Ino = number,
            Mode = Permissions.Mode,
            Nlink = 1,
            Uid = Permissions.Uid,
            Gid = Permissions.Gid,
            BlockSize = 4096,
            Atime = created,
            Mtime = created,
            Ctime = created,
        };
        return Errno.OK;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        return Errno.ENXIO;
    }
}
