using System.Text;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Tmp;

internal abstract partial class TmpInode
{
    private Dictionary<string, byte[]>? _attributes;

    public override SysResult GetXattr(string name, Span<byte> value)
    {
        if (!_ownsXattrs && Lower is not null)
            return Lower.GetXattr(name, value);
        lock (State)
        {
            if (_attributes is null || !_attributes.TryGetValue(name, out byte[]? found))
                return Errno.ENODATA;
            if (value.Length == 0)
                return found.Length;
            if (value.Length < found.Length)
                return Errno.ERANGE;
            found.CopyTo(value);
            return found.Length;
        }
    }

    public override Errno SetXattr(string name, ReadOnlySpan<byte> value, int flags)
    {
        const int XATTR_CREATE = 1, XATTR_REPLACE = 2;
        Errno error = OwnXattrs();
        if (error == Errno.OK)
            error = Own();
        if (error != Errno.OK)
            return error;
        lock (State)
        {
            bool exists = _attributes is not null && _attributes.ContainsKey(name);
            if (exists && (flags & XATTR_CREATE) != 0)
                return Errno.EEXIST;
            if (!exists && (flags & XATTR_REPLACE) != 0)
                return Errno.ENODATA;
            // As much as file systems on disks hold; it is the sentry's own memory.
            if (!exists && _attributes is { Count: >= 256 })
                return Errno.ENOSPC;
            (_attributes ??= new Dictionary<string, byte[]>(StringComparer.Ordinal))[name] = value.ToArray();
        }
        Changed();
        return Errno.OK;
    }

    public override Errno RemoveXattr(string name)
    {
        Errno error = OwnXattrs();
        if (error == Errno.OK)
            error = Own();
        if (error != Errno.OK)
            return error;
        lock (State)
        {
            if (_attributes is null || !_attributes.Remove(name))
                return Errno.ENODATA;
        }
        Changed();
        return Errno.OK;
    }

    public override SysResult ListXattr(Span<byte> names)
    {
        if (!_ownsXattrs && Lower is not null)
            return Lower.ListXattr(names);
        lock (State)
        {
            int size = 0;
            if (_attributes is null)
                return 0;
            foreach (string name in _attributes.Keys)
            {
                if (names.Length > 0)
                {
                    if (size + name.Length + 1 > names.Length)
                        return Errno.ERANGE;
                    Encoding.Latin1.GetBytes(name, names[size..]);
                    names[size + name.Length] = 0;
                }
                size += name.Length + 1;
            }
            return size;
        }
    }
}
