using System.Numerics;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Platform;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring : IMappable
{
    /// <summary>What works. Everything else is EINVAL, as for a kernel that does not know it.</summary>
    private const IoUringSetup KnownSetup = IoUringSetup.CQSIZE | IoUringSetup.CLAMP | IoUringSetup.R_DISABLED
        | IoUringSetup.SUBMIT_ALL | IoUringSetup.COOP_TASKRUN | IoUringSetup.TASKRUN_FLAG | IoUringSetup.SINGLE_ISSUER
        | IoUringSetup.DEFER_TASKRUN | IoUringSetup.NO_SQARRAY;

    /// <summary>What io_uring_params.features says.</summary>
    public const IoUringFeature Features = IoUringFeature.SINGLE_MMAP | IoUringFeature.NODROP | IoUringFeature.SUBMIT_STABLE
        | IoUringFeature.RW_CUR_POS | IoUringFeature.CUR_PERSONALITY | IoUringFeature.FAST_POLL | IoUringFeature.POLL_32BITS
        | IoUringFeature.EXT_ARG | IoUringFeature.NATIVE_WORKERS | IoUringFeature.CQE_SKIP | IoUringFeature.LINKED_FILE
        | IoUringFeature.MIN_TIMEOUT | IoUringFeature.NO_IOWAIT;

    /// <inheritdoc/>
    public string MapName => "anon_inode:[io_uring]";

    /// <inheritdoc/>
    public bool IsSpecial => true;

    /// <inheritdoc/>
    public ulong MapDevice => Inode.FileSystem.Device;

    /// <inheritdoc/>
    public ulong MapInode => GetStat(out Vfs.FileStat stat) == Errno.OK ? stat.Ino : 0;

    /// <summary>
    /// io_uring_setup(2): makes a ring and fills in the rest of <paramref name="p"/>. Errors: EINVAL for what is not known or does
    /// not go together, ENOMEM.
    /// </summary>
    public static Errno Create(Task task, uint entries, ref IoUringParams p, out Ring? ring)
    {
        ring = null;
        IoUringSetup setup = (IoUringSetup)p.flags;
        if ((p.resv0 | p.resv1 | p.resv2) != 0 || !IsValid(setup))
            return Errno.EINVAL;
        bool clamp = (setup & IoUringSetup.CLAMP) != 0;
        if (!TrySize(entries, IoUringConst.IORING_MAX_ENTRIES, clamp, out uint sqEntries))
            return Errno.EINVAL;
        uint cqEntries = sqEntries * 2;
        if ((setup & IoUringSetup.CQSIZE) != 0
            && (!TrySize(p.cq_entries, IoUringConst.IORING_MAX_CQ_ENTRIES, clamp, out cqEntries) || cqEntries < sqEntries))
        {
            return Errno.EINVAL;
        }

        bool array = (setup & IoUringSetup.NO_SQARRAY) == 0;
        Errno e = RingMemory.Create(task.Sentry.Frames, sqEntries, cqEntries, array, out RingMemory? memory);
        if (e != Errno.OK)
            return e;
        // A ring that starts disabled belongs to whoever enables it.
        bool owned = (setup & (IoUringSetup.SINGLE_ISSUER | IoUringSetup.R_DISABLED)) == IoUringSetup.SINGLE_ISSUER;
        ring = new Ring(task.Sentry, setup, memory!, owned ? task : null);
        task.Sentry.AddRing(ring);
        p.sq_entries = sqEntries;
        p.cq_entries = cqEntries;
        p.features = (uint)Features;
        memory!.DescribeTo(ref p);
        return Errno.OK;
    }

    /// <inheritdoc/>
    public override Errno GetMappable(out IMappable? mappable)
    {
        mappable = this;
        return Errno.OK;
    }

    /// <summary>
    /// Rings are mapped where there is room, without execution, and always from the start of their zone: the upper bits of the offset say
    /// which, the rest is ignored. EINVAL, EPERM, ENOMEM.
    /// </summary>
    public Errno CheckMapping(ref MapRequest request)
    {
        if (request.Address != 0)
            return Errno.EINVAL;
        if ((request.Access & MapAccess.Execute) != 0)
            return Errno.EPERM;
        request.MaxAccess &= ~MapAccess.Execute;
        request.FileOffset &= IoUringConst.IORING_OFF_MMAP_MASK;
        return ZoneOf(request.FileOffset).Bytes == 0 ? Errno.ENOMEM : Errno.OK;
    }

    /// <inheritdoc/>
    public Errno Resolve(ulong offset, ulong length, out Backing backing)
    {
        backing = default;
        ulong zone = offset & IoUringConst.IORING_OFF_MMAP_MASK, at = offset - zone;
        (ulong start, ulong bytes) = ZoneOf(zone);
        if (at >= bytes)
            return Errno.ENXIO;
        backing = new Backing { HostFd = -1, Offset = start + at, Length = Math.Min(length, bytes - at) };
        return Errno.OK;
    }

    private (ulong Offset, ulong Bytes) ZoneOf(ulong zone) => zone switch
    {
        IoUringConst.IORING_OFF_SQ_RING or IoUringConst.IORING_OFF_CQ_RING => (_memory.RingOffset, _memory.RingBytes),
        IoUringConst.IORING_OFF_SQES => (_memory.SqesOffset, _memory.SqesBytes),
        _ => (0, 0),
    };

    private static bool IsValid(IoUringSetup setup)
    {
        if ((setup & ~KnownSetup) != 0)
            return false;
        bool defer = (setup & IoUringSetup.DEFER_TASKRUN) != 0;
        if (defer && (setup & IoUringSetup.SINGLE_ISSUER) == 0)
            return false;
        // The flag tells of task work that waits for the program to come by, which only these two kinds of ring have.
        return (setup & IoUringSetup.TASKRUN_FLAG) == 0 || defer || (setup & IoUringSetup.COOP_TASKRUN) != 0;
    }

    private static bool TrySize(uint asked, uint most, bool clamp, out uint entries)
    {
        entries = 0;
        if (asked == 0 || (asked > most && !clamp))
            return false;
        entries = BitOperations.RoundUpToPowerOf2(Math.Min(asked, most));
        return true;
    }
}
