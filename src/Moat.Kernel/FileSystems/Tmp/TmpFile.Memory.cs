using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Tmp;

internal sealed partial class TmpFile
{
    /// <summary>memfd_create(2): null seals mean that none can be added.</summary>
    public static TmpFile CreateMemoryFile(TmpFileSystem fileSystem, Credentials owner, string name, bool executable, Seals? seals)
    {
        uint permissions = executable ? 0x1ffu : 0x1b6;
        TmpRegular inode = new(
            fileSystem, new NewInode { Mode = FileMode.S_IFREG | permissions, Uid = owner.FsUid, Gid = owner.FsGid }, fileSystem.Device);
        inode.MakeUnnamed(forGood: true);
        if (seals is { } initial)
            inode.AllowSeals(initial);
        inode.AddUser();
        return new TmpFile(inode, OpenFlags.O_RDWR | OpenFlags.O_LARGEFILE)
        {
            Path = AnonymousFileSystem.MakePlace(inode, $"/memfd:{name} (deleted)"),
        };
    }

    public override string? AnonymousName => AnonymousFileSystem.Owns(Path) ? Path.Dentry.Name : null;

    /// <summary>As on tmpfs; files of an overlay answer as those of a disk do.</summary>
    public override bool SupportsNoWait => !inode.Tmp.HasSeals;

    /// <inheritdoc cref="SupportsNoWait"/>
    public override bool SupportsUncached => !inode.Tmp.HasSeals;
}
