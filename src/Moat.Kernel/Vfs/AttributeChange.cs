namespace Moat.Kernel.Vfs;

/// <summary>Which attributes an <see cref="AttributeChange"/> changes.</summary>
[Flags]
internal enum AttributeMask
{
    None = 0,
    Mode = 1,
    Uid = 2,
    Gid = 4,
    Size = 8,
    Atime = 16,
    Mtime = 32,
}

/// <summary>
/// A change of attributes, complete: whoever makes it has checked permissions, turned UTIME_NOW into a time and
/// cleared set-id bits. File systems apply it in one step and set ctime.
/// </summary>
internal struct AttributeChange
{
    public AttributeMask Mask;

    /// <summary>Permission, set-id and sticky bits (07777).</summary>
    public uint Mode;

    public uint Uid, Gid;

    /// <summary>New length, bytes.</summary>
    public long Size;

    public Timespec Atime, Mtime;

    public readonly bool Has(AttributeMask mask) => (Mask & mask) != 0;
}

/// <summary>A file to be made: everything but its name. The maker has applied umask and set-group-id inheritance.</summary>
internal struct NewInode
{
    /// <summary>Type and permission bits.</summary>
    public uint Mode;

    public uint Uid, Gid;

    /// <summary>Device number of device nodes.</summary>
    public ulong Rdev;

    /// <summary>Target when it is a symbolic link.</summary>
    public string? LinkTarget;

    /// <summary>The flags of open(2) when <see cref="Inode.Open"/> with O_CREAT follows at once; 0: it does not.</summary>
    public OpenFlags OpensWith;

    /// <summary>Made without a name for good (O_TMPFILE with O_EXCL).</summary>
    public bool NeverLinked;
}

/// <summary>Who owns a file and who may do what with it; the mode has type and permission bits.</summary>
internal readonly record struct InodePermissions(uint Mode, uint Uid, uint Gid);

/// <summary>The bits of access(2).</summary>
[Flags]
internal enum AccessMask
{
    None = 0,
    Execute = 1,
    Write = 2,
    Read = 4,
}
