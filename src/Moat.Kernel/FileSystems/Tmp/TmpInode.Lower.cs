using System.Diagnostics.CodeAnalysis;
using System.Text;
using Moat.Kernel.FileSystems.Host;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Tmp;

// Files of an overlay's lower layer: what is not changed is asked of the host; what changes is this inode's own from then on, and
// the directory that it was found in remembers it.
internal abstract partial class TmpInode
{
    private readonly TmpDirectory? _foundIn;
    private readonly string _foundAs = "";
    private volatile bool _ownsAttributes, _ownsXattrs, _kept;

    /// <summary>The file of the lower layer; null when there is none.</summary>
    internal HostInode? Lower { get; }

    /// <summary>True when the attributes are this inode's own.</summary>
    [MemberNotNullWhen(false, nameof(Lower))]
    protected bool IsOwn => Lower is null || _ownsAttributes;

    /// <summary>Makes the attributes this inode's own before they change. Not under <see cref="State"/>. The host's errors.</summary>
    internal Errno Own()
    {
        if (IsOwn)
            return Errno.OK;
        Errno error = Lower.GetStat(out FileStat stat);
        if (error != Errno.OK)
            return error;
        lock (State)
        {
            if (!_ownsAttributes)
            {
                _mode = stat.Mode;
                _uid = stat.Uid;
                _gid = stat.Gid;
                _atime = stat.Atime;
                _mtime = stat.Mtime;
                _ctime = stat.Ctime;
                _btime = stat.Btime;
                LinkCount = stat.Nlink;
                _ownsAttributes = true;
            }
        }
        Keep();
        return Errno.OK;
    }

    /// <summary>It is no longer what the host has: the directory remembers it, and so do all above. Not under <see cref="State"/>.</summary>
    protected virtual void Keep()
    {
        if (_kept)
            return;
        _kept = true;
        _foundIn?.Remember(_foundAs, this);
    }

    /// <summary>What is this inode's own needs no look at the host.</summary>
    public override Errno Revalidate() => _kept || Lower is null ? Errno.OK : Lower.Revalidate();

    private Errno OwnXattrs()
    {
        const int MaxNames = 65536;
        if (_ownsXattrs || Lower is null)
            return Errno.OK;
        byte[] names = new byte[MaxNames], value = new byte[MaxNames];
        SysResult length = Lower.ListXattr(names);
        if (length.IsError && length.Error != Errno.EOPNOTSUPP)
            return length.Error;
        for (ReadOnlySpan<byte> rest = names.AsSpan(0, (int)Math.Max(0, length.Value)); rest.Length > 0;)
        {
            int end = rest.IndexOf((byte)0);
            string name = Encoding.Latin1.GetString(rest[..end]);
            rest = rest[(end + 1)..];
            SysResult size = Lower.GetXattr(name, value);
            // What the sentry may not read the guest never saw.
            if (size.IsError)
                continue;
            lock (State)
                (_attributes ??= new Dictionary<string, byte[]>(StringComparer.Ordinal))[name] = value.AsSpan(0, (int)size.Value).ToArray();
        }
        _ownsXattrs = true;
        return Errno.OK;
    }
}

/// <summary>A symbolic link, FIFO, socket or device of the lower layer.</summary>
internal sealed class TmpLowerNode(TmpFileSystem fileSystem, HostInode lower, TmpDirectory foundIn, string foundAs)
    : TmpInode(fileSystem, lower, foundIn, foundAs)
{
    public override Errno GetStat(out FileStat stat)
    {
        Errno error = base.GetStat(out stat);
        if (error == Errno.OK && IsOwn && Lower!.GetStat(out FileStat lower) == Errno.OK)
            (stat.Size, stat.Rdev) = (lower.Size, lower.Rdev);
        return error;
    }

    public override Errno ReadLink(in Caller caller, out string target) => Lower!.ReadLink(in caller, out target);

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        return IsSymlink ? Errno.ELOOP : Errno.ENXIO;
    }
}
