using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>Provided buffers: requests with IOSQE_BUFFER_SELECT take theirs when they have something to put there.</summary>
internal sealed partial class Ring
{
    private readonly Dictionary<ushort, BufferGroup> _groups = [];

    // The group that was asked for last: programs use few, and often one.
    private BufferGroup? _lastGroup;

    /// <summary>
    /// Picks the buffer for a request with IOSQE_BUFFER_SELECT: once, until <see cref="PutBuffer"/> or <see cref="RecycleBuffer"/>. <paramref name="length"/>:
    /// bytes wanted (0: all of the buffer), and then those there are. ENOBUFS. Under the lock, or on a worker.
    /// </summary>
    public Errno SelectBuffer(Request request, IssueFlags flags, ref ulong length, out ulong address)
    {
        if (request.Group is null)
        {
            bool unlocked = (flags & IssueFlags.Unlocked) != 0;
            if (unlocked)
                _lock.Enter();
            bool found = TrySelect(request, unlocked, length);
            if (unlocked)
                Unlock();
            if (!found)
            {
                address = 0;
                return Errno.ENOBUFS;
            }
        }
        address = request.Selected.Address;
        length = request.SelectedLength;
        return Errno.OK;
    }

    /// <summary>
    /// Picks several buffers (bundles) into Request.Vectors, up to <paramref name="length"/> bytes (0: no limit) and <paramref name="most"/> buffers: a
    /// list gives one. Returns how many, ENOENT without the group, or ENOBUFS; the vectors are unchecked. Under the lock, or on a worker.
    /// </summary>
    public SysResult SelectBuffers(Request request, IssueFlags flags, ulong length, int most)
    {
        if (request.Group is not null)
            return request.SelectedCount;
        bool unlocked = (flags & IssueFlags.Unlocked) != 0;
        if (unlocked)
            _lock.Enter();
        int count = TakeSeveral(request, unlocked, length, most);
        // One buffer of no group, as a worker picks it, is none of none (ENOBUFS); several ask for the group.
        bool exists = unlocked || count != 0 || FindGroup(request.Sqe.buf_group) is not null;
        if (unlocked)
            Unlock();
        return !exists ? Errno.ENOENT : count == 0 ? Errno.ENOBUFS : count;
    }

    /// <summary>
    /// The request has used <paramref name="bytes"/> of what it picked; Request.CqeFlags say which buffer it was. Nothing happens without a
    /// picked buffer. Under the lock, or on a worker.
    /// </summary>
    public void PutBuffer(Request request, ulong bytes)
    {
        if (request.Group is not { } group)
            return;
        request.Group = null;
        CqeFlags flags = CqeFlags.BUFFER | (CqeFlags)((uint)request.Selected.Id << IoUringConst.IORING_CQE_BUFFER_SHIFT);
        // What a worker picked was used up right then: the guest may have the ring move on meanwhile.
        bool whole = request.IsCommitted ? !request.HasRest : group.Ring!.Commit(bytes, CountOf(request, bytes));
        if (!whole)
            flags |= CqeFlags.BUF_MORE;
        request.CqeFlags |= flags;
    }

    /// <summary>
    /// The request goes on later behind so many bytes: what they fill of a ring's buffers is used up right then, and the CQE tells of no rest.
    /// Under the lock, or on a worker, where it is done already.
    /// </summary>
    public static void CommitPart(Request request, ulong bytes)
    {
        if (request.IsCommitted || request.Group?.Ring is not { } ring)
            return;
        ring.Commit(bytes, CountOf(request, bytes));
        request.IsCommitted = true;
    }

    /// <summary>Nothing was moved: the buffer is there for others again. Under the lock, or on a worker.</summary>
    public void RecycleBuffer(Request request, IssueFlags flags)
    {
        if (request.Group is not { } group || (group.Ring is not null && request.IsCommitted))
            return;
        request.Group = null;
        if (group.Ring is not null)
            return;
        bool unlocked = (flags & IssueFlags.Unlocked) != 0;
        if (unlocked)
            _lock.Enter();
        group.TryAdd(request.Selected, first: true);
        if (unlocked)
            Unlock();
    }

    private bool TrySelect(Request request, bool onWorker, ulong length)
    {
        if (FindGroup(request.Sqe.buf_group) is not { } group)
            return false;
        ProvidedBuffer buffer;
        if (group.Ring is { } ring)
        {
            if (ring.Available == 0)
                return false;
            buffer = ring.Peek(0);
        }
        else if (!group.TryTake(out buffer))
        {
            return false;
        }
        Select(request, group, buffer, 1, onWorker, length != 0 ? Math.Min(length, buffer.Length) : buffer.Length);
        return true;
    }

    private int TakeSeveral(Request request, bool onWorker, ulong length, int most)
    {
        if (FindGroup(request.Sqe.buf_group) is not { } group)
            return 0;
        if (group.Ring is not { } ring)
        {
            if (!TrySelect(request, onWorker, length))
                return 0;
            SetVector(request, 0, request.Selected.Address, request.SelectedLength);
            return 1;
        }
        uint available = Math.Min(ring.Available, (uint)most);
        if (available == 0)
            return 0;
        ProvidedBuffer first = ring.Peek(0);
        // How many it takes at most is told by the first one's size.
        if (length == 0)
            length = ulong.MaxValue;
        else if (first.Length == 0)
            return 0;
        else
            available = (uint)Math.Min(available, (length + first.Length - 1) / first.Length);
        int count = 0;
        ulong total = 0;
        while ((uint)count < available && total < length)
        {
            ProvidedBuffer buffer = count == 0 ? first : ring.Peek((uint)count);
            ulong part = Math.Min(buffer.Length, length - total);
            bool isCut = part < buffer.Length && !ring.IsIncremental;
            request.TookPart |= isCut;
            // Only an incremental buffer can be used in part, behind others.
            if (isCut && count != 0)
                break;
            SetVector(request, count++, buffer.Address, part);
            total += part;
            if (buffer.Length == 0)
                break;
        }
        request.TookAll |= total < length && (uint)count == ring.Available;
        if (count != 0)
            Select(request, group, first, count, onWorker, total);
        return count;
    }

    private static void SetVector(Request request, int index, ulong address, ulong length)
    {
        if (index >= request.Vectors.Length)
            Array.Resize(ref request.Vectors, Math.Max(8, index * 2));
        request.Vectors[index] = new IoVec { Base = address, Length = length };
    }

    private static void Select(Request request, BufferGroup group, in ProvidedBuffer buffer, int count, bool onWorker, ulong length)
    {
        request.Group = group;
        request.Selected = buffer;
        request.SelectedLength = length;
        request.SelectedCount = count;
        request.HasRest = false;
        request.IsCommitted = group.Ring is null;
        // Nobody holds the ring's lock while a worker moves the data, and what cannot be polled goes to one.
        onWorker |= (request.Flags & (RequestFlags.OnWorker | RequestFlags.Multishot)) == RequestFlags.OnWorker;
        if (group.Ring is not null && (onWorker || request.File?.Waiters is null))
        {
            request.IsCommitted = true;
            request.HasRest = !group.Ring.Commit(length, count);
        }
    }

    /// <summary>How many of the picked buffers so many bytes fill, at least one.</summary>
    private static int CountOf(Request request, ulong bytes)
    {
        int n = 1;
        if (request.SelectedCount > 1)
        {
            for (ulong filled = request.Vectors[0].Length; filled < bytes && n < request.SelectedCount; n++)
                filled += request.Vectors[n].Length;
        }
        return n;
    }

    private BufferGroup? FindGroup(ushort id)
    {
        if (_lastGroup is not null && _lastGroup.Id == id)
            return _lastGroup;
        return _groups.TryGetValue(id, out BufferGroup? group) ? _lastGroup = group : null;
    }

    /// <summary>PROVIDE_BUFFERS: adds buffers of one size in a row. EINVAL for a buffer ring, EOVERFLOW when the list is full. Under the lock.</summary>
    public SysResult ProvideBuffers(ushort group, ulong address, uint length, int count, ushort firstId)
    {
        BufferGroup? to = FindGroup(group);
        if (to is null)
            _groups.Add(group, to = new BufferGroup(group, null));
        if (to.Ring is not null)
            return Errno.EINVAL;
        for (int i = 0; i < count; i++)
        {
            ProvidedBuffer buffer = new() { Address = address, Length = (uint)Math.Min(length, MemoryManager.MAX_RW_COUNT), Id = (ushort)(firstId + i) };
            if (!to.TryAdd(buffer))
                return i != 0 ? 0 : Errno.EOVERFLOW;
            address += length;
        }
        return 0;
    }

    /// <summary>REMOVE_BUFFERS: how many went. ENOENT, EINVAL for a buffer ring. Under the lock.</summary>
    public SysResult RemoveBuffers(ushort group, int count)
    {
        BufferGroup? from = FindGroup(group);
        if (from is null)
            return Errno.ENOENT;
        return from.Ring is not null ? Errno.EINVAL : from.Remove(count);
    }

    private SysResult RegisterBufferRing(Task task, UserPtr argument)
    {
        Errno e = task.Mm.Read(new UserPtr<IoUringBufReg>(argument.Address), out IoUringBufReg reg);
        if (e != Errno.OK)
            return e;
        const ushort Known = IoUringConst.IOU_PBUF_RING_MMAP | IoUringConst.IOU_PBUF_RING_INC;
        if ((reg.resv0 | reg.resv1 | reg.resv2) != 0 || (reg.flags & ~Known) != 0)
            return Errno.EINVAL;
        if (reg.min_left != 0 && (reg.flags & IoUringConst.IOU_PBUF_RING_INC) == 0)
            return Errno.EINVAL;
        if (!uint.IsPow2(reg.ring_entries) || reg.ring_entries >= 65536)
            return Errno.EINVAL;
        if (FindGroup(reg.bgid) is { } old && (old.Ring is not null || old.Count != 0))
            return Errno.EEXIST;
        uint? minLeft = (reg.flags & IoUringConst.IOU_PBUF_RING_INC) != 0 ? reg.min_left : null;
        bool isMapped = (reg.flags & IoUringConst.IOU_PBUF_RING_MMAP) != 0;
        if (!isMapped && reg.ring_addr == 0)
            return Errno.EFAULT;
        if (!isMapped && (reg.ring_addr & (MemoryManager.PageSize - 1)) != 0)
            return Errno.EINVAL;
        ulong bytes = reg.ring_entries * 16UL;
        e = Charge(task, bytes);
        if (e != Errno.OK)
            return e;
        RingRegion? region = null;
        PinnedMemory? memory = null;
        e = isMapped ? AddRegion(bytes, out region, reg.bgid) : PinnedMemory.Create(task.Mm, reg.ring_addr, bytes, out memory);
        if (e != Errno.OK)
        {
            Uncharge(bytes);
            return e;
        }
        BufferRing ring = isMapped ? new BufferRing(_sentry.Frames, region!, reg.ring_entries, minLeft)
            : new BufferRing(memory!, reg.ring_entries, minLeft);
        _groups[reg.bgid] = new BufferGroup(reg.bgid, ring);
        _lastGroup = null;
        return 0;
    }

    private SysResult UnregisterBufferRing(Task task, UserPtr argument)
    {
        Errno e = task.Mm.Read(new UserPtr<IoUringBufReg>(argument.Address), out IoUringBufReg reg);
        if (e != Errno.OK)
            return e;
        if ((reg.resv0 | reg.resv1 | reg.resv2) != 0 || reg.flags != 0)
            return Errno.EINVAL;
        BufferGroup? group = FindGroup(reg.bgid);
        if (group is null)
            return Errno.ENOENT;
        if (group.Ring is null)
            return Errno.EINVAL;
        _groups.Remove(reg.bgid);
        _lastGroup = null;
        DropBufferRing(group.Ring);
        return 0;
    }

    private SysResult BufferRingStatus(Task task, UserPtr argument)
    {
        Errno e = task.Mm.Read(new UserPtr<IoUringBufStatus>(argument.Address), out IoUringBufStatus status);
        if (e != Errno.OK)
            return e;
        if ((status.resv0 | status.resv1 | status.resv2 | status.resv3) != 0)
            return Errno.EINVAL;
        BufferGroup? group = status.buf_group <= ushort.MaxValue ? FindGroup((ushort)status.buf_group) : null;
        if (group is null)
            return Errno.ENOENT;
        if (group.Ring is null)
            return Errno.EINVAL;
        status.head = group.Ring.Head;
        return task.Mm.Write(new UserPtr<IoUringBufStatus>(argument.Address), status);
    }

    private void DropBufferRing(BufferRing ring)
    {
        if (ring.Region is not null)
            DropRegion(ring.Region);
        ring.Dispose();
        Uncharge(ring.Entries * 16UL);
    }

    private void DropBuffers()
    {
        foreach (BufferGroup group in _groups.Values)
        {
            if (group.Ring is not null)
                DropBufferRing(group.Ring);
        }
        _groups.Clear();
        _lastGroup = null;
    }
}
