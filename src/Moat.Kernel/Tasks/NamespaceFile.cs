using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Tasks;

/// <summary>What a link in /proc/PID/ns leads to.</summary>
internal sealed class NamespaceInode(Namespace space) : Inode(AnonymousFileSystem.Instance, FileMode.S_IFREG)
{
    private const uint Readable = 0x124;

    public Namespace Space => space;

    public override InodePermissions Permissions => new(FileMode.S_IFREG | Readable, 0, 0);

    public override Errno GetStat(out FileStat stat)
    {
        stat = new FileStat { Dev = FileSystem.Device, Ino = space.Number, Mode = FileMode.S_IFREG | Readable, Nlink = 1, BlockSize = 4096 };
        return Errno.OK;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        if ((flags & OpenFlags.O_ACCMODE) != OpenFlags.O_RDONLY)
            return Errno.EPERM;
        file = new NamespaceFile(space, flags);
        return Errno.OK;
    }
}

/// <summary>An open namespace (man 7 namespaces), for setns(2).</summary>
internal sealed class NamespaceFile(Namespace space, OpenFlags flags) : FileDescription(flags)
{
    public Namespace Space => space;

    /// <summary>man 2 ioctl_nsfs: the type; there is no namespace above or about this one.</summary>
    public override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        const uint NS_GET_USERNS = 0xb701, NS_GET_PARENT = 0xb702, NS_GET_NSTYPE = 0xb703, NS_GET_OWNER_UID = 0xb704;
        bool isUser = space.Type == CloneFlags.CLONE_NEWUSER;
        return command switch
        {
            NS_GET_NSTYPE => (long)space.Type,
            NS_GET_USERNS => Errno.EPERM,
            NS_GET_PARENT => isUser || space.Type == CloneFlags.CLONE_NEWPID ? Errno.EPERM : Errno.EINVAL,
            NS_GET_OWNER_UID => isUser ? task.Mm.Write(new UserPtr<uint>(argument), 0u) : Errno.EINVAL,
            _ => Errno.ENOTTY,
        };
    }
}
