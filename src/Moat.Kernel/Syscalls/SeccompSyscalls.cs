using System.Runtime.InteropServices;
using Moat.Kernel.Seccomp;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>seccomp(2), and what prctl(2) has of it.</summary>
internal static class SeccompSyscalls
{
    private const uint SECCOMP_SET_MODE_STRICT = 0, SECCOMP_SET_MODE_FILTER = 1, SECCOMP_GET_ACTION_AVAIL = 2;
    private const uint SECCOMP_FILTER_FLAG_TSYNC = 1, SECCOMP_FILTER_FLAG_LOG = 2, SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4,
        SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 16;

    /// <summary>struct sock_fprog.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 16)]
    private struct FilterArgument
    {
        [FieldOffset(0)]
        public ushort Length;

        [FieldOffset(8)]
        public ulong Address;
    }

    /// <summary>seccomp(2). What a filter logs goes nowhere: the kernel log is the host's.</summary>
    [Syscall(317, "seccomp", Support.Partial, Note = "no listeners: USER_NOTIF is ENOSYS, its flags are EINVAL")]
    public static SysResult Seccomp(Task task, uint operation, uint flags, UserPtr argument)
    {
        switch (operation)
        {
            case SECCOMP_SET_MODE_STRICT:
                return flags != 0 || !argument.IsNull ? Errno.EINVAL : task.SetStrict();
            case SECCOMP_SET_MODE_FILTER:
                return SetFilter(task, flags, argument);
            case SECCOMP_GET_ACTION_AVAIL:
                if (flags != 0)
                    return Errno.EINVAL;
                if (task.Mm.Read(new UserPtr<uint>(argument.Address), out uint action) != Errno.OK)
                    return Errno.EFAULT;
                return (FilterAction)action is FilterAction.SECCOMP_RET_KILL_PROCESS or FilterAction.SECCOMP_RET_KILL_THREAD
                    or FilterAction.SECCOMP_RET_TRAP or FilterAction.SECCOMP_RET_ERRNO or FilterAction.SECCOMP_RET_TRACE
                    or FilterAction.SECCOMP_RET_LOG or FilterAction.SECCOMP_RET_ALLOW ? 0 : Errno.EOPNOTSUPP;
            default:
                return Errno.EINVAL;
        }
    }

    /// <summary>PR_SET_SECCOMP.</summary>
    internal static SysResult SetMode(Task task, ulong mode, ulong argument) => mode switch
    {
        SeccompModes.SECCOMP_MODE_STRICT => task.SetStrict(),
        SeccompModes.SECCOMP_MODE_FILTER => SetFilter(task, 0, new UserPtr(argument)),
        _ => Errno.EINVAL,
    };

    private static SysResult SetFilter(Task task, uint flags, UserPtr address)
    {
        const uint Known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
        if ((flags & ~Known) != 0)
            return Errno.EINVAL;
        Errno error = task.Mm.Read(new UserPtr<FilterArgument>(address.Address), out FilterArgument argument);
        if (error != Errno.OK)
            return error;
        if (argument.Length is 0 or > FilterProgram.MaxInstructions)
            return Errno.EINVAL;
        if (!task.NoNewPrivileges && !task.Credentials.Has(Capability.CAP_SYS_ADMIN))
            return Errno.EACCES;
        if (argument.Address == 0)
            return Errno.EINVAL;
        FilterInstruction[] code = new FilterInstruction[argument.Length];
        error = task.Mm.CopyIn(new UserPtr(argument.Address), MemoryMarshal.AsBytes(code.AsSpan()));
        if (error != Errno.OK)
            return error;
        if (FilterProgram.Check(code) is not { } program)
            return Errno.EINVAL;
        SysResult result = task.AddFilter(program, (flags & SECCOMP_FILTER_FLAG_TSYNC) != 0);
        return result.Value > 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH) != 0 ? Errno.ESRCH : result;
    }
}
