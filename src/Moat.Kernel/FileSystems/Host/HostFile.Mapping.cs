using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Host;

internal partial class HostFile : IMappable
{
    private long _mapped;

    public FileMappers? Mappers => inode is null || IsUnwritten(inode) ? null : inode.Mappers;

    /// <summary>The path that /proc/self/maps shows.</summary>
    public string MapName => Path.ToText(Path.Mount.Table.Root.RootPath);

    public bool IsWrittenBack => true;

    public ulong MapDevice => Inode.GetStat(out FileStat stat) == Errno.OK ? stat.Dev : 0;

    public ulong MapInode => Inode.GetStat(out FileStat stat) == Errno.OK ? stat.Ino : 0;

    public override Errno GetMappable(out IMappable? mappable)
    {
        mappable = this;
        return Errno.OK;
    }

    /// <summary>All of it: what lies beyond the end of the file faults with SIGBUS on the host as it should.</summary>
    public Errno Resolve(ulong offset, ulong length, out Backing backing)
    {
        backing = new Backing { HostFd = handle.Fd, Offset = offset, Length = length };
        return Errno.OK;
    }

    /// <summary>A mapping holds the description as a descriptor does (man 2 mmap).</summary>
    public void AddMapping(ulong offset, ulong length)
    {
        if (Interlocked.Add(ref _mapped, (long)length) == (long)length)
            AddReference();
    }

    public void RemoveMapping(ulong offset, ulong length)
    {
        if (Interlocked.Add(ref _mapped, -(long)length) == 0)
            DropReference();
    }
}
