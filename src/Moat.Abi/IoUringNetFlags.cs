namespace Moat.Abi;

#pragma warning disable CS1591 // Linux's own names; io_uring_enter(2) describes each.

/// <summary>IORING_RECVSEND_*, IORING_RECV_* and IORING_SEND_*: sqe.ioprio of the send and receive operations.</summary>
[Flags]
public enum RecvSendFlags : ushort
{
    None = 0,
    POLL_FIRST = 1 << 0,
    RECV_MULTISHOT = 1 << 1,
    FIXED_BUF = 1 << 2,
    ZC_REPORT_USAGE = 1 << 3,
    BUNDLE = 1 << 4,
    SEND_VECTORIZED = 1 << 5,
}

/// <summary>IORING_ACCEPT_*: sqe.ioprio of ACCEPT.</summary>
[Flags]
public enum AcceptFlags : ushort
{
    None = 0,
    MULTISHOT = 1 << 0,
    DONTWAIT = 1 << 1,
    POLL_FIRST = 1 << 2,
}

/// <summary>SOCKET_URING_OP_*: sqe.cmd_op of URING_CMD on a socket.</summary>
public enum SocketUringOp : uint
{
    SIOCINQ,
    SIOCOUTQ,
    GETSOCKOPT,
    SETSOCKOPT,
    TX_TIMESTAMP,
}

/// <summary>Numbers of the network family.</summary>
public static class IoUringNetConst
{
    /// <summary>cqe.res of a notification: the data were copied.</summary>
    public const uint IORING_NOTIF_USAGE_ZC_COPIED = 1u << 31;

    /// <summary>sqe.uring_cmd_flags: the buffer is a registered one.</summary>
    public const uint IORING_URING_CMD_FIXED = 1;
    public const uint IORING_URING_CMD_MULTISHOT = 2;

    /// <summary>cqe.flags of TX_TIMESTAMP: SCM_TSTAMP_* from this bit on.</summary>
    public const int IORING_TIMESTAMP_TYPE_SHIFT = 17;
}

/// <summary>struct io_uring_recvmsg_out: before name, control data and payload in the buffer of a multishot RECVMSG.</summary>
public struct IoUringRecvmsgOut
{
    public uint namelen;
    public uint controllen;
    public uint payloadlen;
    public uint flags;
}

#pragma warning restore CS1591
