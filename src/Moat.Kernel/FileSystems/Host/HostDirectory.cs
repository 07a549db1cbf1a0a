using System.Buffers;
using System.Buffers.Binary;
using Moat.Host;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Host;

/// <summary>An open directory of the host; positions are the host file system's own.</summary>
internal sealed class HostDirectory(HostInode inode, HostHandle handle, OpenFlags flags) : DirectoryDescription(flags)
{
    public override SysResult Seek(long offset, int whence)
    {
        const int SEEK_CUR = 1;
        // The position lives here; the host's is set before each read.
        if (whence == SEEK_CUR)
            (offset, whence) = (Position + offset, 0);
        long result = HostFiles.Seek(handle.Fd, offset, whence);
        if (result >= 0)
            Position = result;
        return result;
    }

    public override Errno ReadDirectory(ref DirectoryEmitter into)
        => ReadHost(handle.Fd, ref Position, ref into);

    public override SysResult Sync(bool dataOnly) => inode.FileSystem.IsReadOnly ? 0 : HostFiles.Sync(handle.Fd, dataOnly);

    protected override void Release()
    {
        inode.Closed(handle);
        handle.DropReference();
    }

    /// <summary>Emits what the host lists from a position on.</summary>
    internal static Errno ReadHost(int fd, ref long position, ref DirectoryEmitter into)
    {
        long moved = HostFiles.Seek(fd, position, 0);
        if (moved < 0)
            return (Errno)(-moved);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(32768);
        Span<char> name = stackalloc char[256];
        Errno error = Errno.OK;
        for (bool more = true; more;)
        {
            int bytes = HostFiles.GetDents(fd, buffer.AsSpan(0, Math.Clamp(into.Room, 512, 32768)));
            if (bytes <= 0)
            {
                error = (Errno)(-bytes);
                break;
            }
            for (scoped ReadOnlySpan<byte> rest = buffer.AsSpan(0, bytes); rest.Length > 0 && more;)
            {
                HostEntry entry = HostEntry.Take(ref rest, name);
                more = into.Emit(entry.Name, entry.Inode, entry.Type, entry.Next);
                if (more)
                    position = entry.Next;
            }
        }
        ArrayPool<byte>.Shared.Return(buffer);
        return into.Written > 0 ? Errno.OK : error;
    }
}

/// <summary>One struct linux_dirent64.</summary>
internal readonly ref struct HostEntry
{
    public ReadOnlySpan<char> Name { get; private init; }

    public ulong Inode { get; private init; }

    public byte Type { get; private init; }

    public long Next { get; private init; }

    /// <summary>Takes the first entry off a buffer; its name goes to <paramref name="room"/>.</summary>
    public static HostEntry Take(ref ReadOnlySpan<byte> rest, Span<char> room)
    {
        int size = BinaryPrimitives.ReadUInt16LittleEndian(rest[16..]);
        ReadOnlySpan<byte> name = rest[19..size];
        name = name[..name.IndexOf((byte)0)];
        int length = System.Text.Encoding.Latin1.GetChars(name, room);
        HostEntry entry = new()
        {
            Inode = BinaryPrimitives.ReadUInt64LittleEndian(rest),
            Next = BinaryPrimitives.ReadInt64LittleEndian(rest[8..]),
            Type = rest[18],
            Name = room[..length],
        };
        rest = rest[size..];
        return entry;
    }
}
