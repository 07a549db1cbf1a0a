namespace Moat.Kernel.Vfs;

/// <summary>How the last component of a path is treated.</summary>
[Flags]
internal enum LookupFlags
{
    None = 0,

    /// <summary>Follow a symbolic link in the last component.</summary>
    Follow = 1,

    /// <summary>The result has to be a directory (ENOTDIR).</summary>
    Directory = 2,

    /// <summary>An empty path means the starting point (AT_EMPTY_PATH); else ENOENT.</summary>
    Empty = 4,

    /// <summary>Remembered names of host files are compared with the host first: the second try after ESTALE.</summary>
    Revalidate = 8,
}

/// <summary>What the last component of a path is.</summary>
internal enum LastComponent
{
    /// <summary>A name.</summary>
    Name,

    /// <summary>None: the path ends at its starting point or consists of slashes.</summary>
    Root,

    Dot,

    DotDot,
}

/// <summary>
/// Resolves a path component by component (man 7 path_resolution): symbolic links, "..", mounts, search permission, and the
/// RESOLVE_ rules of openat2(2). It stops at the last component, which the caller looks up, makes, removes or follows.
/// Remembered components cost no allocation. Dispose gives the stack of links back.
/// </summary>
internal ref struct PathWalker
{
    public const int MaxLinks = 40, NameMax = 255, PathMax = 4096;

    [ThreadStatic]
    private static Frame[]? s_frames;

    private readonly ref readonly Caller _caller;
    private readonly ResolveFlags _resolve;
    private readonly bool _revalidate;
    private readonly ReadOnlySpan<char> _input;
    private VfsPath _root;
    private ReadOnlySpan<char> _text;
    private Frame[]? _frames;
    private string? _base;
    private int _position, _depth, _links;

    private struct Frame
    {
        public string? Text;
        public int Position;
    }

    public PathWalker(in Caller caller, ReadOnlySpan<char> path, ResolveFlags resolve = ResolveFlags.None, bool revalidate = false)
    {
        _caller = ref caller;
        _resolve = resolve;
        _revalidate = revalidate;
        _input = _text = path;
    }

    /// <summary>The directory that the last component is in.</summary>
    public VfsPath Current { get; private set; }

    /// <summary>The last component when <see cref="Kind"/> is a name.</summary>
    public ReadOnlySpan<char> Last { get; private set; }

    public LastComponent Kind { get; private set; }

    /// <summary>A slash followed the last component: it has to be a directory, and links are followed.</summary>
    public bool MustBeDirectory { get; private set; }

    private readonly bool IsScoped => (_resolve & (ResolveFlags.RESOLVE_BENEATH | ResolveFlags.RESOLVE_IN_ROOT)) != 0;

    /// <summary>Finds the starting point: the root, the current directory or a descriptor. EBADF, ENOTDIR, EXDEV, ENOENT for "".</summary>
    public Errno Start(int dirfd)
    {
        if (_input.Length == 0)
            return Errno.ENOENT;
        bool absolute = _input[0] == '/';
        _root = _caller.Fs.Root;
        if (absolute && !IsScoped)
        {
            Current = _root;
            return Errno.OK;
        }
        if (absolute && (_resolve & ResolveFlags.RESOLVE_BENEATH) != 0)
            return Errno.EXDEV;
        Errno error = StartingPoint(in _caller, dirfd, out VfsPath start);
        if (error != Errno.OK)
            return error;
        if (!start.Inode.IsDirectory)
            return Errno.ENOTDIR;
        Current = start;
        if (IsScoped)
            _root = start;
        return Errno.OK;
    }

    /// <summary>The place that a directory descriptor or AT_FDCWD stands for. EBADF.</summary>
    public static Errno StartingPoint(in Caller caller, int dirfd, out VfsPath start)
    {
        if (dirfd == Syscalls.Fd.AT_FDCWD)
        {
            start = caller.Fs.Current;
            return Errno.OK;
        }
        FileDescription? file = caller.Files?.Get(dirfd);
        start = default;
        if (file is null)
            return Errno.EBADF;
        start = file.Path;
        file.DropReference();
        return Errno.OK;
    }

    /// <summary>Walks all components but the last. Again after <see cref="Follow"/>.</summary>
    public Errno ToLast()
    {
        while (true)
        {
            _position = SkipSlashes(_position);
            if (_position == _text.Length)
            {
                if (_depth > 0)
                {
                    Pop();
                    continue;
                }
                Kind = LastComponent.Root;
                Last = default;
                return Errno.OK;
            }
            if (!Current.Inode.IsDirectory)
                return Errno.ENOTDIR;
            Errno error = Current.Inode.CheckAccess(_caller.Credentials, AccessMask.Execute);
            if (error != Errno.OK)
                return error;
            int end = _text[_position..].IndexOf('/');
            end = end < 0 ? _text.Length : _position + end;
            ReadOnlySpan<char> name = _text[_position..end];
            LastComponent kind = name is "." ? LastComponent.Dot : name is ".." ? LastComponent.DotDot : LastComponent.Name;
            _position = SkipSlashes(end);
            if (_position == _text.Length && _depth == 0)
            {
                Kind = kind;
                Last = name;
                MustBeDirectory |= end < _text.Length;
                return Errno.OK;
            }
            error = kind switch
            {
                LastComponent.Name => Step(name),
                LastComponent.DotDot => Up(),
                _ => Errno.OK,
            };
            if (error != Errno.OK)
                return error;
        }
    }

    /// <summary>Looks the last name up in <see cref="Current"/>, across mounts. ENOENT, EXDEV, EAGAIN, ENAMETOOLONG.</summary>
    public readonly Errno LookupLast(out VfsPath found) => Lookup(Last, out found);

    /// <summary>
    /// Follows a link found in the last component; then <see cref="ToLast"/> goes on. ELOOP, EXDEV, ENOENT, EACCES.
    /// </summary>
    public Errno Follow(VfsPath link)
    {
        if (++_links > MaxLinks || (_resolve & ResolveFlags.RESOLVE_NO_SYMLINKS) != 0)
            return Errno.ELOOP;
        if (link.Inode.IsMagicLink)
            return FollowMagic(link);
        Errno error = link.Inode.ReadLink(in _caller, out string target);
        if (error != Errno.OK)
            return error;
        if (target.Length == 0)
            return Errno.ENOENT;
        if (target[0] == '/')
        {
            if ((_resolve & ResolveFlags.RESOLVE_BENEATH) != 0)
                return Errno.EXDEV;
            if ((_resolve & ResolveFlags.RESOLVE_NO_XDEV) != 0 && _root.Mount != Current.Mount)
                return Errno.EXDEV;
            Current = _root;
        }
        Push(target);
        return Errno.OK;
    }

    /// <summary>".." from <see cref="Current"/>: stays at the root, leaves mounts. EXDEV.</summary>
    public Errno Up()
    {
        while (true)
        {
            if (Current == _root)
            {
                if ((_resolve & ResolveFlags.RESOLVE_BENEATH) != 0)
                    return Errno.EXDEV;
                break;
            }
            if (Current.Dentry != Current.Mount.Root)
            {
                Current = new VfsPath(Current.Mount, Current.Dentry.Parent ?? Current.Dentry);
                break;
            }
            if (Current.Mount.Parent is null)
                break;
            if ((_resolve & ResolveFlags.RESOLVE_NO_XDEV) != 0)
                return Errno.EXDEV;
            Current = new VfsPath(Current.Mount.Parent, Current.Mount.MountPoint!);
        }
        return Cross(Current, out VfsPath inside) is var error and not Errno.OK ? error : Set(inside);
    }

    /// <summary>Resolves the whole path. With neither Follow nor a trailing slash a link itself is the result.</summary>
    public Errno ToEnd(LookupFlags flags, out VfsPath found)
    {
        found = default;
        while (true)
        {
            Errno error = ToLast();
            if (error != Errno.OK)
                return error;
            if (Kind == LastComponent.DotDot)
                error = Up();
            if (error != Errno.OK)
                return error;
            found = Current;
            if (Kind == LastComponent.Name)
            {
                error = LookupLast(out found);
                if (error != Errno.OK)
                    return error;
                if (found.Inode.IsSymlink && ((flags & LookupFlags.Follow) != 0 || MustBeDirectory))
                {
                    error = Follow(found);
                    if (error != Errno.OK)
                        return error;
                    continue;
                }
            }
            return (MustBeDirectory || (flags & LookupFlags.Directory) != 0) && !found.Inode.IsDirectory ? Errno.ENOTDIR : Errno.OK;
        }
    }

    /// <summary>Gives the stack of links back to the thread.</summary>
    public void Dispose()
    {
        if (_frames is null)
            return;
        Array.Clear(_frames);
        s_frames = _frames;
        _frames = null;
    }

    private Errno Step(ReadOnlySpan<char> name)
    {
        Errno error = Lookup(name, out VfsPath found);
        if (error != Errno.OK)
            return error;
        if (found.Inode.IsSymlink)
            return Follow(found);
        Current = found;
        return Errno.OK;
    }

    private readonly Errno Lookup(ReadOnlySpan<char> name, out VfsPath found)
    {
        found = default;
        Dentry? child;
        if ((_resolve & ResolveFlags.RESOLVE_CACHED) != 0)
        {
            child = name.Length <= NameMax ? Current.Dentry.LookupCached(name) : null;
            if (child is null)
                return Errno.EAGAIN;
        }
        else
        {
            if (_revalidate && Current.Dentry.LookupCached(name) is { } known && known.Inode.Revalidate() == Errno.ESTALE)
                Current.Dentry.Forget(known);
            Errno error = Current.Dentry.Lookup(name, out child);
            if (error != Errno.OK)
                return error;
        }
        return Cross(new VfsPath(Current.Mount, child!), out found);
    }

    private readonly Errno Cross(VfsPath place, out VfsPath inside)
    {
        inside = place;
        if (!place.Dentry.IsMountPoint)
            return Errno.OK;
        inside = place.Mount.Table.Cross(place);
        return inside.Mount != place.Mount && (_resolve & ResolveFlags.RESOLVE_NO_XDEV) != 0 ? Errno.EXDEV : Errno.OK;
    }

    private Errno Set(VfsPath current)
    {
        Current = current;
        return Errno.OK;
    }

    private Errno FollowMagic(VfsPath link)
    {
        if ((_resolve & ResolveFlags.RESOLVE_NO_MAGICLINKS) != 0)
            return Errno.ELOOP;
        Errno error = link.Inode.FollowMagic(in _caller, out VfsPath target);
        if (error != Errno.OK)
            return error;
        if (IsScoped || ((_resolve & ResolveFlags.RESOLVE_NO_XDEV) != 0 && target.Mount != link.Mount))
            return Errno.EXDEV;
        Current = target;
        return Errno.OK;
    }

    private readonly int SkipSlashes(int position)
    {
        while (position < _text.Length && _text[position] == '/')
            position++;
        return position;
    }

    // A frame below the top always has components left: what is exhausted is replaced instead, so the last component of
    // depth 0 is the last of all.
    private void Push(string target)
    {
        if (SkipSlashes(_position) < _text.Length)
        {
            if (_frames is null)
            {
                _frames = s_frames ?? new Frame[MaxLinks + 2];
                s_frames = null;
            }
            _frames[_depth].Position = _position;
            _depth++;
        }
        if (_depth > 0)
            _frames![_depth].Text = target;
        else
            _base = target;
        _text = target;
        _position = 0;
    }

    private void Pop()
    {
        _frames![_depth].Text = null;
        _depth--;
        _text = _depth > 0 ? _frames[_depth].Text : _base is null ? _input : _base;
        _position = _frames[_depth].Position;
    }
}
