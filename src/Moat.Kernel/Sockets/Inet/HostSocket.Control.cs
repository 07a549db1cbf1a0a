using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>
/// Control messages (man 3 cmsg, 7 ip, 7 socket): those that consist of values alone pass. Descriptors, process ids and
/// addresses never do.
/// </summary>
internal sealed partial class HostSocket
{
    private const int SOL_ICMPV6 = 58;

    private static readonly int s_headerSize = Unsafe.SizeOf<CmsgHdr>();

    /// <summary>Looks at all control messages of a send; <paramref name="hasForeign"/>: some must not reach the host. EINVAL, EPERM.</summary>
    private static Errno CheckControl(SocketMessage message, out bool hasForeign)
    {
        hasForeign = false;
        int at = 0;
        Errno error;
        while (message.NextControl(ref at, out CmsgHdr header, out _, out error))
        {
            error = CheckControl(message, in header, out bool foreign);
            if (error != Errno.OK)
                return error;
            hasForeign |= foreign;
        }
        return error;
    }

    private static Errno CheckControl(SocketMessage message, in CmsgHdr header, out bool foreign)
    {
        const int SCM_TXTIME = SocketOption.SO_TXTIME, SCM_TS_OPT_ID = 81;
        foreign = false;
        if (header.cmsg_level is SocketOption.SOL_IP or SocketOption.SOL_IPV6 or SocketOption.SOL_UDP or SocketOption.SOL_TCP)
            return Errno.OK;
        if (header.cmsg_level != SocketOption.SOL_SOCKET)
        {
            // The host skips what is not its protocol's; so is this skipped.
            foreign = true;
            return Errno.OK;
        }
        switch (header.cmsg_type)
        {
            case SocketOption.SO_TIMESTAMPING or SocketOption.SO_TIMESTAMPING_NEW or SCM_TXTIME or SCM_TS_OPT_ID or SocketOption.SO_PRIORITY:
                return Errno.OK;
            case SocketOption.SO_MARK:
                return message.Caller.Credentials.Has(Capability.CAP_NET_ADMIN) ? Errno.OK : Errno.EPERM;
            case ControlType.SCM_RIGHTS or ControlType.SCM_CREDENTIALS:
                // They mean something to AF_UNIX alone.
                foreign = true;
                return Errno.OK;
            default:
                return Errno.EINVAL;
        }
    }

    /// <summary>Copies what may pass. Returns the bytes; EINVAL when there is more than any program has use for.</summary>
    private static int KeepOwnControl(SocketMessage message, Span<byte> into, out Errno error)
    {
        int at = 0, used = 0, start = 0;
        while (message.NextControl(ref at, out CmsgHdr header, out _, out error))
        {
            int length = Math.Min((int)(header.cmsg_len + 7) & ~7, message.ControlUsed - start);
            CheckControl(message, in header, out bool foreign);
            if (!foreign)
            {
                if (used + length > into.Length)
                {
                    error = Errno.EINVAL;
                    return 0;
                }
                message.Control.Slice(start, length).CopyTo(into[used..]);
                used += length;
            }
            start = at;
        }
        return used;
    }

    /// <summary>Hands on the host's control messages that consist of values.</summary>
    private static void TranslateControl(SocketMessage message, ReadOnlySpan<byte> control)
    {
        while (control.Length >= s_headerSize)
        {
            CmsgHdr header = MemoryMarshal.Read<CmsgHdr>(control);
            if (header.cmsg_len < (ulong)s_headerSize || header.cmsg_len > (ulong)control.Length)
                return;
            if (IsValue(in header))
                message.PutControl(header.cmsg_level, header.cmsg_type, control[s_headerSize..(int)header.cmsg_len]);
            control = control[Math.Min((int)(header.cmsg_len + 7) & ~7, control.Length)..];
        }
    }

    private static bool IsValue(in CmsgHdr header)
    {
        const int SCM_TIMESTAMPING_OPT_STATS = 54, SCM_TIMESTAMPING_PKTINFO = 58;
        return header.cmsg_level switch
        {
            SocketOption.SOL_IP or SocketOption.SOL_IPV6 or SocketOption.SOL_UDP or SocketOption.SOL_TCP or SOL_ICMPV6 => true,
            SocketOption.SOL_SOCKET => header.cmsg_type is SocketOption.SO_TIMESTAMP or SocketOption.SO_TIMESTAMPNS or SocketOption.SO_TIMESTAMPING
                or SocketOption.SO_TIMESTAMP_NEW or SocketOption.SO_TIMESTAMPNS_NEW or SocketOption.SO_TIMESTAMPING_NEW
                or SocketOption.SO_RXQ_OVFL or SocketOption.SO_MARK or SocketOption.SO_PRIORITY or SocketOption.SO_WIFI_STATUS or SocketOption.SO_NOFCS
                or SCM_TIMESTAMPING_OPT_STATS or SCM_TIMESTAMPING_PKTINFO,
            _ => false,
        };
    }
}
