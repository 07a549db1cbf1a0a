using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>User and group ids, capabilities (credentials(7)). Each thread has its own; libraries keep them alike.</summary>
internal static class CredentialSyscalls
{
    private const uint Unchanged = uint.MaxValue;
    /// <summary>All capabilities that there are.</summary>
    internal const ulong AllCapabilities = (1UL << 41) - 1;
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
    public static SysResult SetUid(Task task, uint uid)
    {
        Credentials c = task.Credentials;
        if (uid == Unchanged)
            return Errno.EINVAL;
        if (c.IsRoot)
            task.Credentials = c with { Uid = uid, EffectiveUid = uid, SavedUid = uid, FsUid = uid };
        else if (uid == c.Uid || uid == c.SavedUid)
            task.Credentials = c with { EffectiveUid = uid, FsUid = uid };
        else
            return Errno.EPERM;
        return 0;
    }

    /// <summary>setgid(2).</summary>
    [Syscall(106, "setgid", Support.Full)]
    public static SysResult SetGid(Task task, uint gid)
    {
        Credentials c = task.Credentials;
        if (gid == Unchanged)
            return Errno.EINVAL;
        if (c.IsRoot)
            task.Credentials = c with { Gid = gid, EffectiveGid = gid, SavedGid = gid, FsGid = gid };
        else if (gid == c.Gid || gid == c.SavedGid)
            task.Credentials = c with { EffectiveGid = gid, FsGid = gid };
        else
            return Errno.EPERM;
        return 0;
    }

    /// <summary>setreuid(2).</summary>
    [Syscall(113, "setreuid", Support.Full)]
    public static SysResult SetREUid(Task task, uint real, uint effective)
    {
        Credentials c = task.Credentials;
        if (!c.IsRoot && ((real != Unchanged && real != c.Uid && real != c.EffectiveUid)
            || (effective != Unchanged && effective != c.Uid && effective != c.EffectiveUid && effective != c.SavedUid)))
            return Errno.EPERM;
        uint newReal = real == Unchanged ? c.Uid : real, newEffective = effective == Unchanged ? c.EffectiveUid : effective;
        bool saves = real != Unchanged || (effective != Unchanged && newEffective != c.Uid);
        task.Credentials = c with
        {
            Uid = newReal,
            EffectiveUid = newEffective,
            SavedUid = saves ? newEffective : c.SavedUid,
            FsUid = newEffective,
        };
        return 0;
    }

    /// <summary>setregid(2).</summary>
    [Syscall(114, "setregid", Support.Full)]
    public static SysResult SetREGid(Task task, uint real, uint effective)
    {
        Credentials c = task.Credentials;
        if (!c.IsRoot && ((real != Unchanged && real != c.Gid && real != c.EffectiveGid)
            || (effective != Unchanged && effective != c.Gid && effective != c.EffectiveGid && effective != c.SavedGid)))
            return Errno.EPERM;
        uint newReal = real == Unchanged ? c.Gid : real, newEffective = effective == Unchanged ? c.EffectiveGid : effective;
        bool saves = real != Unchanged || (effective != Unchanged && newEffective != c.Gid);
        task.Credentials = c with
        {
            Gid = newReal,
            EffectiveGid = newEffective,
            SavedGid = saves ? newEffective : c.SavedGid,
            FsGid = newEffective,
        };
        return 0;
    }

    /// <summary>setresuid(2).</summary>
    [Syscall(117, "setresuid", Support.Full)]
    public static SysResult SetResUid(Task task, uint real, uint effective, uint saved)
    {
        Credentials c = task.Credentials;
        if (!c.IsRoot && !(IsOneOf(real, c.Uid, c.EffectiveUid, c.SavedUid) && IsOneOf(effective, c.Uid, c.EffectiveUid, c.SavedUid)
            && IsOneOf(saved, c.Uid, c.EffectiveUid, c.SavedUid)))
            return Errno.EPERM;
        uint newEffective = effective == Unchanged ? c.EffectiveUid : effective;
        task.Credentials = c with
        {
            Uid = real == Unchanged ? c.Uid : real,
            EffectiveUid = newEffective,
            SavedUid = saved == Unchanged ? c.SavedUid : saved,
            FsUid = newEffective,
        };
        return 0;
    }

    /// <summary>setresgid(2).</summary>
    [Syscall(119, "setresgid", Support.Full)]
    public static SysResult SetResGid(Task task, uint real, uint effective, uint saved)
    {
        Credentials c = task.Credentials;
        if (!c.IsRoot && !(IsOneOf(real, c.Gid, c.EffectiveGid, c.SavedGid) && IsOneOf(effective, c.Gid, c.EffectiveGid, c.SavedGid)
            && IsOneOf(saved, c.Gid, c.EffectiveGid, c.SavedGid)))
            return Errno.EPERM;
        uint newEffective = effective == Unchanged ? c.EffectiveGid : effective;
        task.Credentials = c with
        {
            Gid = real == Unchanged ? c.Gid : real,
            EffectiveGid = newEffective,
            SavedGid = saved == Unchanged ? c.SavedGid : saved,
            FsGid = newEffective,
        };
        return 0;
    }

    /// <summary>setfsuid(2): returns the old one, whatever happens.</summary>
    [Syscall(122, "setfsuid", Support.Full)]
    public static SysResult SetFsUid(Task task, uint uid)
    {
        Credentials c = task.Credentials;
        if (uid != Unchanged && (c.IsRoot || uid == c.Uid || uid == c.EffectiveUid || uid == c.SavedUid || uid == c.FsUid))
            task.Credentials = c with { FsUid = uid };
        return c.FsUid;
    }

    /// <summary>setfsgid(2): returns the old one, whatever happens.</summary>
    [Syscall(123, "setfsgid", Support.Full)]
    public static SysResult SetFsGid(Task task, uint gid)
    {
        Credentials c = task.Credentials;
        if (gid != Unchanged && (c.IsRoot || gid == c.Gid || gid == c.EffectiveGid || gid == c.SavedGid || gid == c.FsGid))
            task.Credentials = c with { FsGid = gid };
        return c.FsGid;
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
        if (!task.Credentials.IsRoot)
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

    /// <summary>capget(2): user 0 has all capabilities inside the sandbox, others none.</summary>
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
        ulong set = GetCapabilities(target.Credentials);
        // effective, permitted, inheritable; twice for the upper half.
        ReadOnlySpan<uint> sets = [(uint)set, (uint)set, 0, (uint)(set >> 32), (uint)(set >> 32), 0];
        return task.Mm.CopyOut(data, MemoryMarshal.AsBytes(sets[..(3 * words)]));
    }

    /// <summary>capset(2).</summary>
    [Syscall(126, "capset", Support.Partial, Note = "sets that are allowed are accepted but not taken away")]
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
        ulong effective = sets[0] | ((ulong)sets[3] << 32), permitted = sets[1] | ((ulong)sets[4] << 32);
        ulong inheritable = sets[2] | ((ulong)sets[5] << 32), have = GetCapabilities(task.Credentials);
        return (permitted & ~have) != 0 || (effective & ~permitted) != 0 || (inheritable & ~have) != 0 ? Errno.EPERM : 0;
    }

    /// <summary>The capabilities that credentials stand for.</summary>
    internal static ulong GetCapabilities(Credentials credentials) => credentials.IsRoot ? AllCapabilities : 0;

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

    private static bool IsOneOf(uint id, uint a, uint b, uint c) => id == Unchanged || id == a || id == b || id == c;

    private static SysResult WriteThree(Task task, UserPtr<uint> a, uint x, UserPtr<uint> b, uint y, UserPtr<uint> c, uint z)
    {
        Errno error = task.Mm.Write(a, x);
        if (error == Errno.OK)
            error = task.Mm.Write(b, y);
        return error != Errno.OK ? error : task.Mm.Write(c, z);
    }
}
