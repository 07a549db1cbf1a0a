namespace Moat.Kernel.Vfs.Pseudo;

/// <summary>
/// A generated directory. Derive and answer <see cref="Inode.Lookup"/> and <see cref="Inode.ReadEntries"/>; positions are any numbers
/// from 2 on that keep their meaning while the directory is open (an index, a descriptor + 2, a process id + 2).
/// </summary>
internal abstract class PseudoDirectory(FileSystem fileSystem, uint permissions = 0x16d)
    : PseudoInode(fileSystem, FileMode.S_IFDIR | permissions)
{
    public abstract override Errno Lookup(ReadOnlySpan<char> name, out Inode? child);

    public abstract override Errno ReadEntries(ref long position, ref DirectoryEmitter into);

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = new DirectoryDescription(flags);
        return Errno.OK;
    }

    /// <summary>What making a name answers: in /proc that there is no such name.</summary>
    protected virtual Errno CreateError => Errno.ENOENT;

    public override Errno Create(string name, in NewInode what, out Inode? child)
    {
        child = null;
        return CreateError;
    }
}

/// <summary>A directory with fixed children, added when the tree is built.</summary>
internal class StaticDirectory(FileSystem fileSystem, uint permissions = 0x16d) : PseudoDirectory(fileSystem, permissions)
{
    private readonly Dictionary<string, Inode> _byName = new(StringComparer.Ordinal);
    private readonly List<string> _order = [];

    /// <summary>Adds a child; only while the tree is built.</summary>
    public StaticDirectory Add(string name, Inode child)
    {
        _byName.Add(name, child);
        _order.Add(name);
        return this;
    }

    public override uint LinkCount => 2 + (uint)_byName.Values.Count(child => child.IsDirectory);

    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
        => _byName.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out child) ? Errno.OK : Errno.ENOENT;

    public override Errno ReadEntries(ref long position, ref DirectoryEmitter into)
    {
        for (; position - 2 < _order.Count; position++)
        {
            string name = _order[(int)position - 2];
            Inode child = _byName[name];
            ulong number = child is PseudoInode pseudo ? pseudo.Number : child.GetStat(out FileStat stat) == Errno.OK ? stat.Ino : 1;
            if (!into.Emit(name, number, DirentType.FromMode(child.Type), position + 1))
                break;
        }
        return Errno.OK;
    }
}
