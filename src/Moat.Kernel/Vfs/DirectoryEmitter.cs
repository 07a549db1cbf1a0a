using System.Buffers.Binary;
using System.Text;

namespace Moat.Kernel.Vfs;

/// <summary>
/// Writes directory entries in the form of getdents64(2), or with <paramref name="legacy"/> of getdents(2), into a buffer.
/// </summary>
internal ref struct DirectoryEmitter(Span<byte> buffer, bool legacy)
{
    private readonly Span<byte> _buffer = buffer;
    private readonly bool _legacy = legacy;

    /// <summary>Bytes written.</summary>
    public int Written { get; private set; }

    /// <summary>Bytes left.</summary>
    public readonly int Room => _buffer.Length - Written;

    /// <summary>An entry did not fit. With nothing written that is EINVAL.</summary>
    public bool IsFull { get; private set; }

    /// <summary>
    /// Adds an entry. <paramref name="next"/>: the position behind it (d_off). False: it does not fit, stop before it.
    /// </summary>
    public bool Emit(scoped ReadOnlySpan<char> name, ulong inode, byte type, long next)
    {
        int header = _legacy ? 18 : 19;
        int size = (header + name.Length + (_legacy ? 2 : 1) + 7) & ~7;
        if (size > _buffer.Length - Written)
        {
            IsFull = true;
            return false;
        }
        Span<byte> entry = _buffer.Slice(Written, size);
        BinaryPrimitives.WriteUInt64LittleEndian(entry, inode);
        BinaryPrimitives.WriteInt64LittleEndian(entry[8..], next);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[16..], (ushort)size);
        entry[18..].Clear();
        if (_legacy)
            entry[size - 1] = type;
        else
            entry[18] = type;
        Encoding.Latin1.GetBytes(name, entry[header..]);
        Written += size;
        return true;
    }

    /// <summary>Adds "." and ".." when the position is before them; entries of the directory itself begin at position 2.</summary>
    public bool EmitDots(VfsPath directory, ref long position)
    {
        if (position == 0)
        {
            if (!Emit(".", NumberOf(directory.Inode), DirentType.DT_DIR, 1))
                return false;
            position = 1;
        }
        if (position == 1)
        {
            Dentry parent = directory.Dentry == directory.Mount.Root
                ? directory.Mount.MountPoint?.Parent ?? directory.Dentry
                : directory.Dentry.Parent ?? directory.Dentry;
            if (!Emit("..", NumberOf(parent.Inode), DirentType.DT_DIR, 2))
                return false;
            position = 2;
        }
        return true;
    }

    private static ulong NumberOf(Inode inode) => inode.GetStat(out FileStat stat) == Errno.OK ? stat.Ino : 1;
}
