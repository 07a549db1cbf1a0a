using Moat.Kernel.Events;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Dev;

/// <summary>A directory of /dev: nobody adds devices. Before the first process starts, directories are made to mount volumes at.</summary>
internal sealed class DeviceDirectory(FileSystem fileSystem, Sentry sentry, uint permissions) : StaticDirectory(fileSystem, permissions)
{
    protected override Errno CreateError => Errno.EACCES;

    public override Errno Create(string name, in NewInode what, out Inode? child)
    {
        if (sentry.First is not null || (what.Mode & FileMode.S_IFMT) != FileMode.S_IFDIR)
            return base.Create(name, in what, out child);
        child = new DeviceDirectory(FileSystem, sentry, what.Mode & 0xfff);
        Add(name, child);
        return Errno.OK;
    }
}
