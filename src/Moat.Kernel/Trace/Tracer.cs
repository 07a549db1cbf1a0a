using System.Globalization;
using System.Text;
using Moat.Kernel.Syscalls;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Trace;

/// <summary>
/// The trace behind <c>--strace</c>: one line per system call in the form of strace(1), and lines for signals, ends, and
/// io_uring's entries. Off, it costs one branch.
/// </summary>
internal static partial class Tracer
{
    /// <summary>True while system calls are observed: traced, counted, or both. Set before the first guest runs.</summary>
    public static bool Active;

    private static readonly Lock s_lock = new();
    private static Stream? s_sink;

    [ThreadStatic]
    private static CallText? t_call;

    /// <summary>True while lines are written; what is expensive to format asks first.</summary>
    public static bool IsTracing => s_sink is not null;

    /// <summary>Starts tracing. <paramref name="sink"/>: gets each line with one write, and is not closed.</summary>
    public static void Start(Stream sink)
    {
        s_sink = sink;
        Active = true;
    }

    /// <summary>A call begins.</summary>
    public static void Enter(Task task, in SyscallArgs args)
    {
        if (s_sink is null)
            return;
        CallText call = t_call ??= new CallText();
        call.Begin(task, in args);
        // exit and exit_group do not come back.
        if ((uint)args.Number is 60 or 231)
            WriteLine(task, call.End(task, in args, null));
    }

    /// <summary>The call of this thread waits: shows what is known of it. Other lines may come before its end.</summary>
    public static void Unfinished(Task task)
    {
        if (s_sink is not null && t_call is { IsOpen: true, IsResumed: false } call)
            WriteLine(task, call.Interrupt());
    }

    /// <summary>A call ends with its result.</summary>
    public static void Leave(Task task, in SyscallArgs args, SysResult result)
    {
        if (s_sink is not null && t_call is { IsOpen: true } call)
            WriteLine(task, call.End(task, in args, result));
    }

    /// <summary>A signal is delivered: <c>--- SIGINT {…} ---</c>.</summary>
    public static void Signal(Task task, in SigInfo info)
    {
        if (s_sink is null)
            return;
        string name = SignalText.Name(info.Signo);
        bool fault = info.Code > 0 && info.Signo is 4 or 5 or 7 or 8 or 11;
        string rest = fault ? string.Create(CultureInfo.InvariantCulture, $"si_addr=0x{info.Address:x}")
            : string.Create(CultureInfo.InvariantCulture, $"si_pid={info.Pid}");
        WriteLine(task, string.Create(CultureInfo.InvariantCulture, $"--- {name} {{si_signo={name}, si_code={info.Code}, {rest}}} ---"));
    }

    /// <summary>A thread ends. <paramref name="status"/>: as wait4(2) has it.</summary>
    public static void Exit(Task task, int status)
    {
        if (s_sink is null)
            return;
        WriteLine(task, (status & 0x7f) != 0 ? $"+++ killed by {SignalText.Name(status & 0x7f)} +++"
            : string.Create(CultureInfo.InvariantCulture, $"+++ exited with {(status >> 8) & 0xff} +++"));
    }

    /// <summary>Any other line about a task; <paramref name="task"/> null: about none.</summary>
    public static void WriteLine(Task? task, string text)
    {
        Stream? sink = s_sink;
        if (sink is null)
            return;
        string who = task is null ? "[-]" : string.Create(CultureInfo.InvariantCulture, $"[{task.Group.Id}/{task.Tid}]");
        byte[] line = Encoding.UTF8.GetBytes(who + " " + text + "\n");
        lock (s_lock)
        {
            try
            {
                sink.Write(line);
            }
            catch (IOException)
            {
                s_sink = null; // Nobody reads the trace any more; the guest goes on.
            }
        }
    }
}
