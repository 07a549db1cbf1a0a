namespace Moat.Kernel.Trace;

/// <summary>Linux's whole names of io_uring's flags, whose prefixes the enumerations leave out.</summary>
internal static class UringNames
{
    private static readonly Dictionary<Type, string> s_prefixes = new()
    {
        [typeof(IoUringSetup)] = "IORING_SETUP_",
        [typeof(IoUringFeature)] = "IORING_FEAT_",
        [typeof(IoUringEnter)] = "IORING_ENTER_",
        [typeof(IoUringRegisterOp)] = "IORING_",
        [typeof(SqeFlags)] = "IOSQE_",
        [typeof(CqeFlags)] = "IORING_CQE_F_",
        [typeof(TimeoutFlags)] = "IORING_TIMEOUT_",
        [typeof(PollAddFlags)] = "IORING_POLL_",
        [typeof(CancelFlags)] = "IORING_ASYNC_CANCEL_",
        [typeof(NopFlags)] = "IORING_NOP_",
        [typeof(AcceptFlags)] = "IORING_ACCEPT_",
        [typeof(RecvSendFlags)] = "IORING_RECVSEND_",
        [typeof(SocketUringOp)] = "SOCKET_URING_OP_",
    };

    /// <summary>The whole name of a member of any enumeration.</summary>
    public static string Whole(Type type, string name) => !s_prefixes.TryGetValue(type, out string? prefix) ? name : name switch
    {
        "LINK_TIMEOUT_UPDATE" or "RECV_MULTISHOT" or "SEND_VECTORIZED" => "IORING_" + name,
        "ZC_REPORT_USAGE" => "IORING_SEND_" + name,
        _ => prefix + name,
    };
}
