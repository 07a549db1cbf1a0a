using System.Numerics;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring
{
    /// <summary>What works: all that 6.18 has.</summary>
    private const IoUringSetup KnownSetup = (IoUringSetup)0x7ffff;

    /// <summary>What io_uring_params.features says.</summary>
    public const IoUringFeature Features = IoUringFeature.SINGLE_MMAP | IoUringFeature.NODROP | IoUringFeature.SUBMIT_STABLE
        | IoUringFeature.RW_CUR_POS | IoUringFeature.CUR_PERSONALITY | IoUringFeature.FAST_POLL | IoUringFeature.POLL_32BITS
        | IoUringFeature.SQPOLL_NONFIXED | IoUringFeature.EXT_ARG | IoUringFeature.NATIVE_WORKERS | IoUringFeature.RSRC_TAGS
        | IoUringFeature.CQE_SKIP | IoUringFeature.LINKED_FILE | IoUringFeature.REG_REG_RING | IoUringFeature.MIN_TIMEOUT
        | IoUringFeature.RECVSEND_BUNDLE | IoUringFeature.RW_ATTR | IoUringFeature.NO_IOWAIT;

    /// <summary>
    /// io_uring_setup(2): makes a ring and fills in the rest of <paramref name="p"/>. Errors: EINVAL for what is not known or does
    /// not go together, ENOMEM, EFAULT, EOVERFLOW, ENXIO and EPERM (a ring to attach to).
    /// </summary>
    public static Errno Create(Task task, uint entries, ref IoUringParams p, out Ring? ring)
    {
        ring = null;
        IoUringSetup setup = (IoUringSetup)p.flags;
        if ((p.resv0 | p.resv1 | p.resv2) != 0 || (setup & ~AllowedSetup(task)) != 0 || !IsValid(setup))
            return Errno.EINVAL;
        Errno e = LayOut(entries, setup, p.cq_entries, out RingLayout layout);
        if (e != Errno.OK)
            return e;
        // A ring that starts disabled belongs to whoever enables it.
        bool owned = (setup & (IoUringSetup.SINGLE_ISSUER | IoUringSetup.R_DISABLED)) == IoUringSetup.SINGLE_ISSUER;
        Ring made = new(task, setup, owned ? task : null, layout.CqEntries);
        e = made.Allocate(task, in layout, in p);
        if (e == Errno.OK)
            e = made.Attach(task, in p);
        task.Sentry.AddRing(made);
        if (e != Errno.OK)
        {
            made.DropReference();
            return e;
        }
        p.sq_entries = layout.SqEntries;
        p.cq_entries = layout.CqEntries;
        p.features = (uint)Features;
        made._memory.DescribeTo(ref p);
        made._poller?.Add(made);
        ring = made;
        return Errno.OK;
    }

    /// <summary>Sizes for so many entries. EINVAL, EOVERFLOW.</summary>
    private static Errno LayOut(uint entries, IoUringSetup setup, uint cqAsked, out RingLayout layout)
    {
        layout = default;
        bool clamp = (setup & IoUringSetup.CLAMP) != 0;
        if (!TrySize(entries, IoUringConst.IORING_MAX_ENTRIES, clamp, out uint sqEntries))
            return Errno.EINVAL;
        uint cqEntries = sqEntries * 2;
        if ((setup & IoUringSetup.CQSIZE) != 0
            && (!TrySize(cqAsked, IoUringConst.IORING_MAX_CQ_ENTRIES, clamp, out cqEntries) || cqEntries < sqEntries))
        {
            return Errno.EINVAL;
        }
        // A large CQE takes two places.
        if ((setup & IoUringSetup.CQE_MIXED) != 0 && cqEntries < 2)
            return Errno.EOVERFLOW;
        layout = new RingLayout(sqEntries, cqEntries, (setup & IoUringSetup.NO_SQARRAY) == 0,
            (setup & IoUringSetup.SQE128) != 0 ? 1 : 0, (setup & IoUringSetup.CQE32) != 0 ? 1 : 0);
        return Errno.OK;
    }

    private Errno Allocate(Task task, in RingLayout layout, in IoUringParams p)
    {
        Errno e = Charge(task, layout.RingBytes + layout.SqesBytes);
        if (e != Errno.OK)
            return e;
        if ((Setup & IoUringSetup.NO_MMAP) != 0)
        {
            e = PinRings(task, in layout, p.cq_off.user_addr, p.sq_off.user_addr, out RingMemory? memory);
            if (e == Errno.OK)
                _memory = memory!;
            return e;
        }
        e = AddRegion(layout.RingBytes, out _ringRegion, first: true);
        if (e == Errno.OK)
            e = AddRegion(layout.SqesBytes, out _sqesRegion, first: true);
        if (e != Errno.OK)
            return e;
        _firstSqesRegion = _sqesRegion;
        _memory = new RingMemory(_sentry.Frames, in layout, _ringRegion!, _sqesRegion!);
        return Errno.OK;
    }

    private static Errno PinRegion(Task task, ulong address, ulong bytes, out PinnedMemory? memory)
    {
        memory = null;
        if (address == 0)
            return Errno.EFAULT;
        return (address & (MemoryManager.PageSize - 1)) != 0 ? Errno.EINVAL : PinnedMemory.Create(task.Mm, address, bytes, out memory);
    }

    private static Errno PinRings(Task task, in RingLayout layout, ulong ringAddress, ulong sqesAddress, out RingMemory? memory)
    {
        memory = null;
        Errno e = PinRegion(task, ringAddress, layout.RingBytes, out PinnedMemory? ring);
        if (e != Errno.OK)
            return e;
        e = PinRegion(task, sqesAddress, layout.SqesBytes, out PinnedMemory? sqes);
        if (e != Errno.OK)
        {
            ring!.Dispose();
            return e;
        }
        memory = new RingMemory(in layout, ring!, sqes!);
        return Errno.OK;
    }

    /// <summary>SQPOLL, SQ_AFF and ATTACH_WQ. ENXIO, EINVAL, EAGAIN.</summary>
    private Errno Attach(Task task, in IoUringParams p)
    {
        bool polls = (Setup & IoUringSetup.SQPOLL) != 0;
        SqPoller? poller = null;
        if ((Setup & IoUringSetup.ATTACH_WQ) != 0)
        {
            FileDescription? file = GetFile(task.Files, (int)p.wq_fd);
            if (file is null)
                return Errno.ENXIO;
            poller = (file as Ring)?._poller;
            bool fits = file is Ring && (!polls || poller is not null);
            file.DropReference();
            if (!fits)
                return Errno.EINVAL;
        }
        if ((Setup & IoUringSetup.SQ_AFF) != 0 && (!polls || p.sq_thread_cpu >= (uint)Environment.ProcessorCount))
            return Errno.EINVAL;
        if (!polls)
            return Errno.OK;
        // Threads of one process share; another process gets one of its own.
        if (poller is null || poller.Process != task.Group || poller.IsDead)
        {
            int id = _sentry.Tasks.Allocate();
            if (id < 0)
                return Errno.EAGAIN;
            poller = new SqPoller(task, id, p.sq_thread_idle, (Setup & IoUringSetup.SQ_AFF) != 0 ? (int)p.sq_thread_cpu : -1, MakeWorkers(task, id));
        }
        _poller = poller;
        _pollerTask = task;
        return Errno.OK;
    }

    /// <summary>A flag that the sandbox denies is as good as one that a kernel does not know: programs can do without both.</summary>
    private static IoUringSetup AllowedSetup(Task task) => KnownSetup & (task.Sentry.Uring.Policy?.Setup ?? KnownSetup);

    private static bool IsValid(IoUringSetup setup)
    {
        bool defer = Has(IoUringSetup.DEFER_TASKRUN), coop = Has(IoUringSetup.COOP_TASKRUN), flag = Has(IoUringSetup.TASKRUN_FLAG);
        if (Has(IoUringSetup.REGISTERED_FD_ONLY) && !Has(IoUringSetup.NO_MMAP))
            return false;
        if (Has(IoUringSetup.SQPOLL) && (coop || flag || defer))
            return false;
        if (Has(IoUringSetup.HYBRID_IOPOLL) && !Has(IoUringSetup.IOPOLL))
            return false;
        if (Has(IoUringSetup.CQE32) && Has(IoUringSetup.CQE_MIXED))
            return false;
        if (defer && !Has(IoUringSetup.SINGLE_ISSUER))
            return false;
        // The flag tells of task work that waits for the program to come by, which only these two kinds of ring have.
        return !flag || defer || coop;

        bool Has(IoUringSetup flags) => (setup & flags) != 0;
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
