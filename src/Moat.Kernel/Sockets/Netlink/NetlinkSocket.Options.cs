using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Netlink;

/// <summary>Options (man 7 netlink): those that change how the host answers pass to it.</summary>
internal sealed partial class NetlinkSocket
{
    private const int NETLINK_ADD_MEMBERSHIP = 1, NETLINK_DROP_MEMBERSHIP = 2, NETLINK_CAP_ACK = 10, NETLINK_GET_STRICT_CHK = 12;

    /// <summary>NETLINK_CAP_ACK: errors bring back the question's header alone.</summary>
    private bool _shortAcknowledgements;

    public override SysResult GetOption(in Caller caller, int level, int option, Span<byte> value)
    {
        if (level == SocketOption.SOL_NETLINK)
        {
            if (_host < 0 || option is < NETLINK_ADD_MEMBERSHIP or > NETLINK_GET_STRICT_CHK)
                return Errno.ENOPROTOOPT;
        }
        else if (level != SocketOption.SOL_SOCKET || _host < 0 || !IsPassed(option))
        {
            return base.GetOption(in caller, level, option, value);
        }
        int r = HostSockets.GetOption(_host, level, option, value, out int length);
        return r < 0 ? (Errno)(-r) : Math.Min(length, value.Length);
    }

    public override Errno SetOption(in Caller caller, int level, int option, ReadOnlySpan<byte> value)
    {
        if (level == SocketOption.SOL_NETLINK)
        {
            if (option is < NETLINK_ADD_MEMBERSHIP or > NETLINK_GET_STRICT_CHK)
                return Errno.ENOPROTOOPT;
            if (value.Length < sizeof(int))
                return Errno.EINVAL;
            int number = MemoryMarshal.Read<int>(value);
            // Nothing is sent to groups; to be in one is allowed.
            if (option is NETLINK_ADD_MEMBERSHIP or NETLINK_DROP_MEMBERSHIP)
                return number <= 0 ? Errno.EINVAL : Errno.OK;
            if (option == NETLINK_CAP_ACK)
                _shortAcknowledgements = number != 0;
        }
        else if (level != SocketOption.SOL_SOCKET || !IsPassed(option))
        {
            return base.SetOption(in caller, level, option, value);
        }
        return _host < 0 ? Errno.OK : (Errno)(-HostSockets.SetOption(_host, level, option, value));
    }

    /// <summary>Options of SOL_SOCKET that the host's part keeps.</summary>
    private static bool IsPassed(int option) => option is SocketOption.SO_SNDBUF or SocketOption.SO_RCVBUF or SocketOption.SO_ERROR
        or SocketOption.SO_REUSEADDR or SocketOption.SO_PASSCRED or SocketOption.SO_PASSSEC or SocketOption.SO_ACCEPTCONN;
}
