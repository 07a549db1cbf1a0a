using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>AF_UNIX (man 7 unix): sockets inside the sandbox. The host's are not reached through it.</summary>
internal sealed class UnixFamily : SocketFamily
{
    public override Errno Create(Task task, int type, int protocol, OpenFlags flags, out Socket? socket)
    {
        Errno error = Make(task, type, protocol, flags, out UnixSocket? made);
        socket = made;
        return error;
    }

    public override Errno CreatePair(Task task, int type, int protocol, OpenFlags flags, out Socket? first, out Socket? second)
    {
        first = second = null;
        Errno error = Make(task, type, protocol, flags, out UnixSocket? one);
        if (error != Errno.OK)
            return error;
        error = Make(task, type, protocol, flags, out UnixSocket? two);
        if (error != Errno.OK)
        {
            one!.DropReference();
            return error;
        }
        UnixSocket.Pair(one!, two!, new UnixPeer(task));
        first = one;
        second = two;
        return Errno.OK;
    }

    private static Errno Make(Task task, int type, int protocol, OpenFlags flags, out UnixSocket? socket)
    {
        socket = null;
        if (protocol is not (0 or AddressFamily.AF_UNIX))
            return Errno.EPROTONOSUPPORT;
        switch (type)
        {
            case SocketType.SOCK_STREAM:
                socket = new UnixStream(task.Sentry, flags, task.Credentials);
                return Errno.OK;
            case SocketType.SOCK_SEQPACKET:
                socket = new UnixSeqPacket(task.Sentry, flags, task.Credentials);
                return Errno.OK;
            case SocketType.SOCK_DGRAM or SocketType.SOCK_RAW:
                socket = new UnixDatagram(task.Sentry, flags, task.Credentials);
                return Errno.OK;
            default:
                return Errno.ESOCKTNOSUPPORT;
        }
    }
}
