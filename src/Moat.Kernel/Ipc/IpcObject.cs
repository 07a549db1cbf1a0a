using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Ipc;

/// <summary>What the three kinds of System V IPC objects have in common (sysvipc(7)): a name, an owner, permissions.</summary>
internal abstract class IpcObject
{
    /// <summary>IPC_PRIVATE: no key.</summary>
    public const int IPC_PRIVATE = 0;

    private const uint Permissions = 0x1ff;

    /// <summary>The key it was made for; <see cref="IPC_PRIVATE"/> for none.</summary>
    public int Key { get; set; }

    /// <summary>What the calls name it by.</summary>
    public int Id { get; set; }

    public uint Uid { get; set; }

    public uint Gid { get; set; }

    public uint CreatorUid { get; private set; }

    public uint CreatorGid { get; private set; }

    /// <summary>Permission bits, and flags of the kind (SHM_DEST).</summary>
    public uint Mode { get; set; }

    /// <summary>Removed: whoever waits for it or comes with its id learns EIDRM or EINVAL.</summary>
    public bool IsRemoved { get; set; }

    /// <summary>Last change by IPC_SET and its like, seconds since the epoch.</summary>
    public long ChangeTime { get; set; } = IpcClock.Seconds;

    /// <summary>How many times ids were reused before; a part of the id.</summary>
    public int Sequence { get; set; }

    /// <summary>Makes <paramref name="creator"/> the owner.</summary>
    public void SetOwner(Credentials creator, uint mode)
    {
        Uid = CreatorUid = creator.EffectiveUid;
        Gid = CreatorGid = creator.EffectiveGid;
        Mode = mode & Permissions;
    }

    /// <summary>EACCES unless the mode gives what <paramref name="wanted"/> asks for: bits for owner, group or others, any of them.</summary>
    public Errno CheckAccess(Credentials who, uint wanted)
    {
        uint requested = (wanted >> 6) | (wanted >> 3) | wanted, granted = Mode;
        if (who.EffectiveUid == CreatorUid || who.EffectiveUid == Uid)
            granted >>= 6;
        else if (who.IsInGroup(CreatorGid) || who.IsInGroup(Gid))
            granted >>= 3;
        return (requested & ~granted & 7) == 0 || who.Has(Capability.CAP_IPC_OWNER) ? Errno.OK : Errno.EACCES;
    }

    /// <summary>EPERM unless the caller owns or made it: for IPC_SET and IPC_RMID.</summary>
    public Errno CheckOwner(Credentials who)
        => who.EffectiveUid == CreatorUid || who.EffectiveUid == Uid || who.Has(Capability.CAP_SYS_ADMIN) ? Errno.OK : Errno.EPERM;

    /// <summary>IPC_SET: owner and permission bits.</summary>
    public Errno Update(in IpcPermissions wanted)
    {
        if (wanted.Uid == uint.MaxValue || wanted.Gid == uint.MaxValue)
            return Errno.EINVAL;
        Uid = wanted.Uid;
        Gid = wanted.Gid;
        Mode = (Mode & ~Permissions) | (wanted.Mode & Permissions);
        ChangeTime = IpcClock.Seconds;
        return Errno.OK;
    }

    /// <summary>As IPC_STAT tells.</summary>
    public IpcPermissions Describe() => new()
    {
        Key = Key,
        Uid = Uid,
        Gid = Gid,
        CreatorUid = CreatorUid,
        CreatorGid = CreatorGid,
        Mode = Mode,
        Sequence = (ushort)Sequence,
    };
}

/// <summary>struct ipc64_perm.</summary>
[StructLayout(LayoutKind.Sequential, Size = 48)]
internal struct IpcPermissions
{
    public int Key;
    public uint Uid, Gid, CreatorUid, CreatorGid, Mode;
    public ushort Sequence;
}

/// <summary>Commands and flags of the System V calls, Linux names and values.</summary>
internal static class IpcFlags
{
    public const int IPC_RMID = 0, IPC_SET = 1, IPC_STAT = 2, IPC_INFO = 3;
    public const int IPC_CREAT = 0x200, IPC_EXCL = 0x400, IPC_NOWAIT = 0x800;

    /// <summary>Read and write permission of anybody (S_IRUGO, S_IWUGO, S_IXUGO).</summary>
    public const uint Read = 0x124, Write = 0x92, Execute = 0x49;
}

/// <summary>Times of IPC objects.</summary>
internal static class IpcClock
{
    /// <summary>Now, seconds since the epoch.</summary>
    public static long Seconds => Time.HostClock.RealtimeNow / Time.HostClock.Second;
}
