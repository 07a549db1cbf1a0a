using System.Text;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>A bound address (struct sockaddr_un, man 7 unix): immutable, and shared by a listener and what it accepts.</summary>
internal sealed class UnixAddress
{
    /// <summary>Bytes before sun_path.</summary>
    public const int PathAt = 2;

    /// <summary>sizeof(struct sockaddr_un).</summary>
    public const int MaxLength = 110;

    private readonly byte[] _bytes;

    /// <summary>Keeps a valid address: a path gets its NUL.</summary>
    public UnixAddress(ReadOnlySpan<byte> name)
    {
        if (IsAbstract(name))
        {
            _bytes = name.ToArray();
            return;
        }
        ReadOnlySpan<byte> path = PathOf(name);
        _bytes = new byte[PathAt + path.Length + 1];
        name[..PathAt].CopyTo(_bytes);
        path.CopyTo(_bytes.AsSpan(PathAt));
    }

    /// <summary>As getsockname(2) gives it.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>As /proc/net/unix shows it: '@' for NUL in an abstract name.</summary>
    public string Text
        => IsAbstract(_bytes) ? Encoding.Latin1.GetString(_bytes, PathAt, _bytes.Length - PathAt).Replace('\0', '@')
            : Encoding.Latin1.GetString(_bytes, PathAt, _bytes.Length - PathAt - 1);

    /// <summary>EINVAL unless it is an AF_UNIX address with a name.</summary>
    public static Errno Check(ReadOnlySpan<byte> name)
        => name.Length is <= PathAt or > MaxLength || !IsUnix(name) ? Errno.EINVAL : Errno.OK;

    /// <summary>True when the family is AF_UNIX.</summary>
    public static bool IsUnix(ReadOnlySpan<byte> name) => name.Length >= PathAt && FamilyOf(name) == AddressFamily.AF_UNIX;

    /// <summary>sa_family of an address of at least two bytes.</summary>
    public static int FamilyOf(ReadOnlySpan<byte> name) => name[0] | (name[1] << 8);

    /// <summary>True for a name outside the file system: it begins with NUL, and all its bytes count.</summary>
    public static bool IsAbstract(ReadOnlySpan<byte> name) => name[PathAt] == 0;

    /// <summary>The path, up to a NUL if there is one.</summary>
    public static ReadOnlySpan<byte> PathOf(ReadOnlySpan<byte> name)
    {
        ReadOnlySpan<byte> path = name[PathAt..];
        int end = path.IndexOf((byte)0);
        return end < 0 ? path : path[..end];
    }

    /// <summary>Writes what an unbound socket has for a name: the family alone.</summary>
    public static int WriteUnnamed(Span<byte> name)
    {
        name[0] = AddressFamily.AF_UNIX;
        name[1] = 0;
        return PathAt;
    }
}
