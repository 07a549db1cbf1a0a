using Moat.Kernel.Sockets;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>How system calls wait on sockets: try, enter the queue, try again, sleep.</summary>
internal static class SocketIo
{
    private const PollEvents Readable = PollEvents.POLLIN | PollEvents.POLLRDNORM;
    private const PollEvents Writable = PollEvents.POLLOUT | PollEvents.POLLWRNORM;

    /// <summary>accept(2): zero and the new socket, or an error.</summary>
    public static SysResult Accept(Task task, Socket socket, OpenFlags flags, out Socket? accepted)
    {
        Caller caller = new(task);
        using SocketWait wait = new(task, socket, Readable, socket.ReceiveTimeout);
        while (true)
        {
            Errno error = socket.Accept(in caller, flags, out accepted);
            if (error != Errno.EAGAIN || socket.IsNonBlocking)
                return error;
            if (socket.AcceptsNoMore)
                return Errno.EINVAL;
            if (!wait.TryAgain(out Errno end))
                return end == Errno.OK ? error : end;
        }
    }

    /// <summary>connect(2).</summary>
    public static SysResult Connect(Task task, Socket socket, ReadOnlySpan<byte> name)
    {
        Caller caller = new(task);
        using SocketWait wait = new(task, socket, Writable, socket.SendTimeout);
        bool begun = false;
        while (true)
        {
            Errno error = begun ? socket.FinishConnect() : socket.Connect(in caller, name);
            if (error is not (Errno.EAGAIN or Errno.EINPROGRESS or Errno.EALREADY) || socket.IsNonBlocking)
                return error;
            begun |= error is Errno.EINPROGRESS or Errno.EALREADY;
            if (!wait.TryAgain(out Errno end))
                return end == Errno.OK ? error : end;
        }
    }

    /// <summary>Sends a message: of a stream all of it, unless nobody may wait.</summary>
    public static SysResult Send(Task task, Socket socket, SocketMessage message)
    {
        bool noWait = socket.IsNonBlocking || (message.Flags & MsgFlags.MSG_DONTWAIT) != 0;
        using SocketWait wait = new(task, socket, Writable, socket.SendTimeout);
        while (true)
        {
            SysResult result = message.TrySend(socket);
            if (!result.IsError)
            {
                message.Done += (ulong)result.Value;
                if (message.Done >= message.Length || !socket.IsStream || result.Value == 0)
                    return message.Done;
                continue;
            }
            if (result.Error == Errno.EAGAIN && !noWait)
            {
                if (wait.TryAgain(out Errno end))
                    continue;
                if (end != Errno.OK)
                    result = end;
            }
            if (message.Done > 0)
                return message.Done;
            if (result.Error == Errno.EPIPE && socket.RaisesSigpipe && (message.Flags & MsgFlags.MSG_NOSIGNAL) == 0)
                task.SendSigpipe();
            return result;
        }
    }

    /// <summary>Receives a message: with MSG_WAITALL of a stream all that was asked for.</summary>
    public static SysResult Receive(Task task, Socket socket, SocketMessage message)
    {
        // Errors and urgent data are there or not; nobody waits for them.
        const MsgFlags Never = MsgFlags.MSG_DONTWAIT | MsgFlags.MSG_ERRQUEUE | MsgFlags.MSG_OOB;
        bool noWait = socket.IsNonBlocking || (message.Flags & Never) != 0;
        using SocketWait wait = new(task, socket, Readable, socket.ReceiveTimeout);
        while (true)
        {
            SysResult result = message.TryReceive(socket);
            if (!result.IsError)
            {
                if (!socket.IsStream)
                    return result;
                message.Done += (ulong)result.Value;
                if (result.Value == 0 || message.Done >= GetTarget(socket, message) || message.IsComplete || noWait)
                    return message.Done;
                continue;
            }
            if (result.Error == Errno.EAGAIN && !noWait)
            {
                if (wait.TryAgain(out Errno end))
                    continue;
                if (end != Errno.OK)
                    result = end;
            }
            return message.Done > 0 ? message.Done : result;
        }
    }

    /// <summary>Bytes that a receive call waits for.</summary>
    private static ulong GetTarget(Socket socket, SocketMessage message)
        => (message.Flags & MsgFlags.MSG_WAITALL) != 0 ? message.Length : Math.Min((ulong)socket.ReceiveLowWater, message.Length);
}
