using System.Globalization;
using System.Text;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>Which socket has which name in a sandbox: abstract names (per type, as on Linux), and the sockets behind inodes.</summary>
internal sealed class UnixNames
{
    private const int MostAutobind = 1 << 20;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, UnixSocket> _abstract = new(StringComparer.Ordinal);
    private readonly Dictionary<(ulong Device, ulong Inode), UnixSocket> _files = [];
    private readonly HashSet<UnixSocket> _all = [];
    private uint _lastAutobind = (uint)Random.Shared.Next(MostAutobind);

    /// <summary>A socket is there; for /proc/net/unix.</summary>
    public void Add(UnixSocket socket)
    {
        lock (_lock)
            _all.Add(socket);
    }

    /// <summary>All sockets there are.</summary>
    public UnixSocket[] GetAll()
    {
        lock (_lock)
            return [.. _all];
    }

    /// <summary>Gives a socket an abstract name. EADDRINUSE.</summary>
    public Errno TryBind(UnixSocket socket, ReadOnlySpan<byte> name)
    {
        lock (_lock)
            return _abstract.TryAdd(Key(socket.Type, name), socket) ? Errno.OK : Errno.EADDRINUSE;
    }

    /// <summary>Gives a socket a free name of five hexadecimal digits. ENOSPC when there is none.</summary>
    public Errno Autobind(UnixSocket socket, out UnixAddress? address)
    {
        Span<byte> name = stackalloc byte[UnixAddress.PathAt + 6];
        UnixAddress.WriteUnnamed(name);
        address = null;
        lock (_lock)
        {
            for (int tries = 0; tries < MostAutobind; tries++)
            {
                _lastAutobind = (_lastAutobind + 1) % MostAutobind;
                string digits = _lastAutobind.ToString("x5", CultureInfo.InvariantCulture);
                name[UnixAddress.PathAt] = 0;
                Encoding.Latin1.GetBytes(digits, name[(UnixAddress.PathAt + 1)..]);
                if (_abstract.TryAdd(Key(socket.Type, name), socket))
                {
                    address = new UnixAddress(name);
                    return Errno.OK;
                }
            }
        }
        return Errno.ENOSPC;
    }

    /// <summary>The socket behind the inode becomes this one.</summary>
    public void BindFile(UnixSocket socket, in FileStat stat)
    {
        lock (_lock)
            _files[(stat.Dev, stat.Ino)] = socket;
    }

    /// <summary>The socket of an abstract name, or null.</summary>
    public UnixSocket? FindAbstract(int type, ReadOnlySpan<byte> name)
    {
        Span<char> key = stackalloc char[UnixAddress.MaxLength];
        key[0] = (char)type;
        int length = 1 + Encoding.Latin1.GetChars(name[UnixAddress.PathAt..], key[1..]);
        lock (_lock)
        {
            return _abstract.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(key[..length], out UnixSocket? socket) ? socket : null;
        }
    }

    /// <summary>The socket that was bound to an inode, or null.</summary>
    public UnixSocket? FindFile(in FileStat stat)
    {
        lock (_lock)
            return _files.GetValueOrDefault((stat.Dev, stat.Ino));
    }

    /// <summary>A socket is gone, and its names with it.</summary>
    public void Remove(UnixSocket socket, UnixAddress? address, (ulong Device, ulong Inode)? file)
    {
        lock (_lock)
        {
            _all.Remove(socket);
            if (address is not null && UnixAddress.IsAbstract(address.Bytes))
            {
                // What was accepted shares the listener's address without being found by it.
                string key = Key(socket.Type, address.Bytes);
                if (_abstract.GetValueOrDefault(key) == socket)
                    _abstract.Remove(key);
            }
            if (file is { } inode && _files.GetValueOrDefault(inode) == socket)
                _files.Remove(inode);
        }
    }

    private static string Key(int type, ReadOnlySpan<byte> name) => (char)type + Encoding.Latin1.GetString(name[UnixAddress.PathAt..]);
}
