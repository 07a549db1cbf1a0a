using Moat.Kernel.Memory;
using Moat.Kernel.Sockets;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Options of sockets (man 2 getsockopt).</summary>
internal static class SocketOptionSyscalls
{
    /// <summary>Most bytes of an option's value; a longer one is EINVAL, and more room is not used.</summary>
    private const int MaxValue = 65536;

    [ThreadStatic]
    private static byte[]? s_bytes;

    /// <summary>setsockopt(2).</summary>
    [Syscall(54, "setsockopt", Support.Full)]
    public static SysResult SetSockOpt(Task task, Fd fd, int level, int option, UserPtr value, int length)
    {
        if (length < 0)
            return Errno.EINVAL;
        Errno error = SocketSyscalls.Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        error = Set(task.Mm, new Caller(task), socket!, level, option, value, length);
        socket!.DropReference();
        return error;
    }

    /// <summary>getsockopt(2).</summary>
    [Syscall(55, "getsockopt", Support.Full)]
    public static SysResult GetSockOpt(Task task, Fd fd, int level, int option, UserPtr value, UserPtr<int> length)
    {
        Errno error = SocketSyscalls.Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        error = task.Mm.Read(length, out int room);
        SysResult result = error == Errno.OK ? Get(task.Mm, new Caller(task), socket!, level, option, value, room) : error;
        socket!.DropReference();
        if (result.IsError)
            return result;
        return task.Mm.Write(length, (int)result.Value);
    }

    /// <summary>Copies an option's value out; <paramref name="room"/> as the guest gave it. Returns how long it is. EINVAL, EFAULT, and the socket's own.</summary>
    internal static SysResult Get(MemoryManager mm, in Caller caller, Socket socket, int level, int option, UserPtr value, int room)
    {
        if (room < 0)
            return Errno.EINVAL;
        Span<byte> bytes = Bytes(Math.Min(room, MaxValue));
        SysResult result = socket.GetOption(in caller, level, option, bytes);
        if (result.IsError)
            return result;
        Errno error = mm.CopyOut(value, bytes[..(int)result.Value]);
        return error == Errno.OK ? result : error;
    }

    /// <summary>Sets an option from the guest's value. EINVAL, EFAULT, and the socket's own.</summary>
    internal static Errno Set(MemoryManager mm, in Caller caller, Socket socket, int level, int option, UserPtr value, int length)
    {
        if (length is < 0 or > MaxValue)
            return Errno.EINVAL;
        Span<byte> bytes = Bytes(length);
        Errno error = length == 0 ? Errno.OK : mm.CopyIn(value, bytes);
        return error == Errno.OK ? socket.SetOption(in caller, level, option, bytes) : error;
    }

    /// <summary>This thread's room for a value, zeroed.</summary>
    private static Span<byte> Bytes(int length)
    {
        if (s_bytes is null || s_bytes.Length < length)
            s_bytes = new byte[Math.Max(256, (length + 255) & ~255)];
        Span<byte> bytes = s_bytes.AsSpan(0, length);
        bytes.Clear();
        return bytes;
    }
}
