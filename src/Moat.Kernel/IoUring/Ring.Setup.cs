using System.Numerics;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring
{
    /// <summary>What works. Everything else is EINVAL, as for a kernel that does not know it.</summary>
    private const IoUringSetup KnownSetup = IoUringSetup.CQSIZE | IoUringSetup.CLAMP | IoUringSetup.R_DISABLED
        | IoUringSetup.SUBMIT_ALL | IoUringSetup.COOP_TASKRUN | IoUringSetup.TASKRUN_FLAG | IoUringSetup.SINGLE_ISSUER
        | IoUringSetup.DEFER_TASKRUN | IoUringSetup.NO_SQARRAY;

    /// <summary>What io_uring_params.features says.</summary>
    public const IoUringFeature Features = IoUringFeature.SINGLE_MMAP | IoUringFeature.NODROP | IoUringFeature.SUBMIT_STABLE
        | IoUringFeature.RW_CUR_POS | IoUringFeature.CUR_PERSONALITY | IoUringFeature.FAST_POLL | IoUringFeature.POLL_32BITS
        | IoUringFeature.EXT_ARG | IoUringFeature.NATIVE_WORKERS | IoUringFeature.CQE_SKIP | IoUringFeature.LINKED_FILE
        | IoUringFeature.RECVSEND_BUNDLE | IoUringFeature.MIN_TIMEOUT | IoUringFeature.NO_IOWAIT;

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
