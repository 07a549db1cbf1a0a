using Moat.Kernel.Events;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Dev;

/// <summary>Makes the description of a device that is opened.</summary>
internal delegate FileDescription OpenDevice(Caller caller, OpenFlags flags);

/// <summary>A character device of mode 0666.</summary>
internal class CharacterDevice(FileSystem fileSystem, uint major, uint minor, OpenDevice open)
    : PseudoInode(fileSystem, FileMode.S_IFCHR | 0x1b6)
{
    public override ulong Rdev { get; } = DeviceNumber.Make(major, minor);

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = open(caller, flags);
        return Errno.OK;
    }
}

/// <summary>/dev/tty: the caller's controlling terminal; ENXIO without one.</summary>
internal sealed class TerminalDevice(FileSystem fileSystem)
    : PseudoInode(fileSystem, FileMode.S_IFCHR | 0x1b6)
{
    public override ulong Rdev { get; } = DeviceNumber.Make(5, 0);

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        return caller.Task?.Group.Terminal is not { } terminal ? Errno.ENXIO : terminal.Inode.Open(in caller, path, flags, out file);
    }
}
