using Moat.Kernel.Syscalls;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Trace;

/// <summary>
/// The trace behind <c>--strace</c>: one line per system call in the form of strace(1). Off, it costs one branch.
/// </summary>
internal static partial class Tracer
{
    /// <summary>True while tracing. Set before the first guest runs.</summary>
    public static bool Active;

    /// <summary>A call begins.</summary>
    public static void Enter(Task task, in SyscallArgs args)
    {
    }

    /// <summary>A call ends with its result.</summary>
    public static void Leave(Task task, in SyscallArgs args, SysResult result)
    {
    }
}
