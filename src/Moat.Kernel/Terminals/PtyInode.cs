using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.Terminals;

/// <summary>/dev/pts/N: belongs to who opened the master, and may be given away.</summary>
internal sealed class PtyInode : PseudoInode
{
    // Debian's group tty writes to terminals (mesg(1)).
    private const uint Mode = FileMode.S_IFCHR | 0x190, TtyGroup = 5, Major = 136;

    private InodePermissions _permissions;

    public PtyInode(FileSystem fileSystem, Sentry sentry, int number, Credentials creator)
        : base(fileSystem, Mode)
    {
        _permissions = new InodePermissions(Mode, creator.FsUid, TtyGroup);
        Number = (ulong)number + 3;
        Rdev = DeviceNumber.Make(Major + ((uint)number >> 8), (uint)number & 0xff);
        Pty = new Pty(sentry, number, this);
    }

    public Pty Pty { get; }

    public override ulong Number { get; }

    public override ulong Rdev { get; }

    public override InodePermissions Permissions => _permissions;

    public override Errno GetStat(out FileStat stat)
    {
        Errno error = base.GetStat(out stat);
        InodePermissions now = _permissions;
        (stat.Mode, stat.Uid, stat.Gid, stat.BlockSize) = (now.Mode, now.Uid, now.Gid, 1024);
        return error;
    }

    public override Errno SetAttributes(in AttributeChange change)
    {
        InodePermissions now = _permissions;
        _permissions = new InodePermissions(
            change.Has(AttributeMask.Mode) ? FileMode.S_IFCHR | (change.Mode & ~FileMode.S_IFMT) : now.Mode,
            change.Has(AttributeMask.Uid) ? change.Uid : now.Uid,
            change.Has(AttributeMask.Gid) ? change.Gid : now.Gid);
        return Errno.OK;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        Errno error = Pty.OpenSlave(caller.Credentials.Has(Capability.CAP_SYS_ADMIN));
        if (error != Errno.OK)
            return error;
        file = new PtySlave(Pty, flags);
        if ((flags & OpenFlags.O_NOCTTY) == 0 && file.CanRead && caller.Task is { } task)
            Pty.Session.TakeAtOpen(task);
        return Errno.OK;
    }
}

/// <summary>/dev/ptmx: each opening makes a pair.</summary>
internal sealed class PtyMultiplexer(FileSystem fileSystem, PtyTable table) : PseudoInode(fileSystem, FileMode.S_IFCHR | 0x1b6)
{
    public override ulong Rdev { get; } = DeviceNumber.Make(5, 2);

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file) => table.Open(in caller, flags, out file);
}
