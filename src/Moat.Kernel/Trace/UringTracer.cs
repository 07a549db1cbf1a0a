using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using Moat.Kernel.IoUring;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Trace;

/// <summary>One line per SQE as it is read, one per CQE as it becomes visible. Rings are numbered in order of use.</summary>
internal sealed class UringTracer : IUringTrace
{
    private readonly ConditionalWeakTable<Ring, object> _numbers = [];
    private int _last;

    public void Submitted(Task task, Ring ring, in IoUringSqe sqe)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"io_uring {NumberOf(ring)}: SQE {OperationTable.NameOf(sqe.opcode)} fd={sqe.fd}");
        text.Append(CultureInfo.InvariantCulture, $" addr=0x{sqe.addr:x} len={sqe.len} off={Offset(sqe.off)}");
        if (sqe.flags != 0)
        {
            text.Append(" flags=");
            ArgumentText.AppendEnum(text, typeof(SqeFlags), sqe.flags);
        }
        if (sqe.ioprio != 0)
            text.Append(CultureInfo.InvariantCulture, $" ioprio=0x{sqe.ioprio:x}");
        if (sqe.rw_flags != 0)
            text.Append(CultureInfo.InvariantCulture, $" op_flags=0x{sqe.rw_flags:x}");
        if (sqe.buf_index != 0)
            text.Append(CultureInfo.InvariantCulture, $" buf={sqe.buf_index}");
        text.Append(CultureInfo.InvariantCulture, $" user_data=0x{sqe.user_data:x}");
        Tracer.WriteLine(task, text.ToString());
    }

    public void Completed(Ring ring, ulong userData, int result, CqeFlags flags)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"io_uring {NumberOf(ring)}: CQE user_data=0x{userData:x} res={result}");
        if (result < 0)
            text.Append(CultureInfo.InvariantCulture, $" {(Errno)(-result)} ({ErrnoText.Of((Errno)(-result))})");
        if (flags != 0)
        {
            text.Append(" flags=");
            ArgumentText.AppendEnum(text, typeof(CqeFlags), (uint)flags);
        }
        Tracer.WriteLine(null, text.ToString());
    }

    private static string Offset(ulong offset)
        => offset == ulong.MaxValue ? "-1" : string.Create(CultureInfo.InvariantCulture, $"{offset}");

    private object NumberOf(Ring ring) => _numbers.GetValue(ring, _ => Interlocked.Increment(ref _last));
}
