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
        text.Append(CultureInfo.InvariantCulture, $"io_uring {NumberOf(ring)}: SQE ");
        SqeText.Append(text, task.Mm, in sqe);
        Tracer.WriteLine(task, text.ToString());
    }

    public void Completed(Ring ring, ulong userData, int result, CqeFlags flags)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"io_uring {NumberOf(ring)}: CQE user_data=0x{userData:x} res={result}");
        if (result < 0)
            text.Append(CultureInfo.InvariantCulture, $" {(Errno)(-result)} ({ErrnoText.Of((Errno)(-result))})");
        const CqeFlags Known = (CqeFlags)((1u << IoUringConst.IORING_CQE_BUFFER_SHIFT) - 1);
        if ((flags & Known) != 0)
        {
            text.Append(" flags=");
            ArgumentText.AppendEnum(text, typeof(CqeFlags), (uint)(flags & Known));
        }
        if ((flags & CqeFlags.BUFFER) != 0)
            text.Append(CultureInfo.InvariantCulture, $" buffer={(uint)flags >> IoUringConst.IORING_CQE_BUFFER_SHIFT}");
        Tracer.WriteLine(null, text.ToString());
    }

    private object NumberOf(Ring ring) => _numbers.GetValue(ring, _ => Interlocked.Increment(ref _last));
}
