using Moat.Host;
using Moat.Kernel.FileSystems.Host;
using Moat.Kernel.FileSystems.Tmp;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Overlay;

/// <summary>A directory of an overlay: names of its own and, unless it was made here, those of a lower directory that they do not hide.</summary>
internal sealed class OverlayDirectory : TmpDirectory
{
    public OverlayDirectory(OverlayFileSystem fileSystem, in NewInode what, ulong device)
        : base(fileSystem, in what, device)
    {
    }

    public OverlayDirectory(OverlayFileSystem fileSystem, HostInode lower, OverlayDirectory? foundIn, string foundAs)
        : base(fileSystem, lower, foundIn, foundAs)
    {
    }

    private OverlayFileSystem Overlay => (OverlayFileSystem)Tmp;

    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        bool found = TryFindOwn(name, out TmpInode? own);
        child = own;
        if (found || Lower is null)
            return child is null ? Errno.ENOENT : Errno.OK;
        Errno error = Lower.Lookup(name, out Inode? lower);
        if (error == Errno.OK)
            child = Overlay.Wrap((HostInode)lower!, this, name.ToString());
        return error;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = Lower is null ? new DirectoryDescription(flags) : new OverlayDirectoryFile(this, flags);
        return Errno.OK;
    }

    protected override void Hide(string name)
    {
        if (Lower is not null && Lower.Lookup(name, out _) != Errno.ENOENT)
            Insert(name, null);
        else
            base.Hide(name);
    }

    protected override Errno CheckEmpty()
    {
        Errno error = base.CheckEmpty();
        if (error != Errno.OK || Lower is null)
            return error;
        bool empty = true;
        error = ForEachLower((entry) => empty &= TryFindOwn(entry.Name, out _));
        return error == Errno.OK && !empty ? Errno.ENOTEMPTY : error;
    }

    /// <summary>Everything that shows, in no particular order.</summary>
    internal Errno List(List<OverlayEntry> into)
    {
        List<(string Name, TmpInode? Inode)> own = [];
        CopyNames(own);
        HashSet<string> hidden = new(own.Count, StringComparer.Ordinal);
        foreach ((string name, TmpInode? inode) in own)
        {
            hidden.Add(name);
            if (inode is not null)
                into.Add(new OverlayEntry(name, inode.Number, DirentType.FromMode(inode.Type)));
        }
        HashSet<string>.AlternateLookup<ReadOnlySpan<char>> isHidden = hidden.GetAlternateLookup<ReadOnlySpan<char>>();
        return Lower is null ? Errno.OK : ForEachLower((entry) =>
        {
            if (!isHidden.Contains(entry.Name))
                into.Add(new OverlayEntry(entry.Name.ToString(), entry.Inode, entry.Type));
            return true;
        });
    }

    private delegate bool LowerVisitor(HostEntry entry);

    /// <summary>Calls a visitor for the lower names until it says no.</summary>
    private Errno ForEachLower(LowerVisitor visit)
    {
        Errno error = Lower!.OpenHandle(OpenFlags.O_DIRECTORY, out HostHandle? handle);
        if (error != Errno.OK)
            return error;
        byte[] buffer = new byte[32768];
        Span<char> name = stackalloc char[256];
        int bytes;
        bool more = true;
        while (more && (bytes = HostFiles.GetDents(handle!.Fd, buffer)) != 0)
        {
            if (bytes < 0)
            {
                error = (Errno)(-bytes);
                break;
            }
            for (scoped ReadOnlySpan<byte> rest = buffer.AsSpan(0, bytes); rest.Length > 0 && more;)
            {
                HostEntry entry = HostEntry.Take(ref rest, name);
                if (entry.Name is not ("." or ".."))
                    more = visit(entry);
            }
        }
        handle!.DropReference();
        return error;
    }
}

/// <summary>One line of a listing.</summary>
internal readonly record struct OverlayEntry(string Name, ulong Number, byte Type);

/// <summary>
/// An open directory with a lower one. While nothing in it was changed the host lists it; else a listing is merged when
/// reading starts at the beginning, and positions are indexes into it.
/// </summary>
internal sealed class OverlayDirectoryFile(OverlayDirectory inode, OpenFlags flags) : DirectoryDescription(flags)
{
    private HostHandle? _lower;
    private List<OverlayEntry>? _merged;

    public override Errno ReadDirectory(ref DirectoryEmitter into)
    {
        if (Path.Dentry.IsDeleted)
            return Errno.ENOENT;
        if (Position == 0)
        {
            _merged = null;
            // Afresh from the beginning: what the host cached of an earlier listing may be old.
            _lower?.DropReference();
            _lower = null;
            if (!inode.HasNames)
            {
                Errno opened = inode.Lower!.OpenHandle(OpenFlags.O_DIRECTORY, out _lower);
                if (opened != Errno.OK)
                    return opened;
            }
        }
        if (_lower is not null)
            return HostDirectory.ReadHost(_lower.Fd, ref Position, ref into);
        if (!into.EmitDots(Path, ref Position))
            return Errno.OK;
        if (_merged is null)
        {
            List<OverlayEntry> listing = [];
            Errno error = inode.List(listing);
            if (error != Errno.OK)
                return error;
            _merged = listing;
        }
        for (; Position - 2 < _merged.Count; Position++)
        {
            OverlayEntry entry = _merged[(int)Position - 2];
            if (!into.Emit(entry.Name, entry.Number, entry.Type, Position + 1))
                break;
        }
        return Errno.OK;
    }

    protected override void Release() => _lower?.DropReference();
}
