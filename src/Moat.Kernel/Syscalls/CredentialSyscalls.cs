using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>User and group ids, capabilities (credentials(7)). Each thread has its own; libraries keep them alike.</summary>
internal static class CredentialSyscalls
{
    private const uint Unchanged = uint.MaxValue;
    private const uint _LINUX_CAPABILITY_VERSION_1 = 0x19980330, _LINUX_CAPABILITY_VERSION_2 = 0x20071026,
        _LINUX_CAPABILITY_VERSION_3 = 0x20080522;

    /// <summary>getuid(2).</summary>
    [Syscall(102, "getuid", Support.Full)]
    public static SysResult GetUid(Task task) => task.Credentials.Uid;

    /// <summary>getgid(2).</summary>
    [Syscall(104, "getgid", Support.Full)]
    public static SysResult GetGid(Task task) => task.Credentials.Gid;

    /// <summary>geteuid(2).</summary>
    [Syscall(107, "geteuid", Support.Full)]
    public static SysResult GetEUid(Task task) => task.Credentials.EffectiveUid;

    /// <summary>getegid(2).</summary>
    [Syscall(108, "getegid", Support.Full)]
    public static SysResult GetEGid(Task task) => task.Credentials.EffectiveGid;

    /// <summary>getresuid(2).</summary>
    [Syscall(118, "getresuid", Support.Full)]
    public static SysResult GetResUid(Task task, UserPtr<uint> real, UserPtr<uint> effective, UserPtr<uint> saved)
        => WriteThree(task, real, task.Credentials.Uid, effective, task.Credentials.EffectiveUid, saved, task.Credentials.SavedUid);

    /// <summary>getresgid(2).</summary>
    [Syscall(120, "getresgid", Support.Full)]
    public static SysResult GetResGid(Task task, UserPtr<uint> real, UserPtr<uint> effective, UserPtr<uint> saved)
        => WriteThree(task, real, task.Credentials.Gid, effective, task.Credentials.EffectiveGid, saved, task.Credentials.SavedGid);

    /// <summary>setuid(2).</summary>
    [Syscall(105, "setuid", Support.Full)]
    public static SysResult SetUid(Task task, uint uid) => SetOne(task, Ids.Users(task), uid);

    /// <summary>setgid(2).</summary>
    [Syscall(106, "setgid", Support.Full)]
    public static SysResult SetGid(Task task, uint gid) => SetOne(task, Ids.Groups(task), gid);

    /// <summary>setreuid(2).</summary>
    [Syscall(113, "setreuid", Support.Full)]
    public static SysResult SetREUid(Task task, uint real, uint effective) => SetTwo(task, Ids.Users(task), real, effective);

    /// <summary>setregid(2).</summary>
    [Syscall(114, "setregid", Support.Full)]
    public static SysResult SetREGid(Task task, uint real, uint effective) => SetTwo(task, Ids.Groups(task), real, effective);

    /// <summary>setresuid(2).</summary>
    [Syscall(117, "setresuid", Support.Full)]
    public static SysResult SetResUid(Task task, uint real, uint effective, uint saved)
        => SetThree(task, Ids.Users(task), real, effective, saved);

    /// <summary>setresgid(2).</summary>
    [Syscall(119, "setresgid", Support.Full)]
    public static SysResult SetResGid(Task task, uint real, uint effective, uint saved)
        => SetThree(task, Ids.Groups(task), real, effective, saved);

    /// <summary>setfsuid(2): returns the old one, whatever happens.</summary>
    [Syscall(122, "setfsuid", Support.Full)]
    public static SysResult SetFsUid(Task task, uint uid)
    {
        Credentials c = task.Credentials;
        if (uid != Unchanged && Ids.Users(task).MayBecome(uid, orFs: c.FsUid))
            task.Credentials = c.WithFsUser(uid);
        return c.FsUid;
    }

    /// <summary>setfsgid(2): returns the old one, whatever happens.</summary>
    [Syscall(123, "setfsgid", Support.Full)]
    public static SysResult SetFsGid(Task task, uint gid)
    {
        Credentials c = task.Credentials;
        if (gid != Unchanged && Ids.Groups(task).MayBecome(gid, orFs: c.FsGid))
            task.Credentials = c with { FsGid = gid };
        return c.FsGid;
    }

    /// <summary>The user or group ids of a task; the rules for setting them are the same.</summary>
    private readonly record struct Ids(bool AreUsers, bool Privileged, uint Real, uint Effective, uint Saved)
    {
        public static Ids Users(Task task)
        {
            Credentials c = task.Credentials;
            return new Ids(true, c.Has(Capability.CAP_SETUID), c.Uid, c.EffectiveUid, c.SavedUid);
        }

        public static Ids Groups(Task task)
        {
            Credentials c = task.Credentials;
            return new Ids(false, c.Has(Capability.CAP_SETGID), c.Gid, c.EffectiveGid, c.SavedGid);
        }

        public bool MayBecome(uint id, uint orFs) => Privileged || IsAny(id) || id == orFs;

        /// <summary>One of the three, or no change.</summary>
        public bool IsAny(uint id) => id == Unchanged || id == Real || id == Effective || id == Saved;
    }

    private static SysResult SetOne(Task task, Ids ids, uint id)
    {
        if (id == Unchanged)
            return Errno.EINVAL;
        if (ids.Privileged)
            return Become(task, ids, id, id, id);
        return id == ids.Real || id == ids.Saved ? Become(task, ids, ids.Real, id, ids.Saved) : Errno.EPERM;
    }

    private static SysResult SetTwo(Task task, Ids ids, uint real, uint effective)
    {
        if (!ids.Privileged && ((real != Unchanged && real != ids.Real && real != ids.Effective) || !ids.IsAny(effective)))
            return Errno.EPERM;
        uint newReal = real == Unchanged ? ids.Real : real, newEffective = effective == Unchanged ? ids.Effective : effective;
        bool saves = real != Unchanged || (effective != Unchanged && newEffective != ids.Real);
        return Become(task, ids, newReal, newEffective, saves ? newEffective : ids.Saved);
    }

    private static SysResult SetThree(Task task, Ids ids, uint real, uint effective, uint saved)
    {
        if (!ids.Privileged && !(ids.IsAny(real) && ids.IsAny(effective) && ids.IsAny(saved)))
            return Errno.EPERM;
        return Become(task, ids, real == Unchanged ? ids.Real : real, effective == Unchanged ? ids.Effective : effective,
            saved == Unchanged ? ids.Saved : saved);
    }

    private static SysResult Become(Task task, Ids ids, uint real, uint effective, uint saved)
    {
        Credentials c = task.Credentials;
        task.Credentials = ids.AreUsers ? c.WithUsers(real, effective, saved) : c.WithGroups(real, effective, saved);
        // Who takes other ids is not to be looked into, nor told of its parent's end.
        if (effective != ids.Effective)
        {
            task.Group.Dumpable = 0;
            task.ParentDeathSignal = 0;
        }
        return 0;
    }

    /// <summary>getgroups(2).</summary>
    [Syscall(115, "getgroups", Support.Full)]
    public static SysResult GetGroups(Task task, int size, UserPtr<uint> list)
    {
        uint[] groups = task.Credentials.Groups;
        if (size < 0)
            return Errno.EINVAL;
        if (size == 0)
            return groups.Length;
        if (groups.Length > size)
            return Errno.EINVAL;
        Errno error = task.Mm.CopyOut(list, MemoryMarshal.AsBytes(groups.AsSpan()));
        return error != Errno.OK ? error : groups.Length;
    }

    /// <summary>setgroups(2).</summary>
    [Syscall(116, "setgroups", Support.Full)]
    public static SysResult SetGroups(Task task, uint size, UserPtr<uint> list)
    {
        const uint NGROUPS_MAX = 65536;
        if (!task.Credentials.Has(Capability.CAP_SETGID))
            return Errno.EPERM;
        if (size > NGROUPS_MAX)
            return Errno.EINVAL;
        uint[] groups = new uint[size];
        Errno error = task.Mm.CopyIn(list, MemoryMarshal.AsBytes(groups.AsSpan()));
        if (error != Errno.OK)
            return error;
        if (groups.Contains(Unchanged))
            return Errno.EINVAL;
        Array.Sort(groups);
        task.Credentials = task.Credentials with { Groups = groups };
        return 0;
    }

    /// <summary>capget(2).</summary>
    [Syscall(125, "capget", Support.Full)]
    public static SysResult CapGet(Task task, UserPtr<uint> header, UserPtr data)
    {
        Errno error = ReadCapabilityHeader(task, header, out int pid, out int words);
        if (error != Errno.OK)
            return error == Errno.EINVAL && data.IsNull ? 0 : error;
        Task? target = pid == 0 ? task : task.Sentry.Tasks.Find(pid);
        if (pid < 0)
            return Errno.EINVAL;
        if (target is null)
            return Errno.ESRCH;
        if (data.IsNull)
            return 0;
        Credentials c = target.Credentials;
        ReadOnlySpan<uint> sets =
        [
            (uint)c.Effective, (uint)c.Permitted, (uint)c.Inheritable,
            (uint)(c.Effective >> 32), (uint)(c.Permitted >> 32), (uint)(c.Inheritable >> 32),
        ];
        return task.Mm.CopyOut(data, MemoryMarshal.AsBytes(sets[..(3 * words)]));
    }

    /// <summary>capset(2).</summary>
    [Syscall(126, "capset", Support.Full)]
    public static SysResult CapSet(Task task, UserPtr<uint> header, UserPtr data)
    {
        Errno error = ReadCapabilityHeader(task, header, out int pid, out int words);
        if (error != Errno.OK)
            return error;
        if (pid != 0 && pid != task.Tid)
            return Errno.EPERM;
        Span<uint> sets = stackalloc uint[6];
        sets.Clear();
        error = task.Mm.CopyIn(data, MemoryMarshal.AsBytes(sets[..(3 * words)]));
        if (error != Errno.OK)
            return error;
        Credentials c = task.Credentials;
        ulong effective = (sets[0] | ((ulong)sets[3] << 32)) & Credentials.AllCapabilities;
        ulong permitted = (sets[1] | ((ulong)sets[4] << 32)) & Credentials.AllCapabilities;
        ulong inheritable = (sets[2] | ((ulong)sets[5] << 32)) & Credentials.AllCapabilities;
        ulong mayInherit = c.Inheritable | (c.Has(Capability.CAP_SETPCAP) ? c.Bounding : c.Permitted & c.Bounding);
        if ((inheritable & ~mayInherit) != 0 || (permitted & ~c.Permitted) != 0 || (effective & ~permitted) != 0)
            return Errno.EPERM;
        task.Credentials = c with
        {
            Effective = effective,
            Permitted = permitted,
            Inheritable = inheritable,
            Ambient = c.Ambient & permitted & inheritable,
        };
        return 0;
    }

    private static Errno ReadCapabilityHeader(Task task, UserPtr<uint> header, out int pid, out int words)
    {
        pid = words = 0;
        if (task.Mm.Read(header, out uint version) != Errno.OK)
            return Errno.EFAULT;
        switch (version)
        {
            case _LINUX_CAPABILITY_VERSION_1:
                words = 1;
                break;
            case _LINUX_CAPABILITY_VERSION_2 or _LINUX_CAPABILITY_VERSION_3:
                words = 2;
                break;
            default:
                return task.Mm.Write(header, _LINUX_CAPABILITY_VERSION_3) == Errno.OK ? Errno.EINVAL : Errno.EFAULT;
        }
        return task.Mm.Read(new UserPtr<int>(header.Address + 4), out pid);
    }

    private static SysResult WriteThree(Task task, UserPtr<uint> a, uint x, UserPtr<uint> b, uint y, UserPtr<uint> c, uint z)
    {
        Errno error = task.Mm.Write(a, x);
        if (error == Errno.OK)
            error = task.Mm.Write(b, y);
        return error != Errno.OK ? error : task.Mm.Write(c, z);
    }
}
