using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>Commands of membarrier(2), Linux names and values.</summary>
[Flags]
internal enum MembarrierCommand
{
    QUERY = 0,
    GLOBAL = 1,
    GLOBAL_EXPEDITED = 1 << 1,
    REGISTER_GLOBAL_EXPEDITED = 1 << 2,
    PRIVATE_EXPEDITED = 1 << 3,
    REGISTER_PRIVATE_EXPEDITED = 1 << 4,
    PRIVATE_EXPEDITED_SYNC_CORE = 1 << 5,
    REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 1 << 6,
    GET_REGISTRATIONS = 1 << 9,
}

/// <summary>membarrier(2).</summary>
internal static class BarrierSyscalls
{
    private const MembarrierCommand Known = MembarrierCommand.GLOBAL_EXPEDITED | MembarrierCommand.REGISTER_GLOBAL_EXPEDITED
        | MembarrierCommand.PRIVATE_EXPEDITED | MembarrierCommand.REGISTER_PRIVATE_EXPEDITED
        | MembarrierCommand.PRIVATE_EXPEDITED_SYNC_CORE | MembarrierCommand.REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
        | MembarrierCommand.GET_REGISTRATIONS;

    private static readonly MembarrierCommand s_all = Known | (HostSystem.HasGlobalBarrier ? MembarrierCommand.GLOBAL : 0);

    /// <summary>membarrier(2).</summary>
    [Syscall(324, "membarrier", Support.Full, Note = "without the commands of restartable sequences, as where those are not enabled")]
    public static SysResult MemBarrier(Task task, MembarrierCommand command, uint flags, int processor)
    {
        if (flags != 0)
            return Errno.EINVAL;
        MemoryManager mm = task.Mm;
        switch (command)
        {
            case MembarrierCommand.QUERY:
                return (int)s_all;
            case MembarrierCommand.GLOBAL when (s_all & command) != 0:
                return HostSystem.GlobalBarrier();
            case MembarrierCommand.GLOBAL_EXPEDITED:
                return OnAllRegistered(task.Sentry);
            case MembarrierCommand.PRIVATE_EXPEDITED:
                return mm.HasBarrier(MembarrierCommand.REGISTER_PRIVATE_EXPEDITED) ? mm.Barrier(core: false) : Errno.EPERM;
            case MembarrierCommand.PRIVATE_EXPEDITED_SYNC_CORE:
                return mm.HasBarrier(MembarrierCommand.REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) ? mm.Barrier(core: true) : Errno.EPERM;
            case MembarrierCommand.REGISTER_GLOBAL_EXPEDITED or MembarrierCommand.REGISTER_PRIVATE_EXPEDITED
                or MembarrierCommand.REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
                mm.RegisterBarrier(command);
                return 0;
            case MembarrierCommand.GET_REGISTRATIONS:
                return (int)mm.BarrierRegistrations;
            default:
                return Errno.EINVAL;
        }
    }

    private static SysResult OnAllRegistered(Sentry sentry)
    {
        foreach (ThreadGroup group in sentry.Tasks.GetGroups())
        {
            MemoryManager? mm = group.Leader.Mm;
            if (mm is null || !mm.HasBarrier(MembarrierCommand.REGISTER_GLOBAL_EXPEDITED) || !mm.TryAddUser())
                continue;
            mm.Barrier(core: false);
            mm.DropUser();
        }
        return 0;
    }
}
