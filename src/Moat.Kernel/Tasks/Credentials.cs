namespace Moat.Kernel.Tasks;

/// <summary>Who a task is (credentials(7), capabilities(7)). Immutable: changes replace the whole, and files keep the opener's.</summary>
internal sealed record Credentials
{
    /// <summary>Every capability there is.</summary>
    public const ulong AllCapabilities = (1UL << ((int)Capability.CAP_LAST_CAP + 1)) - 1;

    /// <summary>What depends on the file-system user id (setfsuid(2)).</summary>
    private const ulong FileCapabilities = (1UL << (int)Capability.CAP_CHOWN) | (1UL << (int)Capability.CAP_DAC_OVERRIDE)
        | (1UL << (int)Capability.CAP_DAC_READ_SEARCH) | (1UL << (int)Capability.CAP_FOWNER) | (1UL << (int)Capability.CAP_FSETID)
        | (1UL << (int)Capability.CAP_LINUX_IMMUTABLE) | (1UL << (int)Capability.CAP_MKNOD) | (1UL << (int)Capability.CAP_MAC_OVERRIDE);

    /// <summary>User 0 with all capabilities, which hold inside the sandbox only.</summary>
    public Credentials()
    {
    }

    /// <summary>A user as after login: user 0 has all capabilities, others none.</summary>
    public Credentials(uint uid, uint gid, uint[] groups)
    {
        Uid = EffectiveUid = SavedUid = FsUid = uid;
        Gid = EffectiveGid = SavedGid = FsGid = gid;
        Groups = groups;
        if (uid != 0)
            Permitted = Effective = 0;
    }

    public uint Uid { get; init; }

    public uint EffectiveUid { get; init; }

    public uint SavedUid { get; init; }

    public uint FsUid { get; init; }

    public uint Gid { get; init; }

    public uint EffectiveGid { get; init; }

    public uint SavedGid { get; init; }

    public uint FsGid { get; init; }

    /// <summary>Supplementary groups.</summary>
    public uint[] Groups { get; init; } = [];

    /// <summary>Capability sets, a bit for each.</summary>
    public ulong Effective { get; init; } = AllCapabilities;

    public ulong Permitted { get; init; } = AllCapabilities;

    public ulong Inheritable { get; init; }

    public ulong Bounding { get; init; } = AllCapabilities;

    public ulong Ambient { get; init; }

    public SecureBits SecureBits { get; init; }

    /// <summary>True when a capability is in the effective set.</summary>
    public bool Has(Capability capability) => (Effective & (1UL << (int)capability)) != 0;

    /// <summary>True when <paramref name="gid"/> is the file-system group or a supplementary one.</summary>
    public bool IsInGroup(uint gid) => gid == FsGid || Array.IndexOf(Groups, gid) >= 0;

    /// <summary>These with other user ids, and what that does to the capabilities.</summary>
    public Credentials WithUsers(uint real, uint effective, uint saved)
    {
        Credentials changed = this with { Uid = real, EffectiveUid = effective, SavedUid = saved, FsUid = effective };
        if ((SecureBits & SecureBits.SECBIT_NO_SETUID_FIXUP) != 0)
            return changed;
        ulong permitted = Permitted, current = Effective, ambient = Ambient;
        if ((Uid == 0 || EffectiveUid == 0 || SavedUid == 0) && real != 0 && effective != 0 && saved != 0)
        {
            if ((SecureBits & SecureBits.SECBIT_KEEP_CAPS) == 0)
                permitted = current = 0;
            ambient = 0;
        }
        if (EffectiveUid == 0 && effective != 0)
            current = 0;
        else if (EffectiveUid != 0 && effective == 0)
            current = permitted;
        return changed with { Permitted = permitted, Effective = current, Ambient = ambient };
    }

    /// <summary>These with another file-system user id, and what that does to the capabilities.</summary>
    public Credentials WithFsUser(uint uid)
    {
        ulong current = Effective;
        if ((SecureBits & SecureBits.SECBIT_NO_SETUID_FIXUP) == 0)
        {
            if (FsUid == 0 && uid != 0)
                current &= ~FileCapabilities;
            else if (FsUid != 0 && uid == 0)
                current |= FileCapabilities & Permitted;
        }
        return this with { FsUid = uid, Effective = current };
    }

    /// <summary>What access(2) looks with: the real ids, and the capabilities that go with them.</summary>
    public Credentials WithRealIds()
    {
        bool fixup = (SecureBits & SecureBits.SECBIT_NO_SETUID_FIXUP) == 0;
        return this with { FsUid = Uid, FsGid = Gid, Effective = !fixup ? Effective : Uid == 0 ? Permitted : 0 };
    }

    /// <summary>These with other group ids.</summary>
    public Credentials WithGroups(uint real, uint effective, uint saved)
        => this with { Gid = real, EffectiveGid = effective, SavedGid = saved, FsGid = effective };

    /// <summary>
    /// What execve(2) makes of these for a file with these permissions: set-user-id and set-group-id bits if
    /// <paramref name="honoured"/>, and the capability sets.
    /// </summary>
    public Credentials ForProgram(in Vfs.InodePermissions file, bool honoured)
    {
        const uint ExecutableByGroup = 8;
        uint uid = EffectiveUid, gid = EffectiveGid;
        if (honoured && (file.Mode & FileMode.S_ISUID) != 0)
            uid = file.Uid;
        if (honoured && (file.Mode & (FileMode.S_ISGID | ExecutableByGroup)) == (FileMode.S_ISGID | ExecutableByGroup))
            gid = file.Gid;
        bool changed = uid != EffectiveUid || gid != EffectiveGid;
        bool privileged = (SecureBits & SecureBits.SECBIT_NOROOT) == 0;
        ulong ambient = changed ? 0 : Ambient;
        ulong permitted = privileged && (uid == 0 || Uid == 0) ? Bounding | Inheritable : 0;
        permitted |= ambient;
        if (permitted == Permitted && !changed && EffectiveUid == SavedUid && EffectiveGid == SavedGid && FsUid == uid && FsGid == gid
            && Ambient == ambient && Effective == permitted && (SecureBits & SecureBits.SECBIT_KEEP_CAPS) == 0)
        {
            return this;
        }
        return this with
        {
            EffectiveUid = uid,
            SavedUid = uid,
            FsUid = uid,
            EffectiveGid = gid,
            SavedGid = gid,
            FsGid = gid,
            Permitted = permitted,
            Effective = privileged && uid == 0 ? permitted : ambient,
            Ambient = ambient,
            SecureBits = SecureBits & ~SecureBits.SECBIT_KEEP_CAPS,
        };
    }
}
