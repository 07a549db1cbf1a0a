using Moat.Kernel.Memory;
using Moat.Kernel.Sockets;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Making, naming, connecting and ending sockets (man 7 socket).</summary>
internal static class SocketSyscalls
{
    /// <summary>socket(2).</summary>
    [Syscall(41, "socket", Support.Full)]
    public static SysResult MakeSocket(Task task, int family, int type, int protocol)
    {
        Errno error = SocketOperations.Create(task, family, type, protocol, out Socket? socket);
        return error == Errno.OK ? AnonymousFiles.Install(task, socket!, (type & SocketType.SOCK_CLOEXEC) != 0) : error;
    }

    /// <summary>socketpair(2).</summary>
    [Syscall(53, "socketpair", Support.Full)]
    public static SysResult SocketPair(Task task, int family, int type, int protocol, UserPtr<ulong> fds)
    {
        Errno error = SocketOperations.CreatePair(task, family, type, protocol, out Socket? first, out Socket? second);
        return error == Errno.OK ? AnonymousFiles.InstallPair(task, first!, second!, (type & SocketType.SOCK_CLOEXEC) != 0, fds) : error;
    }

    /// <summary>bind(2).</summary>
    [Syscall(49, "bind", Support.Full)]
    public static SysResult Bind(Task task, Fd fd, UserPtr address, int length)
    {
        Errno error = Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        Span<byte> name = stackalloc byte[SocketMessage.NameSize];
        error = ReadName(task, address, length, ref name);
        if (error == Errno.OK)
            error = socket!.Bind(new Caller(task), name);
        socket!.DropReference();
        return error;
    }

    /// <summary>listen(2).</summary>
    [Syscall(50, "listen", Support.Full)]
    public static SysResult Listen(Task task, Fd fd, int backlog)
    {
        Errno error = Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        error = socket!.Listen(new Caller(task), backlog);
        socket.DropReference();
        return error;
    }

    /// <summary>accept(2).</summary>
    [Syscall(43, "accept", Support.Full)]
    public static SysResult Accept(Task task, Fd fd, UserPtr address, UserPtr<int> length) => Accept4(task, fd, address, length, 0);

    /// <summary>accept4(2): SOCK_NONBLOCK, SOCK_CLOEXEC; else EINVAL.</summary>
    [Syscall(288, "accept4", Support.Full)]
    public static SysResult Accept4(Task task, Fd fd, UserPtr address, UserPtr<int> length, int flags)
    {
        if ((flags & ~(SocketType.SOCK_NONBLOCK | SocketType.SOCK_CLOEXEC)) != 0)
            return Errno.EINVAL;
        Errno error = Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error == Errno.ENOTSOCK && !task.Files.HasRoom ? Errno.EMFILE : error;
        Socket? accepted = null;
        SysResult result = task.Files.HasRoom ? SocketIo.Accept(task, socket!, (OpenFlags)flags & OpenFlags.O_NONBLOCK, out accepted) : Errno.EMFILE;
        socket!.DropReference();
        if (result.IsError)
            return result;
        error = address.IsNull ? Errno.OK : WritePeerName(task.Mm, accepted!, address, length);
        if (error != Errno.OK)
        {
            accepted!.DropReference();
            return error;
        }
        return AnonymousFiles.Install(task, accepted!, (flags & SocketType.SOCK_CLOEXEC) != 0);
    }

    /// <summary>connect(2).</summary>
    [Syscall(42, "connect", Support.Full)]
    public static SysResult Connect(Task task, Fd fd, UserPtr address, int length)
    {
        Errno error = Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        Span<byte> name = stackalloc byte[SocketMessage.NameSize];
        error = ReadName(task, address, length, ref name);
        SysResult result = error == Errno.OK ? SocketIo.Connect(task, socket!, name) : error;
        socket!.DropReference();
        return result;
    }

    /// <summary>getsockname(2).</summary>
    [Syscall(51, "getsockname", Support.Full)]
    public static SysResult GetSockName(Task task, Fd fd, UserPtr address, UserPtr<int> length) => GetName(task, fd, address, length, peer: false);

    /// <summary>getpeername(2).</summary>
    [Syscall(52, "getpeername", Support.Full)]
    public static SysResult GetPeerName(Task task, Fd fd, UserPtr address, UserPtr<int> length) => GetName(task, fd, address, length, peer: true);

    /// <summary>shutdown(2).</summary>
    [Syscall(48, "shutdown", Support.Full)]
    public static SysResult Shutdown(Task task, Fd fd, int how)
    {
        Errno error = Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        error = (uint)how > ShutdownHow.SHUT_RDWR ? Errno.EINVAL : socket!.Shutdown(how);
        socket!.DropReference();
        return error;
    }

    private static SysResult GetName(Task task, Fd fd, UserPtr address, UserPtr<int> length, bool peer)
    {
        Errno error = Find(task, fd, out Socket? socket);
        if (error != Errno.OK)
            return error;
        Span<byte> name = stackalloc byte[SocketMessage.NameSize];
        error = peer ? socket!.GetPeerName(name, out int nameLength) : socket!.GetName(name, out nameLength);
        if (error == Errno.OK)
            error = WriteName(task.Mm, name[..nameLength], address, length);
        socket.DropReference();
        return error;
    }

    /// <summary>The socket behind a descriptor with a reference. EBADF, ENOTSOCK.</summary>
    internal static Errno Find(Task task, Fd fd, out Socket? socket)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        socket = file as Socket;
        if (socket is not null)
            return Errno.OK;
        bool isOpen = file is not null && (file.Flags & OpenFlags.O_PATH) == 0;
        file?.DropReference();
        return isOpen ? Errno.ENOTSOCK : Errno.EBADF;
    }

    /// <summary>Copies an address into <paramref name="name"/>, which becomes as long as it is. EINVAL, EFAULT.</summary>
    private static Errno ReadName(Task task, UserPtr address, int length, ref Span<byte> name)
    {
        if ((uint)length > SocketMessage.NameSize)
            return Errno.EINVAL;
        name = name[..length];
        return length == 0 ? Errno.OK : task.Mm.CopyIn(address, name);
    }

    /// <summary>Tells whom a connection comes from. ECONNABORTED: the peer is gone already, and its name with it. EINVAL, EFAULT.</summary>
    internal static Errno WritePeerName(MemoryManager mm, Socket accepted, UserPtr address, UserPtr<int> length)
    {
        Span<byte> name = stackalloc byte[SocketMessage.NameSize];
        return accepted.GetPeerName(name, out int nameLength) != Errno.OK ? Errno.ECONNABORTED : WriteName(mm, name[..nameLength], address, length);
    }

    /// <summary>Copies an address out, cut to the room there is, and its whole length. EINVAL, EFAULT.</summary>
    internal static Errno WriteName(MemoryManager mm, ReadOnlySpan<byte> name, UserPtr address, UserPtr<int> length)
    {
        Errno error = mm.Read(length, out int room);
        if (error == Errno.OK && room < 0)
            error = Errno.EINVAL;
        if (error == Errno.OK)
            error = mm.CopyOut(address, name[..Math.Min(room, name.Length)]);
        return error == Errno.OK ? mm.Write(length, name.Length) : error;
    }
}
