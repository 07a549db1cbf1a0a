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

        Row(IoUringOp.NOP, new Nop(), OpFlags.IoPoll);
        Row(IoUringOp.TIMEOUT, new TimeoutOp(), OpFlags.None);
        Row(IoUringOp.TIMEOUT_REMOVE, new TimeoutRemove(), OpFlags.None);
        Row(IoUringOp.LINK_TIMEOUT, new LinkTimeout(), OpFlags.None);
        return table;
    }
}
