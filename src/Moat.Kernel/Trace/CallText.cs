using System.Globalization;
using System.Text;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Trace;

/// <summary>
/// The line of one system call while it runs. Arguments that the call reads are shown as they are at its begin, those that
/// it writes as they are at its end, like strace(1).
/// </summary>
internal sealed class CallText
{
    private readonly StringBuilder _text = new();
    private string _name = "";
    private SyscallDescriptor? _descriptor;
    private int _next;

    /// <summary>Between begin and end.</summary>
    public bool IsOpen { get; private set; }

    /// <summary>Its begin has been written as an unfinished line.</summary>
    public bool IsResumed { get; private set; }

    /// <summary>Starts the line: the name and the arguments up to the first that the call writes.</summary>
    public void Begin(Task task, in SyscallArgs args)
    {
        _descriptor = SyscallTable.Find((int)args.Number);
        _name = SyscallTable.NameOf((int)args.Number) ?? string.Create(CultureInfo.InvariantCulture, $"syscall_0x{(uint)args.Number:x}");
        _text.Clear().Append(_name).Append('(');
        IsOpen = true;
        IsResumed = false;
        _next = 0;
        AppendArguments(task.Mm, in args, null);
    }

    /// <summary>The unfinished line; the rest becomes the resumed one.</summary>
    public string Interrupt()
    {
        string line = _text.Append(" <unfinished ...>").ToString();
        _text.Clear().Append("<... ").Append(_name).Append(" resumed>");
        IsResumed = true;
        return line;
    }

    /// <summary>The whole line, or its rest. <paramref name="result"/>: null when the call does not return.</summary>
    public string End(Task task, in SyscallArgs args, SysResult? result)
    {
        AppendArguments(task.Mm, in args, result ?? SysResult.Ok);
        _text.Append(") = ");
        if (result is not { } r)
            _text.Append('?');
        else if (r == Task.RegistersAreSet)
            _text.Append(((long)task.Thread.Registers.Rax).ToString(CultureInfo.InvariantCulture));
        else if (r.Error >= Errno.ERESTARTSYS)
            _text.Append("? ").Append(r.Error.ToString()).Append(" (").Append(ErrnoText.Of(r.Error)).Append(')');
        else if (r.IsError)
            _text.Append("-1 ").Append(r.Error.ToString()).Append(" (").Append(ErrnoText.Of(r.Error)).Append(')');
        else if (_name is "mmap" or "mremap" or "brk" or "shmat")
            _text.Append(CultureInfo.InvariantCulture, $"0x{r.Value:x}");
        else
            _text.Append(r.Value.ToString(CultureInfo.InvariantCulture));
        IsOpen = false;
        return _text.ToString();
    }

    private void AppendArguments(MemoryManager mm, in SyscallArgs args, SysResult? result)
    {
        int count = _descriptor?.Parameters.Length ?? 6;
        for (; _next < count; _next++)
        {
            int lengthFrom = OutBuffer((int)args.Number, _next);
            if (lengthFrom != None && result is null)
                return;
            if (_next > 0)
                _text.Append(", ");
            ulong value = Register(in args, _next);
            if (lengthFrom != None)
                AppendOut(mm, lengthFrom, value, result!.Value);
            else if (InBuffer((int)args.Number, _next, in args) is { } length)
                ArgumentText.AppendBuffer(_text, mm, value, length);
            else if ((int)args.Number == 59 && _next == 1)
                ArgumentText.AppendStrings(_text, mm, value);
            else if (_descriptor is null)
                _text.Append(CultureInfo.InvariantCulture, $"0x{value:x}");
            else
                ArgumentText.Append(_text, mm, _descriptor.Parameters[_next], value);
        }
    }

    private const int None = 0, LengthIsResult = 1, PairOfDescriptors = 2, NulTerminated = 3;

    /// <summary>Which arguments calls write that are worth showing, by number and place.</summary>
    private static int OutBuffer(int number, int index) => (number, index) switch
    {
        (0 or 17 or 45, 1) or (318, 0) or (89, 1) or (267, 2) => LengthIsResult,
        (22 or 293, 0) or (53, 3) => PairOfDescriptors,
        (79, 0) => NulTerminated,
        _ => None,
    };

    /// <summary>The length of what write, pwrite64 and sendto read.</summary>
    private static ulong? InBuffer(int number, int index, in SyscallArgs args)
        => number is 1 or 18 or 44 && index == 1 ? args.A2 : null;

    private void AppendOut(MemoryManager mm, int form, ulong address, SysResult result)
    {
        if (result.IsError)
            ArgumentText.AppendAddress(_text, address);
        else if (form == PairOfDescriptors)
            ArgumentText.AppendPair(_text, mm, address);
        else
            ArgumentText.AppendBuffer(_text, mm, address, (ulong)Math.Max(result.Value - (form == NulTerminated ? 1 : 0), 0));
    }

    private static ulong Register(in SyscallArgs args, int index) => index switch
    {
        0 => args.A0,
        1 => args.A1,
        2 => args.A2,
        3 => args.A3,
        4 => args.A4,
        _ => args.A5,
    };
}
