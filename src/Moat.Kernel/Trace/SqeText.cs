using System.Globalization;
using System.Text;
using Moat.Kernel.IoUring;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.Trace;

/// <summary>
/// Writes a request as its operation reads it: <c>READ(fd=3, buf=0x7f…, len=4096, off=0)</c>. It only looks: what it cannot read it shows as an
/// address, and fields that the operation does not know it leaves out.
/// </summary>
internal static class SqeText
{
    private static readonly string[] s_advice = ["NORMAL", "RANDOM", "SEQUENTIAL", "WILLNEED", "DONTNEED", "NOREUSE"];
    private static readonly string[] s_shutdown = ["SHUT_RD", "SHUT_WR", "SHUT_RDWR"];
    private static readonly string[] s_epoll = ["0", "EPOLL_CTL_ADD", "EPOLL_CTL_DEL", "EPOLL_CTL_MOD"];
    private static readonly string[] s_waitTypes = ["P_ALL", "P_PID", "P_PGID", "P_PIDFD"];
    private static readonly string[] s_messages = ["IORING_MSG_DATA", "IORING_MSG_SEND_FD"];
    private static readonly string[] s_socketTypes = ["0", "SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_RDM", "SOCK_SEQPACKET"];

    private static readonly string[] s_futexSizes = ["FUTEX2_SIZE_U8", "FUTEX2_SIZE_U16", "FUTEX2_SIZE_U32", "FUTEX2_SIZE_U64"];

    private static readonly (uint Bit, string Name)[] s_splice =
    [
        (1, "SPLICE_F_MOVE"), (2, "SPLICE_F_NONBLOCK"), (4, "SPLICE_F_MORE"), (8, "SPLICE_F_GIFT"), (1u << 31, "SPLICE_F_FD_IN_FIXED"),
    ];

    private static readonly (uint Bit, string Name)[] s_syncRange =
        [(1, "SYNC_FILE_RANGE_WAIT_BEFORE"), (2, "SYNC_FILE_RANGE_WRITE"), (4, "SYNC_FILE_RANGE_WAIT_AFTER")];

    private static readonly (uint Bit, string Name)[] s_pipe = [(0x800, "O_NONBLOCK"), (0x4000, "O_DIRECT"), (0x80000, "O_CLOEXEC")];
    private static readonly (uint Bit, string Name)[] s_socket = [(0x800, "SOCK_NONBLOCK"), (0x80000, "SOCK_CLOEXEC")];
    private static readonly (uint Bit, string Name)[] s_messageRing = [(1, "IORING_MSG_RING_CQE_SKIP"), (2, "IORING_MSG_RING_FLAGS_PASS")];
    private static readonly (uint Bit, string Name)[] s_futex = [(4, "FUTEX2_NUMA"), (8, "FUTEX2_MPOL"), (128, "FUTEX2_PRIVATE")];

    /// <summary>Appends it, flags and user data included. <paramref name="mm"/>: where its paths and buffers are.</summary>
    public static void Append(StringBuilder text, MemoryManager mm, in IoUringSqe sqe)
    {
        text.Append(OperationTable.NameOf(sqe.opcode)).Append('(');
        Fields fields = new(text, mm);
        AppendFields(fields, in sqe);
        text.Append(')');
        fields = new Fields(text, mm, rest: true);
        fields.Flags<SqeFlags>("flags", sqe.flags);
        if ((sqe.flags & (byte)SqeFlags.BUFFER_SELECT) != 0)
            fields.Number("buf_group", sqe.buf_group);
        if (sqe.personality != 0)
            fields.Number("personality", sqe.personality);
        fields.Hex("user_data", sqe.user_data);
    }

    private static void AppendFields(Fields f, in IoUringSqe sqe)
    {
        switch ((IoUringOp)sqe.opcode)
        {
            case IoUringOp.NOP:
                if ((sqe.nop_flags & (uint)NopFlags.INJECT_RESULT) != 0)
                    f.Number("result", (int)sqe.len);
                f.Flags<NopFlags>("nop_flags", sqe.nop_flags);
                break;
            case IoUringOp.READV or IoUringOp.WRITEV or IoUringOp.READV_FIXED or IoUringOp.WRITEV_FIXED:
                f.Fd(in sqe).Address("iov", sqe.addr).Number("iovcnt", sqe.len).Offset("off", sqe.off).Flags<RwFlags>("rw_flags", sqe.rw_flags);
                AppendFixed(f, in sqe, (IoUringOp)sqe.opcode is IoUringOp.READV_FIXED or IoUringOp.WRITEV_FIXED);
                break;
            case IoUringOp.WRITE:
                f.Fd(in sqe).Buffer("buf", sqe.addr, sqe.len).Number("len", sqe.len).Offset("off", sqe.off).Flags<RwFlags>("rw_flags", sqe.rw_flags);
                break;
            case IoUringOp.READ or IoUringOp.READ_MULTISHOT or IoUringOp.READ_FIXED or IoUringOp.WRITE_FIXED:
                f.Fd(in sqe).Address("buf", sqe.addr).Number("len", sqe.len).Offset("off", sqe.off).Flags<RwFlags>("rw_flags", sqe.rw_flags);
                AppendFixed(f, in sqe, (IoUringOp)sqe.opcode is IoUringOp.READ_FIXED or IoUringOp.WRITE_FIXED);
                break;
            case IoUringOp.FSYNC:
                f.Fd(in sqe).Offset("off", sqe.off).Number("len", sqe.len);
                f.OneOf("fsync_flags", sqe.fsync_flags, ["0", "IORING_FSYNC_DATASYNC"]);
                break;
            case IoUringOp.SYNC_FILE_RANGE:
                f.Fd(in sqe).Offset("off", sqe.off).Number("len", sqe.len).Bits("sync_range_flags", sqe.sync_range_flags, s_syncRange);
                break;
            case IoUringOp.FALLOCATE:
                f.Fd(in sqe).Flags<FallocFlags>("mode", sqe.len, always: true).Offset("off", sqe.off).Number("len", (long)sqe.addr);
                break;
            case IoUringOp.FTRUNCATE:
                f.Fd(in sqe).Number("length", (long)sqe.off);
                break;
            case IoUringOp.FADVISE:
                f.Fd(in sqe).Offset("off", sqe.off).Number("len", sqe.addr != 0 ? (long)sqe.addr : sqe.len);
                f.OneOf("advice", sqe.fadvise_advice, s_advice, "POSIX_FADV_");
                break;
            case IoUringOp.MADVISE:
                f.Address("addr", sqe.addr).Number("length", sqe.off != 0 ? (long)sqe.off : sqe.len);
                f.OneOf("advice", sqe.fadvise_advice, s_advice[..^1], "MADV_");
                break;
            case IoUringOp.SPLICE or IoUringOp.TEE:
                f.Number("fd_in", sqe.splice_fd_in).Offset("off_in", sqe.splice_off_in).Fd(in sqe, "fd_out").Offset("off_out", sqe.off)
                    .Number("len", sqe.len).Bits("splice_flags", sqe.splice_flags, s_splice);
                break;
            case IoUringOp.POLL_ADD or IoUringOp.POLL_REMOVE or IoUringOp.TIMEOUT or IoUringOp.TIMEOUT_REMOVE or IoUringOp.LINK_TIMEOUT
                or IoUringOp.ASYNC_CANCEL or IoUringOp.EPOLL_CTL or IoUringOp.EPOLL_WAIT or IoUringOp.FUTEX_WAIT or IoUringOp.FUTEX_WAKE
                or IoUringOp.FUTEX_WAITV or IoUringOp.WAITID:
                AppendWait(f, in sqe);
                break;
            case IoUringOp.CLOSE or IoUringOp.FILES_UPDATE or IoUringOp.FIXED_FD_INSTALL or IoUringOp.PIPE or IoUringOp.PROVIDE_BUFFERS
                or IoUringOp.REMOVE_BUFFERS or IoUringOp.MSG_RING or IoUringOp.URING_CMD:
                AppendResource(f, in sqe);
                break;
            case IoUringOp.SENDMSG or IoUringOp.RECVMSG or IoUringOp.SENDMSG_ZC or IoUringOp.SEND or IoUringOp.SEND_ZC or IoUringOp.RECV
                or IoUringOp.RECV_ZC or IoUringOp.ACCEPT or IoUringOp.CONNECT or IoUringOp.BIND or IoUringOp.LISTEN or IoUringOp.SHUTDOWN
                or IoUringOp.SOCKET:
                AppendNetwork(f, in sqe);
                break;
            case < IoUringOp.LAST:
                AppendPath(f, in sqe);
                break;
            default:
                f.Number("fd", sqe.fd).Address("addr", sqe.addr).Number("len", sqe.len).Offset("off", sqe.off).Hex("rw_flags", sqe.rw_flags);
                break;
        }
    }

    private static void AppendWait(Fields f, in IoUringSqe sqe)
    {
        switch ((IoUringOp)sqe.opcode)
        {
            case IoUringOp.POLL_ADD:
                f.Fd(in sqe).Flags<PollEvents>("events", sqe.poll32_events, always: true).Flags<PollAddFlags>("flags", sqe.len);
                break;
            case IoUringOp.POLL_REMOVE:
                f.Hex("target", sqe.addr).Flags<PollAddFlags>("flags", sqe.len).Flags<PollEvents>("events", sqe.poll32_events).Hex("new_user_data", sqe.off);
                break;
            case IoUringOp.TIMEOUT or IoUringOp.LINK_TIMEOUT:
                f.Time("ts", sqe.addr).Number("count", (uint)sqe.off).Flags<TimeoutFlags>("timeout_flags", sqe.timeout_flags);
                break;
            case IoUringOp.TIMEOUT_REMOVE:
                f.Hex("target", sqe.addr).Time("ts", sqe.addr2).Flags<TimeoutFlags>("timeout_flags", sqe.timeout_flags);
                break;
            case IoUringOp.ASYNC_CANCEL:
                f.Hex("target", sqe.addr).Number("fd", sqe.fd);
                if ((sqe.cancel_flags & (uint)CancelFlags.OP) != 0)
                    f.Word("opcode", OperationTable.NameOf((byte)sqe.len));
                f.Flags<CancelFlags>("cancel_flags", sqe.cancel_flags);
                break;
            case IoUringOp.EPOLL_CTL:
                f.Number("epfd", sqe.fd).OneOf("op", sqe.len, s_epoll).Number("fd", (int)sqe.off).Address("event", sqe.addr);
                break;
            case IoUringOp.EPOLL_WAIT:
                f.Fd(in sqe, "epfd").Address("events", sqe.addr).Number("maxevents", sqe.len);
                break;
            case IoUringOp.FUTEX_WAITV:
                f.Address("waiters", sqe.addr).Number("nr", sqe.len);
                break;
            case IoUringOp.WAITID:
                f.OneOf("idtype", sqe.len, s_waitTypes).Number("id", sqe.fd).Address("infop", sqe.addr2).Flags<WaitOptions>("options", sqe.file_index);
                break;
            default:
                f.Address("uaddr", sqe.addr).Number("val", (long)sqe.addr2).Hex("mask", sqe.addr3)
                    .Bits("futex_flags", (uint)sqe.fd & ~3u, s_futex, s_futexSizes[sqe.fd & 3]);
                break;
        }
    }

    private static void AppendResource(Fields f, in IoUringSqe sqe)
    {
        switch ((IoUringOp)sqe.opcode)
        {
            case IoUringOp.CLOSE:
                if (sqe.file_index == 0)
                    f.Number("fd", sqe.fd);
                f.Slot(sqe.file_index);
                break;
            case IoUringOp.FILES_UPDATE:
                f.Address("fds", sqe.addr).Number("nr", sqe.len).Number("off", (long)sqe.off);
                break;
            case IoUringOp.FIXED_FD_INSTALL:
                f.Fd(in sqe).OneOf("install_fd_flags", sqe.install_fd_flags, ["0", "IORING_FIXED_FD_NO_CLOEXEC"]);
                break;
            case IoUringOp.PIPE:
                f.Address("fds", sqe.addr).Bits("pipe_flags", sqe.pipe_flags, s_pipe).Slot(sqe.file_index);
                break;
            case IoUringOp.PROVIDE_BUFFERS:
                f.Address("addr", sqe.addr).Number("len", sqe.len).Number("nr", sqe.fd).Number("bgid", sqe.buf_group).Number("bid", (long)sqe.off);
                break;
            case IoUringOp.REMOVE_BUFFERS:
                f.Number("nr", sqe.fd).Number("bgid", sqe.buf_group);
                break;
            case IoUringOp.MSG_RING:
                f.Fd(in sqe).OneOf("cmd", sqe.addr, s_messages).Number("res", (int)sqe.len).Hex("data", sqe.off).Bits("msg_ring_flags", sqe.msg_ring_flags, s_messageRing);
                break;
            default:
                f.Fd(in sqe).Flags<SocketUringOp>("cmd_op", sqe.cmd_op, always: true);
                if ((SocketUringOp)sqe.cmd_op is SocketUringOp.GETSOCKOPT or SocketUringOp.SETSOCKOPT)
                    f.Number("level", (int)sqe.addr).Number("optname", (int)(sqe.addr >> 32)).Address("optval", sqe.optval).Number("optlen", sqe.optlen);
                break;
        }
    }

    private static void AppendNetwork(Fields f, in IoUringSqe sqe)
    {
        const uint TypeMask = 0xf;
        switch ((IoUringOp)sqe.opcode)
        {
            case IoUringOp.SENDMSG or IoUringOp.RECVMSG or IoUringOp.SENDMSG_ZC:
                f.Fd(in sqe).Address("msg", sqe.addr).Flags<MsgFlags>("msg_flags", sqe.msg_flags).Flags<RecvSendFlags>("ioprio", sqe.ioprio);
                break;
            case IoUringOp.SEND or IoUringOp.SEND_ZC:
                const RecvSendFlags Elsewhere = RecvSendFlags.SEND_VECTORIZED | RecvSendFlags.FIXED_BUF;
                f.Fd(in sqe).Buffer("buf", sqe.addr, (sqe.ioprio & (ushort)Elsewhere) == 0 ? sqe.len : 0).Number("len", sqe.len)
                    .Flags<MsgFlags>("msg_flags", sqe.msg_flags).Flags<RecvSendFlags>("ioprio", sqe.ioprio);
                if (sqe.addr2 != 0)
                    f.Address("addr", sqe.addr2).Number("addr_len", sqe.addr_len);
                AppendFixed(f, in sqe, (sqe.ioprio & (ushort)RecvSendFlags.FIXED_BUF) != 0);
                break;
            case IoUringOp.RECV:
                f.Fd(in sqe).Address("buf", sqe.addr).Number("len", sqe.len).Flags<MsgFlags>("msg_flags", sqe.msg_flags).Flags<RecvSendFlags>("ioprio", sqe.ioprio);
                break;
            case IoUringOp.RECV_ZC:
                f.Fd(in sqe).Number("len", sqe.len).Number("zcrx_ifq_idx", sqe.file_index).Flags<RecvSendFlags>("ioprio", sqe.ioprio);
                break;
            case IoUringOp.ACCEPT:
                f.Fd(in sqe).Address("addr", sqe.addr).Address("addr_len", sqe.addr2).Bits("accept_flags", sqe.accept_flags, s_socket)
                    .Flags<AcceptFlags>("ioprio", sqe.ioprio).Slot(sqe.file_index);
                break;
            case IoUringOp.LISTEN:
                f.Fd(in sqe).Number("backlog", (int)sqe.len);
                break;
            case IoUringOp.SHUTDOWN:
                f.Fd(in sqe).OneOf("how", sqe.len, s_shutdown);
                break;
            case IoUringOp.SOCKET:
                f.Number("domain", sqe.fd).OneOf("type", sqe.off & TypeMask, s_socketTypes).Bits("type_flags", (uint)sqe.off & ~TypeMask, s_socket)
                    .Number("protocol", sqe.len).Slot(sqe.file_index);
                break;
            default:
                f.Fd(in sqe).Address("addr", sqe.addr).Number("addr_len", (long)sqe.addr2);
                break;
        }
    }

    private static void AppendPath(Fields f, in IoUringSqe sqe)
    {
        switch ((IoUringOp)sqe.opcode)
        {
            case IoUringOp.OPENAT:
                f.Directory("dfd", sqe.fd).String("path", sqe.addr).Flags<OpenFlags>("open_flags", sqe.open_flags, always: true).Octal("mode", sqe.len)
                    .Slot(sqe.file_index);
                break;
            case IoUringOp.OPENAT2:
                f.Directory("dfd", sqe.fd).String("path", sqe.addr).How("how", sqe.addr2).Number("size", sqe.len).Slot(sqe.file_index);
                break;
            case IoUringOp.STATX:
                f.Directory("dfd", sqe.fd).String("path", sqe.addr).Flags<AtFlags>("statx_flags", sqe.statx_flags).Hex("mask", sqe.len)
                    .Address("statxbuf", sqe.addr2);
                break;
            case IoUringOp.RENAMEAT:
                f.Directory("olddfd", sqe.fd).String("oldpath", sqe.addr).Directory("newdfd", (int)sqe.len).String("newpath", sqe.addr2)
                    .Flags<RenameFlags>("rename_flags", sqe.rename_flags);
                break;
            case IoUringOp.UNLINKAT:
                f.Directory("dfd", sqe.fd).String("path", sqe.addr).OneOf("unlink_flags", sqe.unlink_flags / (uint)AtFlags.AT_REMOVEDIR, ["0", "AT_REMOVEDIR"]);
                break;
            case IoUringOp.MKDIRAT:
                f.Directory("dfd", sqe.fd).String("path", sqe.addr).Octal("mode", sqe.len);
                break;
            case IoUringOp.SYMLINKAT:
                f.String("target", sqe.addr).Directory("newdfd", sqe.fd).String("linkpath", sqe.addr2);
                break;
            case IoUringOp.LINKAT:
                f.Directory("olddfd", sqe.fd).String("oldpath", sqe.addr).Directory("newdfd", (int)sqe.len).String("newpath", sqe.addr2)
                    .Flags<AtFlags>("hardlink_flags", sqe.hardlink_flags);
                break;
            default:
                // Extended attributes.
                if ((IoUringOp)sqe.opcode is IoUringOp.FSETXATTR or IoUringOp.FGETXATTR)
                    f.Fd(in sqe);
                else
                    f.String("path", sqe.addr3);
                f.String("name", sqe.addr).Address("value", sqe.addr2).Number("size", sqe.len).OneOf("xattr_flags", sqe.xattr_flags, ["0", "XATTR_CREATE", "XATTR_REPLACE"]);
                break;
        }
    }

    private static void AppendFixed(Fields f, in IoUringSqe sqe, bool isFixed)
    {
        if (isFixed)
            f.Number("buf_index", sqe.buf_index);
    }

    /// <summary>Fields one after the other; each returns this.</summary>
    private sealed class Fields(StringBuilder text, MemoryManager mm, bool rest = false)
    {
        private bool _any = rest;

        private StringBuilder Begin(string name)
        {
            text.Append(_any ? ", " : "").Append(name).Append('=');
            _any = true;
            return text;
        }

        public Fields Word(string name, string value)
        {
            Begin(name).Append(value);
            return this;
        }

        public Fields Number(string name, long value) => Word(name, value.ToString(CultureInfo.InvariantCulture));

        public Fields Hex(string name, ulong value) => Word(name, value == 0 ? "0" : string.Create(CultureInfo.InvariantCulture, $"0x{value:x}"));

        public Fields Octal(string name, uint value) => Word(name, "0" + Convert.ToString(value, 8));

        public Fields Offset(string name, ulong value) => Word(name, value == ulong.MaxValue ? "-1" : value.ToString(CultureInfo.InvariantCulture));

        /// <summary>A descriptor, or a place among the registered files.</summary>
        public Fields Fd(in IoUringSqe sqe, string name = "fd")
            => Word(name, string.Create(CultureInfo.InvariantCulture, $"{((sqe.flags & (byte)SqeFlags.FIXED_FILE) != 0 ? "fixed " : "")}{sqe.fd}"));

        public Fields Directory(string name, int fd) => fd == Syscalls.Fd.AT_FDCWD ? Word(name, "AT_FDCWD") : Number(name, fd);

        public Fields Address(string name, ulong value)
        {
            ArgumentText.AppendAddress(Begin(name), value);
            return this;
        }

        public Fields String(string name, ulong address)
        {
            ArgumentText.AppendString(Begin(name), mm, address);
            return this;
        }

        /// <summary>The beginning of what is to be written.</summary>
        public Fields Buffer(string name, ulong address, uint length)
        {
            if (length == 0)
                return Address(name, address);
            ArgumentText.AppendBuffer(Begin(name), mm, address, length);
            return this;
        }

        public Fields Time(string name, ulong address)
            => address != 0 && mm.Read(new UserPtr<Timespec>(address), out Timespec time) == Errno.OK
                ? Word(name, string.Create(CultureInfo.InvariantCulture, $"{{tv_sec={time.Seconds}, tv_nsec={time.Nanoseconds}}}")) : Address(name, address);

        public Fields How(string name, ulong address)
        {
            if (mm.Read(new UserPtr<OpenHow>(address), out OpenHow how) != Errno.OK)
                return Address(name, address);
            StringBuilder to = Begin(name).Append("{flags=");
            ArgumentText.AppendEnum(to, typeof(OpenFlags), how.Flags);
            to.Append(", mode=0").Append(Convert.ToString((long)how.Mode, 8)).Append(", resolve=");
            ArgumentText.AppendEnum(to, typeof(ResolveFlags), how.Resolve);
            to.Append('}');
            return this;
        }

        /// <summary>Names of flags; nothing when there are none, unless it is asked for.</summary>
        public Fields Flags<T>(string name, uint value, bool always = false)
            where T : struct, Enum
        {
            if (value != 0 || always)
                ArgumentText.AppendEnum(Begin(name), typeof(T), value);
            return this;
        }

        /// <summary>Named bits, behind a first word if there is one; nothing when there is none of either.</summary>
        public Fields Bits(string name, uint value, (uint Bit, string Name)[] names, string first = "")
        {
            List<string> words = first.Length == 0 ? [] : [first];
            foreach ((uint bit, string word) in names)
            {
                if ((value & bit) != 0)
                    words.Add(word);
                value &= ~bit;
            }
            if (value != 0)
                words.Add(string.Create(CultureInfo.InvariantCulture, $"0x{value:x}"));
            return words.Count == 0 ? this : Word(name, string.Join('|', words));
        }

        public Fields OneOf(string name, ulong value, string[] names, string prefix = "")
            => value < (ulong)names.Length ? Word(name, prefix + names[value]) : Hex(name, value);

        /// <summary>The place among registered files that something goes to.</summary>
        public Fields Slot(uint index) => index == 0 ? this : Word("file_index", index == IoUringConst.IORING_FILE_INDEX_ALLOC ? "IORING_FILE_INDEX_ALLOC"
            : (index - 1).ToString(CultureInfo.InvariantCulture));
    }
}
