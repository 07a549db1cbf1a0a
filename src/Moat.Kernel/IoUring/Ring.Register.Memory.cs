using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>Memory regions, and rings of another size.</summary>
internal sealed partial class Ring
{
    private ParameterRegion? _parameters;
    private bool _parametersAreWaits;

    /// <summary>MEM_REGION: once. EBUSY, EINVAL, EFAULT, ENOMEM.</summary>
    private SysResult RegisterMemoryRegion(Task task, UserPtr argument)
    {
        const ulong WAIT_ARG = 1;
        if (_parameters is not null)
            return Errno.EBUSY;
        Errno e = task.Mm.Read(new UserPtr<IoUringMemRegionReg>(argument.Address), out IoUringMemRegionReg reg);
        if (e != Errno.OK)
            return e;
        UserPtr<IoUringRegionDesc> at = new(reg.region_uptr);
        e = task.Mm.Read(at, out IoUringRegionDesc desc);
        if (e != Errno.OK)
            return e;
        if ((reg.resv0 | reg.resv1) != 0 || (reg.flags & ~WAIT_ARG) != 0 || ((reg.flags & WAIT_ARG) != 0 && !_disabled))
            return Errno.EINVAL;
        e = CheckRegion(in desc, out bool user);
        if (e != Errno.OK)
            return e;
        e = Charge(task, desc.size);
        if (e != Errno.OK)
            return e;
        RingRegion? region = null;
        PinnedMemory? memory = null;
        e = user ? PinnedMemory.Create(task.Mm, desc.user_addr, desc.size, out memory) : AddRegion(desc.size, out region);
        if (!user)
            desc.mmap_offset = IoUringConst.IORING_MAP_OFF_PARAM_REGION;
        if (e == Errno.OK)
            e = task.Mm.Write(at, desc);
        if (e != Errno.OK)
        {
            memory?.Dispose();
            if (region is not null)
                DropRegion(region);
            Uncharge(desc.size);
            return e;
        }
        ParameterRegion made = user ? new ParameterRegion(memory!) : new ParameterRegion(_sentry.Frames, region!);
        lock (_regionsLock)
            _parameterRegion = region;
        _parameters = made;
        _parametersAreWaits = (reg.flags & WAIT_ARG) != 0;
        return 0;
    }

    /// <summary>
    /// Looks at a struct io_uring_region_desc; <paramref name="user"/>: the memory is the program's. EINVAL, EFAULT, E2BIG, EOVERFLOW, ENOMEM.
    /// </summary>
    private static Errno CheckRegion(in IoUringRegionDesc desc, out bool user)
    {
        const uint TYPE_USER = 1;
        user = (desc.flags & TYPE_USER) != 0;
        if ((desc.resv0 | desc.resv1 | desc.resv2 | desc.resv3) != 0 || (desc.flags & ~TYPE_USER) != 0)
            return Errno.EINVAL;
        if (user != (desc.user_addr != 0))
            return Errno.EFAULT;
        const ulong Most = 1UL << 30;
        if (desc.size == 0 || desc.id != 0 || desc.mmap_offset != 0)
            return Errno.EINVAL;
        if (desc.size / MemoryManager.PageSize > int.MaxValue)
            return Errno.E2BIG;
        if (((desc.size | desc.user_addr) & (MemoryManager.PageSize - 1)) != 0)
            return Errno.EINVAL;
        if (desc.user_addr + desc.size < desc.size)
            return Errno.EOVERFLOW;
        // Linux keeps eight bytes for each page, in less than 2 GiB.
        return desc.size / MemoryManager.PageSize * sizeof(ulong) > int.MaxValue || (!user && desc.size > Most) ? Errno.ENOMEM : Errno.OK;
    }

    /// <summary>
    /// RESIZE_RINGS: rings of another size with what is in them now; only with DEFER_TASKRUN. The guest maps them anew. EINVAL, EFAULT, ENOMEM,
    /// EOVERFLOW (there is more in them than will fit).
    /// </summary>
    private SysResult ResizeRings(Task task, UserPtr argument)
    {
        const IoUringSetup Settable = IoUringSetup.CQSIZE | IoUringSetup.CLAMP;
        const IoUringSetup Kept = IoUringSetup.NO_SQARRAY | IoUringSetup.SQE128 | IoUringSetup.CQE32 | IoUringSetup.NO_MMAP | IoUringSetup.CQE_MIXED;
        if (!_defer)
            return Errno.EINVAL;
        ulong former = _memory.Layout.RingBytes + _memory.Layout.SqesBytes;
        UserPtr<IoUringParams> at = new(argument.Address);
        Errno e = task.Mm.Read(at, out IoUringParams p);
        if (e != Errno.OK)
            return e;
        IoUringSetup asked = (IoUringSetup)p.flags;
        if ((asked & ~Settable) != 0)
            return Errno.EINVAL;
        asked |= Setup & Kept;
        e = LayOut(p.sq_entries, asked, p.cq_entries, out RingLayout layout);
        if (e != Errno.OK)
            return e;
        FlushBatch();
        ulong bytes = layout.RingBytes + layout.SqesBytes;
        e = Charge(task, bytes);
        if (e != Errno.OK)
            return e;
        e = MakeRings(task, in layout, in p, out RingMemory? memory, out RingRegion? ring, out RingRegion? sqes);
        if (e == Errno.OK)
        {
            p.flags = (uint)asked;
            p.sq_entries = layout.SqEntries;
            p.cq_entries = layout.CqEntries;
            memory!.DescribeTo(ref p);
            // Where the index array is, 6.18 tells only at set-up.
            p.sq_off.array = 0;
            e = task.Mm.Write(at, p);
            if (e == Errno.OK)
                e = Exchange(ref memory, ref ring, ref sqes);
        }
        // What is in these now is not the ring's: the former ones, or those that are of no use.
        memory?.Unpin();
        if (ring is not null)
            DropRegion(ring);
        if (sqes is not null)
            DropRegion(sqes);
        Uncharge(e == Errno.OK ? former : bytes);
        return e;
    }

    private Errno MakeRings(Task task, in RingLayout layout, in IoUringParams p, out RingMemory? memory, out RingRegion? ring, out RingRegion? sqes)
    {
        ring = sqes = null;
        if ((Setup & IoUringSetup.NO_MMAP) != 0)
            return PinRings(task, in layout, p.cq_off.user_addr, p.sq_off.user_addr, out memory);
        memory = null;
        Errno e = AddRegion(layout.RingBytes, out ring);
        if (e == Errno.OK)
            e = AddRegion(layout.SqesBytes, out sqes);
        if (e == Errno.OK)
            memory = new RingMemory(_sentry.Frames, in layout, ring!, sqes!);
        return e;
    }

    /// <summary>Takes what is in the rings over to others and uses those: the arguments are then the former ones. EOVERFLOW.</summary>
    private Errno Exchange(ref RingMemory? memory, ref RingRegion? ring, ref RingRegion? sqes)
    {
        // With deferred work only the issuer waits, and it is here; others look at the rings under these locks alone.
        lock (_cqLock)
        {
            lock (_flagsLock)
            {
                Errno e = memory!.TakeOver(_memory, _sqHead, _cqTail);
                if (e != Errno.OK)
                    return e;
                (_memory, memory) = (memory, _memory);
            }
        }
        lock (_regionsLock)
        {
            (_ringRegion, ring) = (ring, _ringRegion);
            (_sqesRegion, sqes) = (sqes, _sqesRegion);
            ForgetPlace();
        }
        _room = 0;
        return Errno.OK;
    }

    /// <summary>Held to set a flag in the rings where nothing else keeps them: a leaf.</summary>
    private readonly Lock _flagsLock = new();
}
