using Moat.Kernel.Sockets;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Syscalls;

/// <summary>Sending and receiving (man 2 send, recv, sendmmsg, recvmmsg).</summary>
internal static class SocketMessageSyscalls
{
    private const uint UIO_MAXIOV = 1024;
    private const ulong MessageSize = 64, LengthAt = 56;

    /// <summary>sendto(2), and send(2) without an address.</summary>
    [Syscall(44, "sendto", Support.Full)]
    public static SysResult SendTo(Task task, Fd fd, UserPtr buffer, ulong length, MsgFlags flags, UserPtr address, int addressLength)
    {
        SocketMessage message = task.Message;
        message.Begin(task, flags);
        Errno error = message.SetRange(buffer, length);
        if (error != Errno.OK)
            return error;
        error = SocketSyscalls.Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        SysResult result = address.IsNull ? Errno.OK : message.SetName(address.Address, addressLength);
        if (!result.IsError)
            result = SocketIo.Send(task, socket!, message);
        socket!.DropReference();
        return result;
    }

    /// <summary>recvfrom(2), and recv(2) without an address.</summary>
    [Syscall(45, "recvfrom", Support.Full)]
    public static SysResult RecvFrom(Task task, Fd fd, UserPtr buffer, ulong length, MsgFlags flags, UserPtr address, UserPtr<int> addressLength)
    {
        SocketMessage message = task.Message;
        message.Begin(task, flags);
        Errno error = message.SetRange(buffer, length);
        if (error != Errno.OK)
            return error;
        error = SocketSyscalls.Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        SysResult result = SocketIo.Receive(task, socket!, message);
        if (!result.IsError && !address.IsNull)
        {
            error = SocketSyscalls.WriteName(task.Mm, message.NameBytes, address, addressLength);
            if (error != Errno.OK)
                result = error;
        }
        socket!.DropReference();
        return result;
    }

    /// <summary>sendmsg(2).</summary>
    [Syscall(46, "sendmsg", Support.Full)]
    public static SysResult SendMsg(Task task, Fd fd, UserPtr<MsgHdr> message, MsgFlags flags)
    {
        Errno error = SocketSyscalls.Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        SysResult result = SendOne(task, socket!, message, flags);
        socket!.DropReference();
        return result;
    }

    /// <summary>recvmsg(2).</summary>
    [Syscall(47, "recvmsg", Support.Full)]
    public static SysResult RecvMsg(Task task, Fd fd, UserPtr<MsgHdr> message, MsgFlags flags)
    {
        Errno error = SocketSyscalls.Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        SysResult result = ReceiveOne(task, socket!, message, flags);
        socket!.DropReference();
        return result;
    }

    /// <summary>sendmmsg(2): how many messages were sent; the error of the first one if none was.</summary>
    [Syscall(307, "sendmmsg", Support.Full)]
    public static SysResult SendMMsg(Task task, Fd fd, UserPtr<MMsgHdr> messages, uint count, MsgFlags flags)
    {
        Errno error = SocketSyscalls.Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        count = Math.Min(count, UIO_MAXIOV);
        SysResult result = 0;
        uint done = 0;
        while (done < count)
        {
            ulong at = messages.Address + (done * MessageSize);
            // More follow: protocols may put them together.
            result = SendOne(task, socket!, new UserPtr<MsgHdr>(at), done + 1 < count ? flags | MsgFlags.MSG_BATCH : flags);
            if (result.IsError)
                break;
            error = task.Mm.Write(new UserPtr<uint>(at + LengthAt), (uint)result.Value);
            if (error != Errno.OK)
            {
                result = error;
                break;
            }
            done++;
        }
        socket!.DropReference();
        return done > 0 ? done : result;
    }

    /// <summary>
    /// recvmmsg(2): how many messages were received. The time-out is looked at after each message only, and what is left of it is written
    /// back, as Linux does it.
    /// </summary>
    [Syscall(299, "recvmmsg", Support.Full)]
    public static SysResult RecvMMsg(Task task, Fd fd, UserPtr<MMsgHdr> messages, uint count, MsgFlags flags, UserPtr<Timespec> timeout)
    {
        Errno error = PollSyscalls.ReadDeadline(task, timeout, out long deadline);
        if (error != Errno.OK)
            return error;
        error = SocketSyscalls.Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        SysResult result = ReceiveMany(task, socket!, messages, Math.Min(count, UIO_MAXIOV), flags, deadline);
        socket!.DropReference();
        if (result.Value > 0 && !timeout.IsNull)
        {
            error = task.Mm.Write(timeout, HostClock.ToTimespec(Math.Max(0, HostClock.Add(deadline, -HostClock.Now))));
            if (error != Errno.OK)
                return error;
        }
        return result;
    }

    private static SysResult ReceiveMany(Task task, Socket socket, UserPtr<MMsgHdr> messages, uint count, MsgFlags flags, long deadline)
    {
        SysResult result = 0;
        uint done = 0;
        while (done < count)
        {
            ulong at = messages.Address + (done * MessageSize);
            result = ReceiveOne(task, socket, new UserPtr<MsgHdr>(at), flags & ~MsgFlags.MSG_WAITFORONE);
            if (result.IsError)
                break;
            Errno error = task.Mm.Write(new UserPtr<uint>(at + LengthAt), (uint)result.Value);
            if (error != Errno.OK)
            {
                result = error;
                break;
            }
            done++;
            if ((flags & MsgFlags.MSG_WAITFORONE) != 0)
                flags |= MsgFlags.MSG_DONTWAIT;
            if (deadline != Task.Forever && HostClock.Now >= deadline)
                break;
            if ((task.Message.ResultFlags & MsgFlags.MSG_OOB) != 0)
                break;
        }
        return done > 0 ? done : result;
    }

    private static SysResult SendOne(Task task, Socket socket, UserPtr<MsgHdr> address, MsgFlags flags)
    {
        SocketMessage message = task.Message;
        message.Begin(task, flags);
        Errno error = message.ReadForSend(address);
        return error == Errno.OK ? SocketIo.Send(task, socket, message) : error;
    }

    private static SysResult ReceiveOne(Task task, Socket socket, UserPtr<MsgHdr> address, MsgFlags flags)
    {
        SocketMessage message = task.Message;
        message.Begin(task, flags);
        Errno error = message.ReadForReceive(address);
        if (error != Errno.OK)
            return error;
        SysResult result = SocketIo.Receive(task, socket, message);
        if (result.IsError)
            return result;
        error = message.WriteBack(address);
        return error == Errno.OK ? result : error;
    }
}
