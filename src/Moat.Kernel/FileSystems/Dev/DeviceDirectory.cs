using Moat.Kernel.Events;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Dev;

/// <summary>A directory of /dev: nobody adds devices. Before the first process starts, directories are made to mount volumes at.</summary>
internal sealed class DeviceDirectory(FileSystem fileSystem, Sentry sentry, uint permissions) : StaticDirectory(fileSystem, permissions)
{
    protected override Errno CreateError => Errno.EACCES;

    public override Errno Create(string name, in NewInode what, out Inode? child)
    {
        if (sentry.First is not null || (what.Mode & FileMode.S_IFMT) != FileMode.S_IFDIR)
            return base.Create(name, in what, out child);
        child = new DeviceDirectory(FileSystem, sentry, what.Mode & 0xfff);
        Add(name, child);
        return Errno.OK;
    }
}

/// <summary>/dev/pts: the terminal that the sandbox was started on, under the host's name, so that ttyname(3) finds it.</summary>
internal sealed class TerminalDirectory(FileSystem fileSystem, Sentry sentry) : PseudoDirectory(fileSystem, 0x1ed)
{
    private const string Prefix = "/dev/pts/";

    protected override Errno CreateError => Errno.EACCES;

    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        HostStreamInode? terminal = Find(out string own);
        child = name.SequenceEqual(own) ? terminal : null;
        return child is null ? Errno.ENOENT : Errno.OK;
    }

    public override Errno ReadEntries(ref long position, ref DirectoryEmitter into)
    {
        if (position == 2 && Find(out string name) is { } terminal && terminal.GetStat(out FileStat stat) == Errno.OK
            && into.Emit(name, stat.Ino, DirentType.FromMode(stat.Mode), 3))
        {
            position = 3;
        }
        return Errno.OK;
    }

    private HostStreamInode? Find(out string name)
    {
        HostStreamInode? terminal = sentry.Terminal;
        bool isHere = terminal is not null && terminal.Name.StartsWith(Prefix, StringComparison.Ordinal);
        name = isHere ? terminal!.Name[Prefix.Length..] : "";
        return isHere ? terminal : null;
    }
}
