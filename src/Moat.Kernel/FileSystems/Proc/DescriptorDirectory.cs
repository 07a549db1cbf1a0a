using System.Globalization;
using System.Text;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>/proc/PID/fd and, with <paramref name="info"/>, /proc/PID/fdinfo: the open descriptors. Positions are the numbers + 2.</summary>
internal sealed class DescriptorDirectory(ProcFileSystem fileSystem, Task task, bool info)
    : PseudoDirectory(fileSystem, info ? 0x16du : 0x140u)
{
    private const int Kept = 1024;

    // One inode per number, so that looking twice finds the same; numbers beyond are made afresh.
    private readonly Dictionary<int, Inode> _known = [];

    public override (uint Uid, uint Gid) Owner => (task.Credentials.EffectiveUid, task.Credentials.EffectiveGid);

    /// <summary>How many descriptors are open, as /proc/PID/fd shows since Linux 6.2.</summary>
    public override long Size
    {
        get
        {
            long count = 0;
            for (int fd = info ? -1 : task.Files.NextOpen(0); fd >= 0; fd = task.Files.NextOpen(fd + 1))
                count++;
            return count;
        }
    }

    /// <summary>A process may always look at its own descriptors, whatever the mode says.</summary>
    public override Errno CheckAccess(Credentials credentials, AccessMask wanted)
        => Task.Current?.Group == task.Group ? Errno.OK : base.CheckAccess(credentials, wanted);

    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        child = null;
        if (!TaskDirectory.TryParse(name, out int fd) || task.Files.NextOpen(fd) != fd)
            return Errno.ENOENT;
        child = Get(fd);
        return Errno.OK;
    }

    public override Errno ReadEntries(ref long position, ref DirectoryEmitter into)
    {
        for (int fd = task.Files.NextOpen((int)Math.Min(position - 2, int.MaxValue)); fd >= 0; fd = task.Files.NextOpen(fd + 1))
        {
            Inode child = Get(fd);
            if (!into.Emit(fd.ToString(CultureInfo.InvariantCulture), ((PseudoInode)child).Number, DirentType.FromMode(child.Type), fd + 3L))
                break;
            position = fd + 3L;
        }
        return Errno.OK;
    }

    private Inode Get(int fd)
    {
        lock (_known)
        {
            if (_known.TryGetValue(fd, out Inode? known))
                return known;
            Inode made = info ? new DescriptorInfo(fileSystem, task, fd) : new DescriptorLink(fileSystem, task, fd);
            if (_known.Count < Kept)
                _known.Add(fd, made);
            return made;
        }
    }
}

/// <summary>/proc/PID/fd/N: leads to the open file itself.</summary>
internal sealed class DescriptorLink(ProcFileSystem fileSystem, Task task, int fd) : PseudoLink(fileSystem)
{
    public override (uint Uid, uint Gid) Owner => (task.Credentials.EffectiveUid, task.Credentials.EffectiveGid);

    public override long Size => 64;

    public override bool IsMagicLink => true;

    /// <summary>The owner's bits tell how it is open.</summary>
    public override Errno GetStat(out FileStat stat)
    {
        Errno error = base.GetStat(out stat);
        FileDescription? file = task.Files.Get(fd);
        if (file is null)
            return Errno.ENOENT;
        uint bits = 0x40;
        if (file.CanRead)
            bits |= 0x100;
        if (file.CanWrite)
            bits |= 0x80;
        file.DropReference();
        stat.Mode = FileMode.S_IFLNK | bits;
        return error;
    }

    public override Errno ReadLink(in Caller caller, out string target)
    {
        target = "";
        Errno error = FollowMagic(in caller, out VfsPath place);
        if (error == Errno.OK)
            target = TextOf(place, in caller);
        return error;
    }

    public override Errno FollowMagic(in Caller caller, out VfsPath target)
    {
        target = default;
        if (!ProcAccess.IsAllowed(in caller, task))
            return Errno.EACCES;
        FileDescription? file = task.Files.Get(fd);
        if (file is null)
            return Errno.ENOENT;
        target = file.Path;
        file.DropReference();
        return Errno.OK;
    }

    /// <summary>What a link to a place says: its path from the caller's root, or the name of what has no path.</summary>
    public static string TextOf(VfsPath place, in Caller caller)
        => AnonymousFileSystem.Owns(place) ? place.Dentry.Name : place.ToText(caller.Fs.Root);
}

/// <summary>/proc/PID/fdinfo/N (man 5 proc_pid_fdinfo).</summary>
internal sealed class DescriptorInfo(ProcFileSystem fileSystem, Task task, int fd) : PseudoFile(fileSystem, 0x100)
{
    public override (uint Uid, uint Gid) Owner => (task.Credentials.EffectiveUid, task.Credentials.EffectiveGid);

    public override Errno Generate(in Caller opener, StringBuilder text)
    {
        const int SEEK_CUR = 1;
        FileDescription? file = task.Files.Get(fd);
        if (file is null)
            return Errno.ENOENT;
        OpenFlags flags = file.Flags;
        if (task.Files.GetCloseOnExec(fd) == true)
            flags |= OpenFlags.O_CLOEXEC;
        // The position where it is kept: for a standard stream that is the host.
        SysResult position = (flags & OpenFlags.O_PATH) == 0 && file.IsSeekable ? FileOperations.Seek(file, 0, SEEK_CUR) : 0;
        file.GetStat(out FileStat stat);
        text.Append(CultureInfo.InvariantCulture, $"pos:\t{Math.Max(0, position.Value)}\n")
            .Append(CultureInfo.InvariantCulture, $"flags:\t0{Convert.ToString((int)flags, 8)}\n")
            .Append(CultureInfo.InvariantCulture, $"mnt_id:\t{file.Path.Mount.Id}\nino:\t{stat.Ino}\n");
        file.AppendFdInfo(text);
        file.DropReference();
        return Errno.OK;
    }
}
