using Moat.Kernel.Memory;

namespace Moat.Kernel.Events;

/// <summary>A regular file as a standard stream can be mapped like any other.</summary>
internal sealed partial class HostStream : IMappable
{
    private long _mapped;

    public string MapName => _source.Name;

    public ulong MapDevice => _source.Stat.st_dev;

    public ulong MapInode => _source.Stat.st_ino;

    public override Errno GetMappable(out IMappable? mappable)
    {
        if (_source.Type != FileMode.S_IFREG)
            return base.GetMappable(out mappable);
        mappable = this;
        return Errno.OK;
    }

    /// <summary>All of it: what lies beyond the end faults on the host.</summary>
    public Errno Resolve(ulong offset, ulong length, out Backing backing)
    {
        backing = new Backing { HostFd = _fd, Offset = offset, Length = length };
        return Errno.OK;
    }

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
