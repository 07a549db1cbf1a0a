namespace Moat.Kernel.Vfs;

/// <summary>Where things without a name live: pipes, sockets, event descriptors, memory files. Mounted nowhere.</summary>
internal sealed class AnonymousFileSystem : FileSystem
{
    private static readonly AnonymousFileSystem s_instance = new();
    private static readonly Mount s_mount = new MountTable(s_instance).Root;
    private static long s_lastInode;

    private AnonymousFileSystem() => Root = new AnonymousInode(this, NextInode());

    public override string TypeName => "anon_inodefs";

    public override Inode Root { get; }

    /// <summary>An inode number that no other anonymous object has.</summary>
    public static ulong NextInode() => (ulong)Interlocked.Increment(ref s_lastInode);

    /// <summary>The file system, for inodes of one's own (pipes).</summary>
    public static AnonymousFileSystem Instance => s_instance;

    /// <summary>A place for a thing that only has a name for show, such as anon_inode:[eventfd].</summary>
    public static VfsPath MakePlace(string name) => MakePlace(new AnonymousInode(s_instance, NextInode()), name);

    /// <summary>A place for an inode of one's own, with what /proc/self/fd shows.</summary>
    public static VfsPath MakePlace(Inode inode, string name) => new(s_mount, new Dentry(inode, name));

    /// <summary>True when a place is one of these: its name is shown as it is, without a slash.</summary>
    public static bool Owns(VfsPath place) => place.Mount == s_mount;

    public override Errno GetStatFs(out StatFs stat)
    {
        const int AnonInodeMagic = 0x09041934;
        stat = new StatFs { f_type = AnonInodeMagic, f_bsize = 4096, f_frsize = 4096, f_namelen = 255 };
        return Errno.OK;
    }
}

/// <summary>What fstat(2) shows of an event descriptor and its like: mode 0600 without a type, as Linux does.</summary>
internal sealed class AnonymousInode(AnonymousFileSystem fileSystem, ulong number) : Inode(fileSystem, 0)
{
    public override InodePermissions Permissions => new(0x180, 0, 0);

    public override Errno GetStat(out FileStat stat)
    {
        stat = new FileStat { Dev = FileSystem.Device, Ino = number, Mode = 0x180, Nlink = 1, BlockSize = 4096 };
        return Errno.OK;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        return Errno.ENXIO;
    }
}
