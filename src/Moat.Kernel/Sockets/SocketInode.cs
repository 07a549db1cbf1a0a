using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets;

/// <summary>What fstat(2) shows of a socket. It cannot be opened (ENXIO).</summary>
internal sealed class SocketInode(ulong number, Credentials creator, Timespec created)
    : Inode(AnonymousFileSystem.Instance, FileMode.S_IFSOCK)
{
    private static readonly ulong s_device = DeviceNumber.NextAnonymous();

    private InodePermissions _permissions = new(FileMode.S_IFSOCK | 0x1ff, creator.FsUid, creator.FsGid);

    public override InodePermissions Permissions => _permissions;

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
