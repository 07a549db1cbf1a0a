using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Dev;

/// <summary>A device that is always ready and has no position: seeking goes nowhere, offsets are accepted.</summary>
internal abstract class DeviceFile(OpenFlags flags) : FileDescription(flags)
{
    public override bool IsSeekable => true;

    public override SysResult Seek(long offset, int whence) => 0;

    /// <summary>Takes everything.</summary>
    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
    {
        ulong bytes = from.Remaining;
        from.Advance(bytes);
        return bytes;
    }
}

/// <summary>/dev/null.</summary>
internal sealed class NullFile(OpenFlags flags) : DeviceFile(flags)
{
    public override bool CanSpliceFrom => false;

    public override bool CanSpliceTo => true;

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags) => 0;
}

/// <summary>/dev/zero and, with <paramref name="isFull"/>, /dev/full, where there is no space left.</summary>
internal sealed class ZeroFile(OpenFlags flags, bool isFull) : DeviceFile(flags)
{
    private static readonly byte[] s_zeroes = new byte[65536];

    /// <inheritdoc/>
    public override bool SkipsEmpty(bool write) => isFull && write;

    /// <inheritdoc/>
    public override bool SupportsNoWait => !isFull;

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        if (!to.MayFault)
            return to.Zero(to.Remaining);
        long done = 0;
        while (to.Remaining > 0)
        {
            int copied = to.CopyFrom(s_zeroes);
            done += copied;
            if (copied == 0)
                return done > 0 ? done : Errno.EFAULT;
        }
        return done;
    }

    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
        => isFull ? Errno.ENOSPC : base.Write(from, ref offset, flags);

    /// <summary>Mapping /dev/zero gives anonymous memory; /dev/full cannot be mapped.</summary>
    public override Errno GetMappable(out IMappable? mappable)
    {
        mappable = isFull ? null : ZeroDevice.Instance;
        return isFull ? Errno.ENODEV : Errno.OK;
    }
}
