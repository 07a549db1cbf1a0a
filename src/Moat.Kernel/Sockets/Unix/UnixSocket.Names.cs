using System.Text;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

internal abstract partial class UnixSocket
{
    private volatile UnixAddress? _address;
    private (ulong Device, ulong Inode)? _file;

    /// <summary>Keeps the inode of the name, so that its number stays its own.</summary>
    private VfsPath _place;

    /// <summary>What it is bound to; null: nothing.</summary>
    public UnixAddress? Address => _address;

    public sealed override Errno GetName(Span<byte> name, out int length)
    {
        length = WriteName(Address, name);
        return Errno.OK;
    }

    public sealed override Errno GetPeerName(Span<byte> name, out int length)
    {
        length = 0;
        if (Peer is not { } peer)
            return Errno.ENOTCONN;
        length = WriteName(peer.Address, name);
        return Errno.OK;
    }

    private static int WriteName(UnixAddress? address, Span<byte> name)
    {
        if (address is null)
            return UnixAddress.WriteUnnamed(name);
        address.Bytes.CopyTo(name);
        return address.Bytes.Length;
    }

    /// <summary>The socket made on the listener's side is found under no name but shows the listener's.</summary>
    protected void ShareAddress(UnixSocket listener) => _address = listener._address;

    public sealed override Errno Bind(in Caller caller, ReadOnlySpan<byte> name)
    {
        if (name.Length == UnixAddress.PathAt && UnixAddress.IsUnix(name))
            return Autobind();
        Errno error = UnixAddress.Check(name);
        if (error != Errno.OK)
            return error;
        return UnixAddress.IsAbstract(name) ? BindAbstract(name) : BindFile(in caller, name);
    }

    /// <summary>Gets an abstract name unless it has one.</summary>
    protected Errno Autobind()
    {
        lock (StateLock)
        {
            if (_address is not null)
                return Errno.OK;
            Errno error = Names.Autobind(this, out UnixAddress? address);
            _address = address;
            return error;
        }
    }

    /// <summary>A sender who passes credentials has a name that can be answered to.</summary>
    protected Errno AutobindForCredentials()
        => _address is null && (Options.Has(SocketOption.SO_PASSCRED) || Options.Has(SocketOption.SO_PASSPIDFD)) ? Autobind() : Errno.OK;

    private Errno BindAbstract(ReadOnlySpan<byte> name)
    {
        lock (StateLock)
        {
            if (_address is not null)
                return Errno.EINVAL;
            Errno error = Names.TryBind(this, name);
            if (error == Errno.OK)
                _address = new UnixAddress(name);
            return error;
        }
    }

    private Errno BindFile(in Caller caller, ReadOnlySpan<byte> name)
    {
        Span<char> path = stackalloc char[UnixAddress.MaxLength];
        path = path[..Encoding.Latin1.GetChars(UnixAddress.PathOf(name), path)];
        Errno error = PathOperations.MakeSocket(in caller, path, Inode.Permissions.Mode, out VfsPath place);
        if (error != Errno.OK)
            return error == Errno.EEXIST ? Errno.EADDRINUSE : error;
        error = place.Inode.GetStat(out FileStat stat);
        if (error != Errno.OK)
            return error;
        lock (StateLock)
        {
            if (_address is not null)
            {
                error = Errno.EINVAL;
            }
            else
            {
                _place = place;
                _file = (stat.Dev, stat.Ino);
                _address = new UnixAddress(name);
                Names.BindFile(this, in stat);
            }
        }
        if (error != Errno.OK)
            PathOperations.Unlink(in caller, Syscalls.Fd.AT_FDCWD, path, AtFlags.None);
        return error;
    }

    /// <summary>
    /// The socket that a valid address leads to. ECONNREFUSED: nobody there; EPROTOTYPE: of another type; EACCES, ENOENT and what else a
    /// path may answer.
    /// </summary>
    protected Errno Find(in Caller caller, ReadOnlySpan<byte> name, out UnixSocket? found)
    {
        found = null;
        if (UnixAddress.IsAbstract(name))
        {
            found = Names.FindAbstract(Type, name);
            return found is null ? Errno.ECONNREFUSED : Errno.OK;
        }
        Span<char> path = stackalloc char[UnixAddress.MaxLength];
        path = path[..Encoding.Latin1.GetChars(UnixAddress.PathOf(name), path)];
        Errno error = PathOperations.Walk(in caller, Syscalls.Fd.AT_FDCWD, path, LookupFlags.Follow, out VfsPath place);
        if (error == Errno.OK)
            error = place.Inode.CheckAccess(caller.Credentials, AccessMask.Write);
        if (error != Errno.OK)
            return error;
        if (place.Inode.Type != FileMode.S_IFSOCK)
            return Errno.ECONNREFUSED;
        error = place.Inode.GetStat(out FileStat stat);
        if (error != Errno.OK)
            return error;
        UnixSocket? there = Names.FindFile(in stat);
        if (there is null)
            return Errno.ECONNREFUSED;
        if (there.Type != Type)
            return Errno.EPROTOTYPE;
        found = there;
        return Errno.OK;
    }
}
