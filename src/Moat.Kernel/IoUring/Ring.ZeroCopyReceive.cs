using System.Numerics;
using System.Runtime.InteropServices;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring
{
    /// <summary>
    /// ZCRX_IFQ: zero-copy receive needs a network device that gives its queues away, and the sandbox has none: EOPNOTSUPP, as Linux answers
    /// for such devices, when all else is right. EPERM, EINVAL, EFAULT, ENOMEM, ENODEV.
    /// </summary>
    private SysResult RegisterZeroCopyReceive(Task task, UserPtr argument)
    {
        if (!task.Credentials.Has(Capability.CAP_NET_ADMIN))
            return Errno.EPERM;
        if ((Setup & IoUringSetup.DEFER_TASKRUN) == 0 || (Setup & (IoUringSetup.CQE32 | IoUringSetup.CQE_MIXED)) == 0)
            return Errno.EINVAL;
        Errno e = task.Mm.Read(new UserPtr<IoUringZcrxIfqReg>(argument.Address), out IoUringZcrxIfqReg reg);
        if (e != Errno.OK)
            return e;
        e = task.Mm.Read(new UserPtr<IoUringRegionDesc>(reg.region_ptr), out IoUringRegionDesc region);
        if (e != Errno.OK)
            return e;
        const uint MostEntries = 32768;
        if ((reg.resv0 | reg.resv1 | reg.resv2) != 0 || reg.pad != 0 || reg.zcrx_id != 0 || reg.if_rxq == uint.MaxValue || reg.rq_entries == 0 || reg.flags != 0)
            return Errno.EINVAL;
        if (reg.rq_entries > MostEntries && (Setup & IoUringSetup.CLAMP) == 0)
            return Errno.EINVAL;
        Span<byte> area = stackalloc byte[IoUringZcrxIfqReg.AreaSize];
        e = task.Mm.CopyIn(new UserPtr(reg.area_ptr), area);
        if (e == Errno.OK)
            e = CheckRefillRing(task, in region, BitOperations.RoundUpToPowerOf2(Math.Min(reg.rq_entries, MostEntries)));
        return e != Errno.OK ? e : HasInterface(reg.if_idx) ? Errno.EOPNOTSUPP : Errno.ENODEV;
    }

    /// <summary>Whether the ring of buffers to refill could be in this region. EINVAL, EFAULT, ENOMEM.</summary>
    private Errno CheckRefillRing(Task task, in IoUringRegionDesc region, uint entries)
    {
        const ulong HeadSize = 64, EntrySize = 16;
        if (HeadSize + (entries * EntrySize) > region.size)
            return Errno.EINVAL;
        Errno e = CheckRegion(in region, out bool user);
        if (e == Errno.OK)
            e = Charge(task, region.size);
        if (e != Errno.OK)
            return e;
        if (user)
        {
            e = PinnedMemory.Create(task.Mm, region.user_addr, region.size, out PinnedMemory? memory);
            memory?.Dispose();
        }
        Uncharge(region.size);
        return e;
    }

    private bool HasInterface(uint index)
    {
        const uint SIOCGIFNAME = 0x8910;
        const int RequestSize = 40, IndexAt = 16;
        Span<byte> request = stackalloc byte[RequestSize];
        request.Clear();
        MemoryMarshal.Write(request[IndexAt..], in index);
        return _sentry.Interfaces.Ask(SIOCGIFNAME, request) >= 0;
    }
}
