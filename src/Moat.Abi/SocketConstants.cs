using System.Runtime.InteropServices;

namespace Moat.Abi;

#pragma warning disable CS1591 // Linux's own names.

/// <summary>Address families (include/linux/socket.h).</summary>
public static class AddressFamily
{
    public const int AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17, AF_VSOCK = 40, AF_MAX = 46;
}

/// <summary>Types of sockets and the flags that come with them (include/linux/net.h).</summary>
public static class SocketType
{
    public const int SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_RDM = 4, SOCK_SEQPACKET = 5, SOCK_DCCP = 6, SOCK_PACKET = 10, SOCK_MAX = 11;
    public const int SOCK_TYPE_MASK = 0xf, SOCK_NONBLOCK = (int)OpenFlags.O_NONBLOCK, SOCK_CLOEXEC = (int)OpenFlags.O_CLOEXEC;
}

/// <summary>Flags of the send and receive calls, and of msg_flags (include/linux/socket.h).</summary>
[Flags]
public enum MsgFlags : uint
{
    None = 0,
    MSG_OOB = 1,
    MSG_PEEK = 2,
    MSG_DONTROUTE = 4,
    MSG_CTRUNC = 8,
    MSG_PROBE = 0x10,
    MSG_TRUNC = 0x20,
    MSG_DONTWAIT = 0x40,
    MSG_EOR = 0x80,
    MSG_WAITALL = 0x100,
    MSG_FIN = 0x200,
    MSG_SYN = 0x400,
    MSG_CONFIRM = 0x800,
    MSG_RST = 0x1000,
    MSG_ERRQUEUE = 0x2000,
    MSG_NOSIGNAL = 0x4000,
    MSG_MORE = 0x8000,
    MSG_WAITFORONE = 0x10000,
    MSG_BATCH = 0x40000,
    MSG_ZEROCOPY = 0x4000000,
    MSG_FASTOPEN = 0x20000000,
    MSG_CMSG_CLOEXEC = 0x40000000,
    MSG_CMSG_COMPAT = 0x80000000,
}

/// <summary>What shutdown(2) ends.</summary>
public static class ShutdownHow
{
    public const int SHUT_RD = 0, SHUT_WR = 1, SHUT_RDWR = 2;
}

/// <summary>Option levels and the options of SOL_SOCKET (include/uapi/asm-generic/socket.h).</summary>
public static class SocketOption
{
    public const int SOL_IP = 0, SOL_SOCKET = 1, SOL_TCP = 6, SOL_UDP = 17, SOL_IPV6 = 41, SOL_NETLINK = 270;

    public const int SO_DEBUG = 1, SO_REUSEADDR = 2, SO_TYPE = 3, SO_ERROR = 4, SO_DONTROUTE = 5, SO_BROADCAST = 6, SO_SNDBUF = 7, SO_RCVBUF = 8,
        SO_KEEPALIVE = 9, SO_OOBINLINE = 10, SO_NO_CHECK = 11, SO_PRIORITY = 12, SO_LINGER = 13, SO_BSDCOMPAT = 14, SO_REUSEPORT = 15,
        SO_PASSCRED = 16, SO_PEERCRED = 17, SO_RCVLOWAT = 18, SO_SNDLOWAT = 19, SO_RCVTIMEO = 20, SO_SNDTIMEO = 21, SO_BINDTODEVICE = 25,
        SO_ATTACH_FILTER = 26, SO_DETACH_FILTER = 27, SO_PEERNAME = 28, SO_TIMESTAMP = 29, SO_ACCEPTCONN = 30, SO_PEERSEC = 31,
        SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_PASSSEC = 34, SO_TIMESTAMPNS = 35, SO_MARK = 36, SO_TIMESTAMPING = 37, SO_PROTOCOL = 38,
        SO_DOMAIN = 39, SO_RXQ_OVFL = 40, SO_WIFI_STATUS = 41, SO_PEEK_OFF = 42, SO_NOFCS = 43, SO_LOCK_FILTER = 44, SO_SELECT_ERR_QUEUE = 45,
        SO_BUSY_POLL = 46, SO_MAX_PACING_RATE = 47, SO_BPF_EXTENSIONS = 48, SO_INCOMING_CPU = 49, SO_ATTACH_BPF = 50, SO_MEMINFO = 55,
        SO_INCOMING_NAPI_ID = 56, SO_COOKIE = 57, SO_PEERGROUPS = 59, SO_ZEROCOPY = 60, SO_TXTIME = 61, SO_TIMESTAMP_NEW = 63,
        SO_TIMESTAMPNS_NEW = 64, SO_TIMESTAMPING_NEW = 65, SO_RCVTIMEO_NEW = 66, SO_SNDTIMEO_NEW = 67, SO_PREFER_BUSY_POLL = 69,
        SO_BUSY_POLL_BUDGET = 70, SO_NETNS_COOKIE = 71, SO_BUF_LOCK = 72, SO_RESERVE_MEM = 73, SO_TXREHASH = 74, SO_RCVMARK = 75,
        SO_PASSPIDFD = 76, SO_PEERPIDFD = 77, SO_RCVPRIORITY = 82, SO_PASSRIGHTS = 83, SO_INQ = 84;
}

/// <summary>Types of control messages of SOL_SOCKET (man 7 unix).</summary>
public static class ControlType
{
    public const int SCM_RIGHTS = 1, SCM_CREDENTIALS = 2, SCM_SECURITY = 3, SCM_PIDFD = 4;
}

/// <summary>ioctl(2) commands of all sockets (man 7 socket).</summary>
public static class SocketIoctl
{
    public const uint FIONREAD = 0x541B, TIOCOUTQ = 0x5411, SIOCINQ = FIONREAD, SIOCOUTQ = TIOCOUTQ, SIOCATMARK = 0x8905,
        FIOSETOWN = 0x8901, SIOCSPGRP = 0x8902, FIOGETOWN = 0x8903, SIOCGPGRP = 0x8904;
}

/// <summary>struct msghdr (include/linux/socket.h, struct user_msghdr).</summary>
[StructLayout(LayoutKind.Sequential, Size = 56)]
public struct MsgHdr
{
    public ulong msg_name;
    public int msg_namelen;
    private readonly int _pad;
    public ulong msg_iov;
    public ulong msg_iovlen;
    public ulong msg_control;
    public ulong msg_controllen;
    public uint msg_flags;
    private readonly int _pad2;
}

/// <summary>struct mmsghdr.</summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
public struct MMsgHdr
{
    public MsgHdr msg_hdr;
    public uint msg_len;
    private readonly int _pad;
}

/// <summary>struct cmsghdr: data follow at once, the next header at a multiple of eight bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 16)]
public struct CmsgHdr
{
    public ulong cmsg_len;
    public int cmsg_level;
    public int cmsg_type;
}

/// <summary>struct ucred (man 7 unix).</summary>
[StructLayout(LayoutKind.Sequential, Size = 12)]
public struct UCred
{
    public int pid;
    public uint uid;
    public uint gid;
}

/// <summary>struct linger (man 7 socket).</summary>
[StructLayout(LayoutKind.Sequential, Size = 8)]
public struct Linger
{
    public int l_onoff;
    public int l_linger;
}

#pragma warning restore CS1591
