using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>Registered buffers: guest memory pinned once.</summary>
internal sealed partial class Ring
{
    private const uint MaxBuffers = 1 << 14, IoVecSize = 16;

    /// <summary>BUFFERS, BUFFERS2: <paramref name="iovecs"/> 0: a table without buffers; <paramref name="tags"/> 0: none has a tag.</summary>
    private SysResult RegisterBuffers(Task task, ulong iovecs, uint count, ulong tags)
    {
        if (_buffers is not null)
            return Errno.EBUSY;
        if (count is 0 or > MaxBuffers)
            return Errno.EINVAL;
        ResourceNode?[]? table = new ResourceNode?[count];
        for (uint i = 0; i < count; i++)
        {
            Errno e = ReadBuffer(task, iovecs, tags, i, out table[i]);
            if (e == Errno.OK)
                continue;
            DropTable(ref table, tell: false);
            return e;
        }
        _buffers = table;
        return 0;
    }

    /// <summary>Pins the buffer of one entry of the guest's arrays; null for none. EFAULT, EOVERFLOW, ENOMEM, EINVAL (a tag without a buffer).</summary>
    private Errno ReadBuffer(Task task, ulong iovecs, ulong tags, uint index, out ResourceNode? node)
    {
        node = null;
        IoVec range = default;
        Errno e = iovecs == 0 ? Errno.OK : task.Mm.Read(new UserPtr<IoVec>(iovecs + (index * IoVecSize)), out range);
        if (e != Errno.OK)
            return e;
        e = ReadTag(task.Mm, tags, index, out ulong tag);
        if (e != Errno.OK)
            return e;
        e = RegisteredBuffer.Create(task, range, _account, out RegisteredBuffer? buffer);
        if (e != Errno.OK)
            return e;
        if (buffer is null)
            return tag != 0 ? Errno.EINVAL : Errno.OK;
        node = new ResourceNode { Buffer = buffer, Tag = tag };
        return Errno.OK;
    }

    /// <summary>BUFFERS_UPDATE: how many places were done before an error, or the error of the first.</summary>
    private SysResult UpdateBuffers(Task task, in IoUringRsrcUpdate2 update)
    {
        if (update.offset + (ulong)update.nr > uint.MaxValue)
            return Errno.EOVERFLOW;
        if (_buffers is null)
            return Errno.ENXIO;
        if (update.offset + update.nr > (uint)_buffers.Length)
            return Errno.EINVAL;
        for (uint i = 0; i < update.nr; i++)
        {
            Errno e = ReadBuffer(task, update.data, update.tags, i, out ResourceNode? node);
            if (e != Errno.OK)
                return i != 0 ? (int)i : e;
            ref ResourceNode? place = ref _buffers[update.offset + i];
            ResourceNode? old = place;
            place = node;
            if (old is not null)
                DropNode(old);
        }
        return (int)update.nr;
    }

    /// <summary>FILES2, BUFFERS2. <paramref name="size"/> is that of the argument.</summary>
    private SysResult RegisterResources(Task task, UserPtr argument, uint size, bool files)
    {
        const uint Size = 32;
        if (size != Size)
            return Errno.EINVAL;
        Errno e = task.Mm.Read(new UserPtr<IoUringRsrcRegister>(argument.Address), out IoUringRsrcRegister reg);
        if (e != Errno.OK)
            return e;
        bool sparse = (reg.flags & IoUringConst.IORING_RSRC_REGISTER_SPARSE) != 0;
        if (reg.nr == 0 || reg.resv2 != 0 || (reg.flags & ~IoUringConst.IORING_RSRC_REGISTER_SPARSE) != 0 || (sparse && reg.data != 0))
            return Errno.EINVAL;
        return files ? RegisterFiles(task, reg.data, reg.nr, reg.tags) : RegisterBuffers(task, reg.data, reg.nr, reg.tags);
    }

    /// <summary>FILES_UPDATE2, BUFFERS_UPDATE.</summary>
    private SysResult UpdateResources(Task task, UserPtr argument, uint size, bool files)
    {
        const uint Size = 32;
        if (size != Size)
            return Errno.EINVAL;
        Errno e = task.Mm.Read(new UserPtr<IoUringRsrcUpdate2>(argument.Address), out IoUringRsrcUpdate2 update);
        if (e != Errno.OK)
            return e;
        if (update.nr == 0 || update.resv != 0 || update.resv2 != 0)
            return Errno.EINVAL;
        return files ? UpdateFiles(task.Mm, task.Files, update.offset, update.data, update.tags, update.nr) : UpdateBuffers(task, in update);
    }

    /// <summary>
    /// CLONE_BUFFERS: the buffers of another ring, or a part of them, in this one's table too; IORING_REGISTER_DST_REPLACE over what it has.
    /// EBUSY, ENXIO (the other has none), EOVERFLOW, EINVAL, EBADF, EOPNOTSUPP (no ring), EEXIST (another task's). Takes both rings' locks.
    /// </summary>
    private SysResult CloneBuffers(Task task, UserPtr argument)
    {
        Errno e = task.Mm.Read(new UserPtr<IoUringCloneBuffers>(argument.Address), out IoUringCloneBuffers clone);
        if (e != Errno.OK)
            return e;
        const uint SRC_REGISTERED = 1, DST_REPLACE = 2;
        if ((clone.flags & ~(SRC_REGISTERED | DST_REPLACE)) != 0)
            return Errno.EINVAL;
        bool replace = (clone.flags & DST_REPLACE) != 0;
        if (!replace && _buffers is not null)
            return Errno.EBUSY;
        if ((clone.pad0 | clone.pad1 | clone.pad2) != 0)
            return Errno.EINVAL;
        e = task.GetRing((int)clone.src_fd, (clone.flags & SRC_REGISTERED) != 0, out FileDescription? file);
        if (e != Errno.OK)
            return e;
        Ring source = (Ring)file!;
        SysResult result = source == this ? CloneLocked(source, in clone) : CloneFrom(task, source, in clone);
        file!.DropReference();
        return result;
    }

    private SysResult CloneFrom(Task task, Ring source, in IoUringCloneBuffers clone)
    {
        // Two locks of one kind: the older ring's first.
        bool first = _number < source._number;
        if (!first)
        {
            ExitLock();
            source._lock.Enter();
            _lock.Enter();
        }
        else
        {
            source._lock.Enter();
        }
        SysResult result = source.IsForeign(task) ? Errno.EEXIST : CloneLocked(source, in clone);
        source.Unlock();
        return result;
    }

    private SysResult CloneLocked(Ring source, in IoUringCloneBuffers clone)
    {
        uint count = clone.nr, mine = (uint)(_buffers?.Length ?? 0), theirs = (uint)(source._buffers?.Length ?? 0);
        const uint DST_REPLACE = 2;
        if (count == 0 && (clone.src_off | clone.dst_off) != 0)
            return Errno.EINVAL;
        if (mine != 0 && (clone.flags & DST_REPLACE) == 0)
            return Errno.EBUSY;
        if (theirs == 0)
            return Errno.ENXIO;
        if (count == 0)
            count = theirs;
        else if (count > theirs || count > MaxBuffers)
            return Errno.EINVAL;
        if ((ulong)clone.src_off + count > theirs)
            return Errno.EOVERFLOW;
        if ((ulong)clone.dst_off + count > uint.MaxValue)
            return Errno.EOVERFLOW;
        uint end = clone.dst_off + count;
        if (end > MaxBuffers)
            return Errno.EINVAL;
        ResourceNode?[] table = new ResourceNode?[Math.Max(end, mine)];
        _buffers?.CopyTo(table, 0);
        for (uint i = 0; i < count; i++)
        {
            RegisteredBuffer? buffer = source._buffers![clone.src_off + i]?.Buffer;
            buffer?.AddReference();
            ref ResourceNode? place = ref table[clone.dst_off + i];
            ResourceNode? old = place;
            place = buffer is null ? null : new ResourceNode { Buffer = buffer };
            if (old is not null)
                DropNode(old);
        }
        _buffers = table;
        return 0;
    }
}
