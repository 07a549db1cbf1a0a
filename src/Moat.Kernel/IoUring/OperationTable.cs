using Moat.Kernel.IoUring.Operations;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.IoUring;

/// <summary>
/// The operations by opcode: the only place to edit, besides the operation's own class, when one is added. What has no row is
/// unknown, as to a kernel of another time: EINVAL, and not in the probe.
/// </summary>
internal static class OperationTable
{
    /// <summary>Opcodes that 6.18 knows.</summary>
    public const int Count = (int)IoUringOp.LAST;

    /// <summary>By opcode; null where there is none.</summary>
    public static readonly Operation?[] Operations = Build();

    /// <summary>The highest opcode that has a row.</summary>
    public static readonly int Last = Array.FindLastIndex(Operations, o => o is not null);

    /// <summary>All rows, in order.</summary>
    public static IEnumerable<Operation> All => Operations.OfType<Operation>();

    /// <summary>Linux's name without IORING_OP_, or a number in angle brackets.</summary>
    public static string NameOf(byte opcode)
        => opcode < Count ? ((IoUringOp)opcode).ToString() : $"<{opcode}>";

    private static Operation?[] Build()
    {
        Operation?[] table = new Operation?[Count];

        void Row(IoUringOp op, Operation operation, OpFlags flags, Support support = Support.Full, string note = "")
        {
            if (table[(int)op] is not null)
                throw new InvalidOperationException($"io_uring operation {op} has two rows");
            if ((support == Support.Full) != (note.Length == 0))
                throw new InvalidOperationException($"io_uring operation {op}: a note belongs to partial support, and to that alone");
            if ((flags & (OpFlags.PollIn | OpFlags.PollOut)) != 0 && (flags & OpFlags.NeedsFile) == 0)
                throw new InvalidOperationException($"io_uring operation {op} polls without a file");
            table[(int)op] = operation.Bind(op, flags, support, note);
        }

        const OpFlags File = OpFlags.NeedsFile;
        const OpFlags Read = File | OpFlags.PollIn | OpFlags.IoPrio | OpFlags.IoPoll | OpFlags.UnboundNonRegular;
        const OpFlags Write = File | OpFlags.PollOut | OpFlags.IoPrio | OpFlags.IoPoll | OpFlags.UnboundNonRegular | OpFlags.HashRegular;

        Row(IoUringOp.NOP, new Nop(), OpFlags.IoPoll);
        Row(IoUringOp.READV, new ReadWriteVector(isWrite: false), Read | OpFlags.BufferSelect);
        Row(IoUringOp.WRITEV, new ReadWriteVector(isWrite: true), Write);
        Row(IoUringOp.FSYNC, new Fsync(), File | OpFlags.Worker);
        Row(IoUringOp.READ_FIXED, new ReadWriteFixed(isWrite: false), Read);
        Row(IoUringOp.WRITE_FIXED, new ReadWriteFixed(isWrite: true), Write);
        Row(IoUringOp.POLL_ADD, new PollAdd(), File | OpFlags.Locked);
        Row(IoUringOp.POLL_REMOVE, new PollRemove(), OpFlags.Locked);
        Row(IoUringOp.SYNC_FILE_RANGE, new SyncFileRange(), File | OpFlags.Worker);
        Row(IoUringOp.TIMEOUT, new TimeoutOp(), OpFlags.Locked);
        Row(IoUringOp.TIMEOUT_REMOVE, new TimeoutRemove(), OpFlags.Locked);
        Row(IoUringOp.ASYNC_CANCEL, new AsyncCancel(), OpFlags.Locked);
        Row(IoUringOp.LINK_TIMEOUT, new LinkTimeout(), OpFlags.Locked);
        Row(IoUringOp.FALLOCATE, new Fallocate(), File | OpFlags.HashRegular | OpFlags.Worker);
        Row(IoUringOp.OPENAT, new OpenAt(withHow: false), OpFlags.None);
        Row(IoUringOp.CLOSE, new Close(), OpFlags.Locked);
        Row(IoUringOp.FILES_UPDATE, new FilesUpdate(), OpFlags.Locked | OpFlags.IoPoll);
        Row(IoUringOp.STATX, new StatxAt(), OpFlags.Worker);
        Row(IoUringOp.READ, new ReadWrite(isWrite: false), Read | OpFlags.BufferSelect);
        Row(IoUringOp.WRITE, new ReadWrite(isWrite: true), Write);
        Row(IoUringOp.FADVISE, new Fadvise(), File);
        Row(IoUringOp.MADVISE, new Madvise(), OpFlags.Worker);
        Row(IoUringOp.OPENAT2, new OpenAt(withHow: true), OpFlags.None);
        Row(IoUringOp.EPOLL_CTL, new EpollCtl(), OpFlags.None);
        Row(IoUringOp.SPLICE, new SpliceOp(isTee: false), File | OpFlags.HashRegular | OpFlags.UnboundNonRegular | OpFlags.Worker);
        Row(IoUringOp.PROVIDE_BUFFERS, new ProvideBuffers(), OpFlags.Locked | OpFlags.IoPoll);
        Row(IoUringOp.REMOVE_BUFFERS, new RemoveBuffers(), OpFlags.Locked | OpFlags.IoPoll);
        Row(IoUringOp.TEE, new SpliceOp(isTee: true), File | OpFlags.HashRegular | OpFlags.UnboundNonRegular | OpFlags.Worker);
        Row(IoUringOp.RENAMEAT, new RenameAt(), OpFlags.Worker);
        Row(IoUringOp.UNLINKAT, new UnlinkAt(), OpFlags.Worker);
        Row(IoUringOp.MKDIRAT, new MkdirAt(), OpFlags.Worker);
        Row(IoUringOp.SYMLINKAT, new SymlinkAt(), OpFlags.Worker);
        Row(IoUringOp.LINKAT, new LinkAt(), OpFlags.Worker);
        Row(IoUringOp.FSETXATTR, new Xattr(isSet: true, byPath: false), File | OpFlags.Worker);
        Row(IoUringOp.SETXATTR, new Xattr(isSet: true, byPath: true), OpFlags.Worker);
        Row(IoUringOp.FGETXATTR, new Xattr(isSet: false, byPath: false), File | OpFlags.Worker);
        Row(IoUringOp.GETXATTR, new Xattr(isSet: false, byPath: true), OpFlags.Worker);
        Row(IoUringOp.WAITID, new WaitId(), OpFlags.Locked);
        Row(IoUringOp.FUTEX_WAIT, new FutexWait(), OpFlags.Locked);
        Row(IoUringOp.FUTEX_WAKE, new FutexWake(), OpFlags.None);
        Row(IoUringOp.FUTEX_WAITV, new FutexWaitVector(), OpFlags.Locked);
        Row(IoUringOp.FTRUNCATE, new Ftruncate(), File | OpFlags.HashRegular | OpFlags.Worker);
        Row(IoUringOp.EPOLL_WAIT, new EpollWait(), File | OpFlags.PollIn);
        Row(IoUringOp.READV_FIXED, new ReadWriteVectorFixed(isWrite: false), Read);
        Row(IoUringOp.WRITEV_FIXED, new ReadWriteVectorFixed(isWrite: true), Write);
        Row(IoUringOp.PIPE, new MakePipe(), OpFlags.Locked);
        Row(IoUringOp.MSG_RING, new MsgRing(), File | OpFlags.IoPoll);
        Row(IoUringOp.FIXED_FD_INSTALL, new FixedFdInstall(), File);
        const OpFlags Send = File | OpFlags.PollOut | OpFlags.IoPrio | OpFlags.UnboundNonRegular;
        const OpFlags Receive = File | OpFlags.PollIn | OpFlags.IoPrio | OpFlags.BufferSelect | OpFlags.UnboundNonRegular;

        Row(IoUringOp.SENDMSG, new SendMsg(), Send);
        Row(IoUringOp.RECVMSG, new RecvMsg(), Receive);
        Row(IoUringOp.ACCEPT, new Accept(), File | OpFlags.PollIn | OpFlags.PollExclusive | OpFlags.IoPrio | OpFlags.UnboundNonRegular);
        Row(IoUringOp.CONNECT, new Connect(), File | OpFlags.PollOut | OpFlags.UnboundNonRegular);
        Row(IoUringOp.SEND, new Send(), Send | OpFlags.BufferSelect);
        Row(IoUringOp.RECV, new Recv(), Receive);
        Row(IoUringOp.SHUTDOWN, new Shutdown(), File | OpFlags.Worker);
        Row(IoUringOp.SOCKET, new SocketOp(), OpFlags.None);
        Row(IoUringOp.URING_CMD, new UringCmd(), File | OpFlags.BufferSelect | OpFlags.IoPoll, Support.Partial, "commands of sockets; no devices");
        Row(IoUringOp.SEND_ZC, new SendZc(isMessage: false), Send);
        Row(IoUringOp.SENDMSG_ZC, new SendZc(isMessage: true), Send);
        Row(IoUringOp.BIND, new Bind(), File | OpFlags.Worker);
        Row(IoUringOp.LISTEN, new Listen(), File);
        Row(IoUringOp.RECV_ZC, new RecvZc(), Receive & ~OpFlags.BufferSelect, Support.Partial, "EINVAL: no queue of a device is the guest's");
        Row(IoUringOp.READ_MULTISHOT, new ReadMultishot(), File | OpFlags.PollIn | OpFlags.BufferSelect);
        return table;
    }
}
