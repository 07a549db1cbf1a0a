using Moat.Host;
using Moat.Kernel.Events;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.FileSystems.Dev;

/// <summary>/dev/random and /dev/urandom (random(4)): the host's random bytes. What is written is not mixed in.</summary>
internal sealed class RandomFile(OpenFlags flags, bool hasReadiness) : DeviceFile(flags)
{
    /// <summary>Bytes that one host call fills; bounds how long it takes.</summary>
    private const ulong Piece = 1 << 20;

    /// <summary>/dev/random alone can be polled; it is always ready.</summary>
    public override WaitQueue? Waiters { get; } = hasReadiness ? new WaitQueue() : null;

    public override unsafe SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        long done = 0;
        while (to.Remaining > 0)
        {
            // SAFETY: the vector's first span is guest memory under translation; the host checks it as it writes.
            long r = HostSyscall.Call(318 /* getrandom */, (long)to.Items->Base, (long)Math.Min(to.Items->Length, Piece));
            if (r == -(long)Errno.EINTR)
                continue;
            if (r <= 0)
                return done > 0 ? done : new SysResult(r);
            to.Advance((ulong)r);
            done += r;
        }
        return done;
    }

    /// <inheritdoc/>
    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
        => from.IsInaccessible ? Errno.EFAULT : base.Write(from, ref offset, flags);

    /// <summary>Counting entropy works for all, changing it for none.</summary>
    public override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        const uint RNDGETENTCNT = 0x80045200, RNDADDTOENTCNT = 0x40045201, RNDADDENTROPY = 0x40085203, RNDZAPENTCNT = 0x5204,
            RNDCLEARPOOL = 0x5206, RNDRESEEDCRNG = 0x5207;
        const int PoolBits = 256;
        return command switch
        {
            RNDGETENTCNT => task.Mm.Write(new UserPtr<int>(argument), PoolBits),
            RNDADDTOENTCNT or RNDADDENTROPY or RNDZAPENTCNT or RNDCLEARPOOL or RNDRESEEDCRNG => Errno.EPERM,
            _ => Errno.EINVAL,
        };
    }
}
