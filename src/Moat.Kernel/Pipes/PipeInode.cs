using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Pipes;

/// <summary>What fstat(2) shows of a pipe, and what opening /proc/self/fd/N of one opens.</summary>
internal sealed class PipeInode(Pipe pipe, Credentials creator) : Inode(AnonymousFileSystem.Instance, FileMode.S_IFIFO)
{
    private static readonly ulong s_device = DeviceNumber.NextAnonymous();

    private readonly Timespec _created = RealTime.Now;

    public override InodePermissions Permissions => new(FileMode.S_IFIFO | 0x180, creator.FsUid, creator.FsGid);

    public override Errno GetStat(out FileStat stat)
    {
        stat = new FileStat
        {
            Dev = s_device,
            Ino = pipe.Number,
            Mode = Permissions.Mode,
            Nlink = 1,
            Uid = creator.FsUid,
            Gid = creator.FsGid,
            BlockSize = PipePage.Size,
            Atime = _created,
            Mtime = _created,
            Ctime = _created,
        };
        return Errno.OK;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
        => PipeFile.OpenFifo(pipe, flags, caller.Credentials, waits: false, out file);
}
