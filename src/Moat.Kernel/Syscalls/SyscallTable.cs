using Moat.Kernel.Trace;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>How an argument register becomes a typed argument.</summary>
internal enum ParameterKind
{
    /// <summary>A descriptor number, 32 bits.</summary>
    Fd,

    /// <summary>A guest address; the type is what it points to, or <see cref="UserPtr"/>.</summary>
    Pointer,

    /// <summary>The guest address of a NUL-terminated path.</summary>
    Path,

    /// <summary>A signed integer, 32 or 64 bits.</summary>
    Signed,

    /// <summary>An unsigned integer, 32 or 64 bits.</summary>
    Unsigned,

    /// <summary>An enum: flags or a choice.</summary>
    Enumeration,
}

/// <summary>One argument of a system call.</summary>
internal sealed record SyscallParameter(string Name, ParameterKind Kind, Type Type);

/// <summary>One system call that Moat serves, as its <see cref="SyscallAttribute"/> declares it.</summary>
internal sealed record SyscallDescriptor(int Number, string Name, Support Support, string Note, SyscallParameter[] Parameters);

/// <summary>
/// The table of system calls. The generator makes the other half from the methods with <see cref="SyscallAttribute"/>:
/// <c>Dispatch(Task, in SyscallArgs)</c> serves one call, with one predictable branch for tracing.
/// </summary>
internal static partial class SyscallTable
{
    /// <summary>All calls that are served, in order of number.</summary>
    public static ReadOnlySpan<SyscallDescriptor> All => Descriptors.All;

    /// <summary>Highest number that Linux 6.18 has on x86-64.</summary>
    public static int LastKnown => Descriptors.Names.Length - 1;

    /// <summary>Linux's name of a number on x86-64, served or not; null when it has none.</summary>
    public static string? NameOf(long number)
        => (ulong)number < (ulong)Descriptors.Names.Length ? Descriptors.Names[number] : null;

    /// <summary>The descriptor of a number, or null: it is not served.</summary>
    public static SyscallDescriptor? Find(long number)
    {
        int low = 0, high = Descriptors.All.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            SyscallDescriptor found = Descriptors.All[middle];
            if (found.Number == number)
                return found;
            if (found.Number < number)
                low = middle + 1;
            else
                high = middle - 1;
        }
        return null;
    }

    /// <summary>Any other number, as Linux answers what it does not know.</summary>
    private static SysResult Unknown(Task task, in SyscallArgs args)
    {
        task.Sentry.ReportUnknownCall(task, (uint)args.Number, NameOf((uint)args.Number));
        return Errno.ENOSYS;
    }

    private static SysResult DispatchTraced(Task task, in SyscallArgs args)
    {
        Tracer.Enter(task, in args);
        (long Time, long Allocated) begin = CallStatistics.Begin();
        SysResult result = Serve(task, in args);
        CallStatistics.End(args.Number, begin, result);
        Tracer.Leave(task, in args, result);
        return result;
    }
}
