using System.Globalization;
using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.Terminals;

/// <summary>The pseudoterminals there are, by number.</summary>
internal sealed class PtyTable(Sentry sentry)
{
    /// <summary>Most at a time (/proc/sys/kernel/pty/max).</summary>
    public const int Most = 4096;

    private readonly Lock _lock = new();
    private readonly SortedDictionary<int, PtyInode> _byNumber = [];

    /// <summary>/dev/pts; set when it is mounted.</summary>
    public PtsFileSystem FileSystem { get; set; } = null!;

    /// <summary>The number that the host's terminal has, or -1.</summary>
    public int HostNumber
        => sentry.Terminal is { } terminal && terminal.Name.StartsWith("/dev/pts/", StringComparison.Ordinal)
            && int.TryParse(terminal.Name.AsSpan("/dev/pts/".Length), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1;

    /// <summary>How many there are.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _byNumber.Count;
        }
    }

    /// <summary>Makes a pair and opens its master. ENOSPC.</summary>
    public Errno Open(in Caller caller, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        PtyInode made;
        lock (_lock)
        {
            if (_byNumber.Count >= Most)
                return Errno.ENOSPC;
            int number = 0, host = HostNumber;
            while (_byNumber.ContainsKey(number) || number == host)
                number++;
            made = new PtyInode(FileSystem, sentry, number, caller.Credentials);
            _byNumber.Add(number, made);
        }
        file = new PtyMaster(made.Pty, this, flags);
        return Errno.OK;
    }

    /// <summary>The master is closed: the name goes.</summary>
    public void Remove(int number)
    {
        lock (_lock)
            _byNumber.Remove(number);
    }

    public PtyInode? Find(int number)
    {
        lock (_lock)
            return _byNumber.GetValueOrDefault(number);
    }

    /// <summary>The lowest number from one on, or -1.</summary>
    public int Next(int from)
    {
        lock (_lock)
        {
            foreach (int number in _byNumber.Keys)
            {
                if (number >= from)
                    return number;
            }
            return -1;
        }
    }

    /// <summary>Where a slave shows.</summary>
    public VfsPath PlaceOf(int number)
    {
        string name = number.ToString(CultureInfo.InvariantCulture);
        Caller caller = VfsRoot.Maker(FileSystem.Mounts);
        return PathOperations.Walk(in caller, Syscalls.Fd.AT_FDCWD, "/dev/pts/" + name, LookupFlags.None, out VfsPath place) == Errno.OK
            ? place : AnonymousFileSystem.MakePlace("/dev/pts/" + name);
    }
}

/// <summary>/dev/pts (devpts).</summary>
internal sealed class PtsFileSystem : FileSystem
{
    private const long DEVPTS_SUPER_MAGIC = 0x1cd1;

    public PtsFileSystem(Sentry sentry, MountTable mounts)
    {
        Mounts = mounts;
        Root = new PtsDirectory(this, sentry);
        sentry.Terminals.FileSystem = this;
    }

    /// <summary>The tree that it is mounted in.</summary>
    public MountTable Mounts { get; }

    public override string TypeName => "devpts";

    public override Inode Root { get; }

    public override NameCaching Caching => NameCaching.Afresh;

    public override Errno GetStatFs(out StatFs stat)
    {
        stat = new StatFs { f_type = DEVPTS_SUPER_MAGIC, f_bsize = 4096, f_frsize = 4096, f_namelen = 255 };
        return Errno.OK;
    }
}

/// <summary>
/// Pseudoterminals by number, ptmx, and the terminal that the sandbox was started on under the host's name, so that ttyname(3) finds it.
/// </summary>
internal sealed class PtsDirectory : PseudoDirectory
{
    private const int FirstNumber = 3;

    private readonly Sentry _sentry;
    private readonly PtyMultiplexer _multiplexer;

    public PtsDirectory(FileSystem fileSystem, Sentry sentry)
        : base(fileSystem, 0x1ed)
    {
        _sentry = sentry;
        _multiplexer = new PtyMultiplexer(fileSystem, sentry.Terminals);
    }

    protected override Errno CreateError => Errno.EACCES;

    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        child = null;
        if (name is "ptmx")
            child = _multiplexer;
        else if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && (name[0] != '0' || name.Length == 1))
            child = number == _sentry.Terminals.HostNumber ? _sentry.Terminal : _sentry.Terminals.Find(number);
        return child is null ? Errno.ENOENT : Errno.OK;
    }

    public override Errno ReadEntries(ref long position, ref DirectoryEmitter into)
    {
        if (position == FirstNumber - 1)
        {
            if (!into.Emit("ptmx", _multiplexer.Number, DirentType.FromMode(_multiplexer.Type), position + 1))
                return Errno.OK;
            position++;
        }
        int host = _sentry.Terminals.HostNumber;
        while (true)
        {
            int from = (int)position - FirstNumber, number = _sentry.Terminals.Next(from);
            if (host >= from && (number < 0 || host < number))
                number = host;
            if (number < 0 || !into.Emit(number.ToString(CultureInfo.InvariantCulture), (ulong)number + 3, DirentType.FromMode(FileMode.S_IFCHR), number + FirstNumber + 1))
                return Errno.OK;
            position = number + FirstNumber + 1;
        }
    }
}
