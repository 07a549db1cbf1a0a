using Moat.Kernel.Sockets;
using Moat.Kernel.Sockets.Netlink;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Ipc;

/// <summary>
/// What mq_notify(2) with SIGEV_THREAD sends to a netlink socket: bytes that mean something to the C library, the last of which says why they
/// come. Its room in the socket is held from the start, so that it always arrives.
/// </summary>
internal sealed class QueueCookie
{
    /// <summary>A message has come; the registration has ended without one.</summary>
    public const byte Woken = 1, Removed = 2;

    private const int Size = 32;

    private readonly NetlinkSocket _socket;
    private readonly byte[] _bytes;

    private QueueCookie(NetlinkSocket socket, byte[] bytes)
    {
        _socket = socket;
        _bytes = bytes;
    }

    /// <summary>
    /// Copies a cookie and takes its room in the socket, waiting for it. EFAULT; EBADF, ENOTSOCK, EINVAL (no netlink socket); ERESTARTSYS.
    /// </summary>
    public static Errno Take(Task task, int descriptor, UserPtr address, out QueueCookie? cookie)
    {
        cookie = null;
        byte[] bytes = new byte[Size];
        if (task.Mm.CopyIn(address, bytes) != Errno.OK)
            return Errno.EFAULT;
        if (task.Files.Get(descriptor) is not { } file)
            return Errno.EBADF;
        Errno error = file is Socket ? Errno.EINVAL : Errno.ENOTSOCK;
        if (file is NetlinkSocket socket)
        {
            error = WaitForRoom(task, socket);
            if (error == Errno.OK)
                cookie = new QueueCookie(socket, bytes);
        }
        file.DropReference();
        return error;
    }

    private static Errno WaitForRoom(Task task, NetlinkSocket socket)
    {
        using SocketWait wait = new(task, socket, PollEvents.POLLOUT, Task.Forever);
        while (!socket.TryHold(Size))
        {
            if (!wait.TryAgain(out Errno end))
                return end;
        }
        return Errno.OK;
    }

    /// <summary>Sends it; once.</summary>
    public void Send(byte why)
    {
        _bytes[^1] = why;
        _socket.Deliver(_bytes);
    }

    /// <summary>It is not sent: gives its room back.</summary>
    public void Drop() => _socket.Unhold(Size);
}
