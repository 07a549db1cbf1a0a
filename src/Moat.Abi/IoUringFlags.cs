namespace Moat.Abi;

#pragma warning disable CS1591 // Linux's own names; io_uring_setup(2), io_uring_enter(2) and io_uring_register(2) describe each.

/// <summary>IORING_SETUP_*: io_uring_params.flags.</summary>
[Flags]
public enum IoUringSetup : uint
{
    None = 0,
    IOPOLL = 1u << 0,
    SQPOLL = 1u << 1,
    SQ_AFF = 1u << 2,
    CQSIZE = 1u << 3,
    CLAMP = 1u << 4,
    ATTACH_WQ = 1u << 5,
    R_DISABLED = 1u << 6,
    SUBMIT_ALL = 1u << 7,
    COOP_TASKRUN = 1u << 8,
    TASKRUN_FLAG = 1u << 9,
    SQE128 = 1u << 10,
    CQE32 = 1u << 11,
    SINGLE_ISSUER = 1u << 12,
    DEFER_TASKRUN = 1u << 13,
    NO_MMAP = 1u << 14,
    REGISTERED_FD_ONLY = 1u << 15,
    NO_SQARRAY = 1u << 16,
    HYBRID_IOPOLL = 1u << 17,
    CQE_MIXED = 1u << 18,
}

/// <summary>IORING_FEAT_*: io_uring_params.features.</summary>
[Flags]
public enum IoUringFeature : uint
{
    None = 0,
    SINGLE_MMAP = 1u << 0,
    NODROP = 1u << 1,
    SUBMIT_STABLE = 1u << 2,
    RW_CUR_POS = 1u << 3,
    CUR_PERSONALITY = 1u << 4,
    FAST_POLL = 1u << 5,
    POLL_32BITS = 1u << 6,
    SQPOLL_NONFIXED = 1u << 7,
    EXT_ARG = 1u << 8,
    NATIVE_WORKERS = 1u << 9,
    RSRC_TAGS = 1u << 10,
    CQE_SKIP = 1u << 11,
    LINKED_FILE = 1u << 12,
    REG_REG_RING = 1u << 13,
    RECVSEND_BUNDLE = 1u << 14,
    MIN_TIMEOUT = 1u << 15,
    RW_ATTR = 1u << 16,
    NO_IOWAIT = 1u << 17,
}

/// <summary>IORING_ENTER_*: flags of io_uring_enter(2).</summary>
[Flags]
public enum IoUringEnter : uint
{
    None = 0,
    GETEVENTS = 1u << 0,
    SQ_WAKEUP = 1u << 1,
    SQ_WAIT = 1u << 2,
    EXT_ARG = 1u << 3,
    REGISTERED_RING = 1u << 4,
    ABS_TIMER = 1u << 5,
    EXT_ARG_REG = 1u << 6,
    NO_IOWAIT = 1u << 7,
}

/// <summary>IOSQE_*: sqe.flags.</summary>
[Flags]
public enum SqeFlags : byte
{
    None = 0,
    FIXED_FILE = 1 << 0,
    IO_DRAIN = 1 << 1,
    IO_LINK = 1 << 2,
    IO_HARDLINK = 1 << 3,
    ASYNC = 1 << 4,
    BUFFER_SELECT = 1 << 5,
    CQE_SKIP_SUCCESS = 1 << 6,
}

/// <summary>IORING_CQE_F_*: cqe.flags; a buffer's id is in the upper 16 bits.</summary>
[Flags]
public enum CqeFlags : uint
{
    None = 0,
    BUFFER = 1u << 0,
    MORE = 1u << 1,
    SOCK_NONEMPTY = 1u << 2,
    NOTIF = 1u << 3,
    BUF_MORE = 1u << 4,
    SKIP = 1u << 5,
    CQE32 = 1u << 15,
    TSTAMP_HW = 1u << 16,
}

/// <summary>IORING_SQ_*: the kernel's flags word in the submission ring.</summary>
[Flags]
public enum SqRingFlags : uint
{
    None = 0,
    NEED_WAKEUP = 1u << 0,
    CQ_OVERFLOW = 1u << 1,
    TASKRUN = 1u << 2,
}

/// <summary>IORING_CQ_*: the program's flags word in the completion ring.</summary>
[Flags]
public enum CqRingFlags : uint
{
    None = 0,
    EVENTFD_DISABLED = 1u << 0,
}

/// <summary>IORING_TIMEOUT_* and IORING_LINK_TIMEOUT_*: sqe.timeout_flags.</summary>
[Flags]
public enum TimeoutFlags : uint
{
    None = 0,
    ABS = 1u << 0,
    UPDATE = 1u << 1,
    BOOTTIME = 1u << 2,
    REALTIME = 1u << 3,
    LINK_TIMEOUT_UPDATE = 1u << 4,
    ETIME_SUCCESS = 1u << 5,
    MULTISHOT = 1u << 6,
    CLOCK_MASK = BOOTTIME | REALTIME,
    UPDATE_MASK = UPDATE | LINK_TIMEOUT_UPDATE,
}

/// <summary>IORING_POLL_*: sqe.len of POLL_ADD and POLL_REMOVE.</summary>
[Flags]
public enum PollAddFlags : uint
{
    None = 0,
    ADD_MULTI = 1u << 0,
    UPDATE_EVENTS = 1u << 1,
    UPDATE_USER_DATA = 1u << 2,
    ADD_LEVEL = 1u << 3,
}

/// <summary>IORING_ASYNC_CANCEL_*: sqe.cancel_flags.</summary>
[Flags]
public enum CancelFlags : uint
{
    None = 0,
    ALL = 1u << 0,
    FD = 1u << 1,
    ANY = 1u << 2,
    FD_FIXED = 1u << 3,
    USERDATA = 1u << 4,
    OP = 1u << 5,
}

/// <summary>IORING_NOP_*: sqe.nop_flags.</summary>
[Flags]
public enum NopFlags : uint
{
    None = 0,
    INJECT_RESULT = 1u << 0,
    FILE = 1u << 1,
    FIXED_FILE = 1u << 2,
    FIXED_BUFFER = 1u << 3,
    TW = 1u << 4,
    CQE32 = 1u << 5,
}

/// <summary>Limits and magic numbers of io_uring.</summary>
public static class IoUringConst
{
    public const uint IORING_MAX_ENTRIES = 32768, IORING_MAX_CQ_ENTRIES = 65536;
    public const ulong IORING_OFF_SQ_RING = 0, IORING_OFF_CQ_RING = 0x8000000, IORING_OFF_SQES = 0x10000000,
        IORING_OFF_PBUF_RING = 0x80000000, IORING_OFF_MMAP_MASK = 0xf8000000;
    public const int IORING_OFF_PBUF_SHIFT = 16;
    public const ulong IORING_MAP_OFF_PARAM_REGION = 0x20000000;
    public const ushort IOU_PBUF_RING_MMAP = 1, IOU_PBUF_RING_INC = 2;
    public const int IORING_CQE_BUFFER_SHIFT = 16;
    public const int IORING_FSYNC_DATASYNC = 1;
    public const uint IORING_FILE_INDEX_ALLOC = ~0u;
    public const int IORING_REGISTER_FILES_SKIP = -2;
    public const uint IORING_RSRC_REGISTER_SPARSE = 1;
    public const ushort IO_URING_OP_SUPPORTED = 1;
    public const uint SPLICE_F_FD_IN_FIXED = 1u << 31;
    public const uint IORING_FIXED_FD_NO_CLOEXEC = 1;
    public const ulong IORING_MSG_DATA = 0, IORING_MSG_SEND_FD = 1;
    public const uint IORING_MSG_RING_CQE_SKIP = 1, IORING_MSG_RING_FLAGS_PASS = 2;
    public const int IORING_RINGFD_REG_MAX = 16;
}
#pragma warning restore CS1591
