using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Kernel.Ipc;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Platform;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>System V shared memory (shmget(2), shmop(2), shmctl(2)).</summary>
internal static class SharedMemorySyscalls
{
    private const int SHM_RDONLY = 0x1000, SHM_RND = 0x2000, SHM_REMAP = 0x4000, SHM_EXEC = 0x8000, SHM_HUGETLB = 0x800;
    private const int SHM_LOCK = 11, SHM_UNLOCK = 12, SHM_STAT = 13, SHM_INFO = 14, SHM_STAT_ANY = 15;

    [StructLayout(LayoutKind.Sequential, Size = 112)]
    private struct ShmidDs
    {
        public IpcPermissions Permissions;
        public ulong Size;
        public long AttachTime, DetachTime, ChangeTime;
        public int CreatorPid, LastPid;
        public ulong AttachCount;
    }

    [InlineArray(9)]
    private struct ShmInfo64
    {
        private ulong _first;
    }

    [StructLayout(LayoutKind.Sequential, Size = 48)]
    private struct ShmInfo
    {
        public int UsedIds;
        public ulong Total, Resident;
    }

    /// <summary>shmget(2).</summary>
    [Syscall(29, "shmget", Support.Partial, Note = "SHM_HUGETLB: ENOMEM, no huge pages")]
    public static SysResult ShmGet(Task task, int key, nuint size, int flags)
    {
        SharedSegments all = task.Sentry.Segments;
        return all.Table.Get(task, key, flags, existing => size > existing.Size ? Errno.EINVAL : Errno.OK, (out SharedSegment? made) =>
        {
            made = null;
            return (flags & SHM_HUGETLB) != 0 ? Errno.ENOMEM : all.Create(size, task.Group.Id, out made);
        });
    }

    /// <summary>shmat(2).</summary>
    [Syscall(30, "shmat", Support.Full)]
    public static SysResult ShmAt(Task task, int id, ulong address, int flags)
    {
        if (id < 0)
            return Errno.EINVAL;
        bool isFixed = address != 0;
        if (isFixed && (address & (MemoryManager.PageSize - 1)) != 0)
        {
            if ((flags & SHM_RND) == 0)
                return Errno.EINVAL;
            address = MemoryManager.PageDown(address);
            if (address == 0 && (flags & SHM_REMAP) != 0)
                return Errno.EINVAL;
        }
        else if (!isFixed && (flags & SHM_REMAP) != 0)
        {
            return Errno.EINVAL;
        }
        MapRequest request = new()
        {
            Address = address,
            Fixed = isFixed,
            MayBeLow = task.Credentials.Has(Capability.CAP_SYS_RAWIO),
            Access = MapAccess.Read,
            MaxAccess = MapRequest.All,
            Flags = VmaFlags.Shared,
        };
        uint wanted = IpcFlags.Read;
        if ((flags & SHM_RDONLY) == 0)
        {
            wanted |= IpcFlags.Write;
            request.Access |= MapAccess.Write;
        }
        else
        {
            request.MaxAccess &= ~MapAccess.Write;
        }
        if ((flags & SHM_EXEC) != 0)
        {
            wanted |= IpcFlags.Execute;
            request.Access |= MapAccess.Execute;
        }
        IpcTable<SharedSegment> table = task.Sentry.Segments.Table;
        SharedAttachment attachment;
        lock (table.Lock)
        {
            SharedSegment? segment = table.Find(id);
            if (segment is null)
                return Errno.EINVAL;
            Errno refused = segment.CheckAccess(task.Credentials, wanted);
            if (refused != Errno.OK)
                return refused;
            request.Length = segment.Length;
            if (isFixed && address + segment.Length < address)
                return Errno.EINVAL;
            attachment = new SharedAttachment(segment);
            segment.Add(attachment);
        }
        request.File = attachment;
        SysResult result = Errno.EINVAL;
        if (!isFixed || (flags & SHM_REMAP) != 0 || task.Mm.IsFree(address, request.Length))
            result = task.Mm.Map(in request);
        if (result.IsError)
        {
            attachment.Abandon();
            return result;
        }
        lock (table.Lock)
        {
            attachment.Segment.AttachTime = IpcClock.Seconds;
            attachment.Segment.LastPid = task.Group.Id;
        }
        return result;
    }

    /// <summary>shmdt(2).</summary>
    [Syscall(67, "shmdt", Support.Full)]
    public static SysResult ShmDt(Task task, ulong address)
        => (address & (MemoryManager.PageSize - 1)) != 0 ? Errno.EINVAL : task.Mm.DetachShared(address);

    /// <summary>shmctl(2).</summary>
    [Syscall(31, "shmctl", Support.Partial, Note = "SHM_LOCK is kept and shown; nothing is swapped")]
    public static SysResult ShmCtl(Task task, int id, int command, UserPtr buffer)
    {
        if (command < 0 || id < 0)
            return Errno.EINVAL;
        SharedSegments all = task.Sentry.Segments;
        IpcTable<SharedSegment> table = all.Table;
        switch (command)
        {
            case IpcFlags.IPC_INFO:
                ShmInfo64 limits = default;
                limits[0] = SharedSegments.SHMMAX;
                limits[1] = SharedSegments.SHMMIN;
                limits[2] = limits[3] = SharedSegments.SHMMNI;
                limits[4] = SharedSegments.SHMALL;
                return Answer(task, new UserPtr<ShmInfo64>(buffer.Address), in limits, table.HighestIndex);
            case SHM_INFO:
                ShmInfo info = new() { UsedIds = table.Count, Total = all.Pages, Resident = all.Pages };
                return Answer(task, new UserPtr<ShmInfo>(buffer.Address), in info, table.HighestIndex);
            case IpcFlags.IPC_STAT or SHM_STAT or SHM_STAT_ANY:
                return Stat(task, table, id, command, new UserPtr<ShmidDs>(buffer.Address));
            case IpcFlags.IPC_SET or IpcFlags.IPC_RMID or SHM_LOCK or SHM_UNLOCK:
                ShmidDs wanted = default;
                if (command == IpcFlags.IPC_SET && task.Mm.Read(new UserPtr<ShmidDs>(buffer.Address), out wanted) != Errno.OK)
                    return Errno.EFAULT;
                lock (table.Lock)
                    return Change(task, all, id, command, in wanted.Permissions);
            default:
                return Errno.EINVAL;
        }
    }

    private static SysResult Stat(Task task, IpcTable<SharedSegment> table, int id, int command, UserPtr<ShmidDs> buffer)
    {
        ShmidDs stat;
        int answer = 0;
        lock (table.Lock)
        {
            SharedSegment? segment = command == IpcFlags.IPC_STAT ? table.Find(id) : table.At(id);
            if (segment is null)
                return Errno.EINVAL;
            if (command != IpcFlags.IPC_STAT)
                answer = segment.Id;
            Errno error = command == SHM_STAT_ANY ? Errno.OK : segment.CheckAccess(task.Credentials, IpcFlags.Read);
            if (error != Errno.OK)
                return error;
            stat = new ShmidDs
            {
                Permissions = segment.Describe(),
                Size = segment.Size,
                AttachTime = segment.AttachTime,
                DetachTime = segment.DetachTime,
                ChangeTime = segment.ChangeTime,
                CreatorPid = segment.CreatorPid,
                LastPid = segment.LastPid,
                AttachCount = (ulong)segment.AttachCount,
            };
        }
        return Answer(task, buffer, in stat, answer);
    }

    private static SysResult Change(Task task, SharedSegments all, int id, int command, in IpcPermissions wanted)
    {
        SharedSegment? segment = all.Table.Find(id);
        if (segment is null)
            return Errno.EINVAL;
        Credentials who = task.Credentials;
        bool owns = segment.CheckOwner(who) == Errno.OK;
        switch (command)
        {
            case IpcFlags.IPC_SET:
                return owns ? segment.Update(in wanted) : Errno.EPERM;
            case IpcFlags.IPC_RMID:
                if (!owns)
                    return Errno.EPERM;
                // It lives on, without a key, as long as somebody has it.
                all.Table.ForgetKey(segment);
                segment.Mode |= SharedSegment.SHM_DEST;
                if (segment.IsUnused)
                    all.Destroy(segment);
                return 0;
            default:
                if (!who.Has(Capability.CAP_IPC_LOCK)
                    && ((who.EffectiveUid != segment.Uid && who.EffectiveUid != segment.CreatorUid)
                        || (command == SHM_LOCK && task.Group.Limits.Get(Resource.RLIMIT_MEMLOCK).Current == 0)))
                {
                    return Errno.EPERM;
                }
                segment.Mode = command == SHM_LOCK ? segment.Mode | SharedSegment.SHM_LOCKED : segment.Mode & ~SharedSegment.SHM_LOCKED;
                return 0;
        }
    }

    private static SysResult Answer<T>(Task task, UserPtr<T> buffer, in T value, long result)
        where T : unmanaged
        => task.Mm.Write(buffer, in value) == Errno.OK ? result : Errno.EFAULT;
}
