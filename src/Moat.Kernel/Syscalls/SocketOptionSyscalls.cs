using Moat.Kernel.Sockets;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Options of sockets (man 2 getsockopt).</summary>
internal static class SocketOptionSyscalls
{
    /// <summary>Most bytes of an option's value; a longer one is EINVAL, and more room is not used.</summary>
    private const int MaxValue = 65536;

    /// <summary>setsockopt(2).</summary>
    [Syscall(54, "setsockopt", Support.Full)]
    public static SysResult SetSockOpt(Task task, Fd fd, int level, int option, UserPtr value, int length)
    {
        if (length < 0)
            return Errno.EINVAL;
        Errno error = SocketSyscalls.Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        error = Set(task, new Caller(task), socket!, level, option, value, length);
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
        SysResult result = error != Errno.OK ? error : room < 0 ? Errno.EINVAL : 0;
        if (!result.IsError)
        {
            Span<byte> bytes = task.OptionBytes(Math.Min(room, MaxValue));
            result = socket!.GetOption(new Caller(task), level, option, bytes);
            if (!result.IsError)
            {
                error = task.Mm.CopyOut(value, bytes[..(int)result.Value]);
                if (error == Errno.OK)
                    error = task.Mm.Write(length, (int)result.Value);
                result = error;
            }
        }
        socket!.DropReference();
        return result;
    }

    private static Errno Set(Task task, in Caller caller, Socket socket, int level, int option, UserPtr value, int length)
    {
        if (length > MaxValue)
            return Errno.EINVAL;
        Span<byte> bytes = task.OptionBytes(length);
        Errno error = length == 0 ? Errno.OK : task.Mm.CopyIn(value, bytes);
        return error == Errno.OK ? socket.SetOption(in caller, level, option, bytes) : error;
    }
}
