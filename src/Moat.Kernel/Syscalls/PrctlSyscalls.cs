using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>prctl(2).</summary>
internal static class PrctlSyscalls
{
    private const int PR_SET_PDEATHSIG = 1, PR_GET_PDEATHSIG = 2, PR_GET_DUMPABLE = 3, PR_SET_DUMPABLE = 4, PR_GET_KEEPCAPS = 7,
        PR_SET_KEEPCAPS = 8, PR_GET_TIMING = 13, PR_SET_TIMING = 14, PR_SET_NAME = 15, PR_GET_NAME = 16, PR_GET_SECCOMP = 21, PR_SET_SECCOMP = 22,
        PR_CAPBSET_READ = 23, PR_CAPBSET_DROP = 24, PR_GET_TSC = 25, PR_SET_TSC = 26, PR_GET_SECUREBITS = 27, PR_SET_SECUREBITS = 28,
        PR_SET_TIMERSLACK = 29, PR_GET_TIMERSLACK = 30, PR_TASK_PERF_EVENTS_DISABLE = 31, PR_TASK_PERF_EVENTS_ENABLE = 32,
        PR_MCE_KILL = 33, PR_MCE_KILL_GET = 34, PR_SET_MM = 35, PR_SET_CHILD_SUBREAPER = 36, PR_GET_CHILD_SUBREAPER = 37,
        PR_SET_NO_NEW_PRIVS = 38, PR_GET_NO_NEW_PRIVS = 39, PR_GET_TID_ADDRESS = 40, PR_SET_THP_DISABLE = 41, PR_GET_THP_DISABLE = 42,
        PR_CAP_AMBIENT = 47, PR_GET_IO_FLUSHER = 58, PR_SET_IO_FLUSHER = 57, PR_SET_VMA = 0x53564d41;

    private const int CAP_LAST_CAP = (int)Capability.CAP_LAST_CAP;

    /// <summary>prctl(2). Arguments beyond those an option takes have to be zero where Linux checks them.</summary>
    [Syscall(157, "prctl", Support.Partial, Note = "the process attributes that programs set; others EINVAL, as without their kernel options")]
    public static SysResult Prctl(Task task, int option, ulong a2, ulong a3, ulong a4, ulong a5)
    {
        ThreadGroup group = task.Group;
        switch (option)
        {
            case PR_SET_PDEATHSIG:
                if (a2 > 64)
                    return Errno.EINVAL;
                task.ParentDeathSignal = (int)a2;
                return 0;
            case PR_GET_PDEATHSIG:
                return task.Mm.Write(new UserPtr<int>(a2), task.ParentDeathSignal);
            case PR_GET_DUMPABLE:
                return group.Dumpable;
            case PR_SET_DUMPABLE:
                if (a2 > 1)
                    return Errno.EINVAL;
                group.Dumpable = (int)a2;
                return 0;
            case PR_GET_KEEPCAPS:
                return (task.Credentials.SecureBits & SecureBits.SECBIT_KEEP_CAPS) != 0 ? 1 : 0;
            case PR_SET_KEEPCAPS:
                if (a2 > 1)
                    return Errno.EINVAL;
                return SetKeepCapabilities(task, a2 == 1);
            case PR_GET_TIMING:
                return 0;
            case PR_SET_TIMING:
                return a2 == 0 ? 0 : Errno.EINVAL;
            case PR_SET_NAME:
                return SetName(task, new UserPtr(a2));
            case PR_GET_NAME:
                return task.Mm.CopyOut(new UserPtr(a2), task.Name);
            case PR_GET_SECCOMP:
                return task.SeccompMode;
            case PR_SET_SECCOMP:
                return SeccompSyscalls.SetMode(task, a2, a3);
            case PR_CAPBSET_READ:
                return a2 > CAP_LAST_CAP ? Errno.EINVAL : (long)(task.Credentials.Bounding >> (int)a2) & 1;
            case PR_CAPBSET_DROP:
                return DropBounding(task, a2);
            case PR_GET_TSC:
                return task.Mm.Write(new UserPtr<int>(a2), 1);
            case PR_SET_TSC:
                return a2 == 1 ? 0 : Errno.EINVAL;
            case PR_GET_SECUREBITS:
                return (long)task.Credentials.SecureBits;
            case PR_SET_SECUREBITS:
                return SetSecureBits(task, a2);
            case PR_SET_TIMERSLACK:
                task.TimerSlack = a2 == 0 ? 50_000 : a2;
                return 0;
            case PR_GET_TIMERSLACK:
                return Math.Min(task.TimerSlack, long.MaxValue);
            case PR_TASK_PERF_EVENTS_DISABLE or PR_TASK_PERF_EVENTS_ENABLE:
                return 0;
            case PR_MCE_KILL:
                return (a4 | a5) != 0 || a2 > 1 || (a2 == 0 && a3 != 0) || (a2 == 1 && a3 > 2) ? Errno.EINVAL : 0;
            case PR_MCE_KILL_GET:
                return (a2 | a3 | a4 | a5) != 0 ? Errno.EINVAL : 2;
            case PR_SET_MM or PR_SET_IO_FLUSHER or PR_GET_IO_FLUSHER:
                return Errno.EPERM;
            case PR_SET_CHILD_SUBREAPER:
                group.IsChildSubreaper = a2 != 0;
                return 0;
            case PR_GET_CHILD_SUBREAPER:
                return task.Mm.Write(new UserPtr<int>(a2), group.IsChildSubreaper ? 1 : 0);
            case PR_SET_NO_NEW_PRIVS:
                if (a2 != 1 || (a3 | a4 | a5) != 0)
                    return Errno.EINVAL;
                task.NoNewPrivileges = true;
                return 0;
            case PR_GET_NO_NEW_PRIVS:
                return (a2 | a3 | a4 | a5) != 0 ? Errno.EINVAL : task.NoNewPrivileges ? 1 : 0;
            case PR_GET_TID_ADDRESS:
                return task.Mm.Write(new UserPtr<ulong>(a2), task.ClearChildTid);
            case PR_SET_THP_DISABLE:
                if ((a3 | a4 | a5) != 0)
                    return Errno.EINVAL;
                group.HugePagesDisabled = a2 != 0;
                return 0;
            case PR_GET_THP_DISABLE:
                return (a2 | a3 | a4 | a5) != 0 ? Errno.EINVAL : group.HugePagesDisabled ? 1 : 0;
            case PR_CAP_AMBIENT:
                return Ambient(task, a2, a3, a4 | a5);
            case PR_SET_VMA:
                return SetVmaName(task, a2, a3, a4, a5);
            default:
                return Errno.EINVAL;
        }
    }

    private static SysResult SetName(Task task, UserPtr name)
    {
        Span<byte> bytes = stackalloc byte[Task.NameSize];
        bytes.Clear();
        SysResult length = task.Mm.CopyInString(name, bytes);
        if (length.Error == Errno.EFAULT)
            return Errno.EFAULT;
        task.SetName(bytes);
        return 0;
    }

    private static SysResult SetKeepCapabilities(Task task, bool keep)
    {
        Credentials c = task.Credentials;
        if ((c.SecureBits & SecureBits.SECBIT_KEEP_CAPS_LOCKED) != 0)
            return Errno.EPERM;
        task.Credentials = c with { SecureBits = (c.SecureBits & ~SecureBits.SECBIT_KEEP_CAPS) | (keep ? SecureBits.SECBIT_KEEP_CAPS : 0) };
        return 0;
    }

    private static SysResult DropBounding(Task task, ulong capability)
    {
        Credentials c = task.Credentials;
        if (!c.Has(Capability.CAP_SETPCAP))
            return Errno.EPERM;
        if (capability > CAP_LAST_CAP)
            return Errno.EINVAL;
        task.Credentials = c with { Bounding = c.Bounding & ~(1UL << (int)capability) };
        return 0;
    }

    private static SysResult SetSecureBits(Task task, ulong value)
    {
        Credentials c = task.Credentials;
        SecureBits wanted = (SecureBits)value, locked = c.SecureBits & SecureBits.Locks;
        bool changesLocked = (((uint)locked >> 1) & (uint)(c.SecureBits ^ wanted)) != 0 || (locked & ~wanted) != 0;
        if (changesLocked || (value & ~(ulong)SecureBits.All) != 0)
            return Errno.EPERM;
        if (!c.Has(Capability.CAP_SETPCAP) && ((c.SecureBits ^ wanted) & ~SecureBits.Unprivileged) != 0)
            return Errno.EPERM;
        task.Credentials = c with { SecureBits = wanted };
        return 0;
    }

    private static SysResult Ambient(Task task, ulong operation, ulong capability, ulong rest)
    {
        const ulong PR_CAP_AMBIENT_IS_SET = 1, PR_CAP_AMBIENT_RAISE = 2, PR_CAP_AMBIENT_LOWER = 3, PR_CAP_AMBIENT_CLEAR_ALL = 4;
        Credentials c = task.Credentials;
        if (operation == PR_CAP_AMBIENT_CLEAR_ALL)
        {
            if ((capability | rest) != 0)
                return Errno.EINVAL;
            task.Credentials = c with { Ambient = 0 };
            return 0;
        }
        if (rest != 0 || capability > CAP_LAST_CAP)
            return Errno.EINVAL;
        ulong bit = 1UL << (int)capability;
        switch (operation)
        {
            case PR_CAP_AMBIENT_IS_SET:
                return (c.Ambient & bit) != 0 ? 1 : 0;
            case PR_CAP_AMBIENT_RAISE:
                if ((c.Permitted & c.Inheritable & bit) == 0 || (c.SecureBits & SecureBits.SECBIT_NO_CAP_AMBIENT_RAISE) != 0)
                    return Errno.EPERM;
                task.Credentials = c with { Ambient = c.Ambient | bit };
                return 0;
            case PR_CAP_AMBIENT_LOWER:
                task.Credentials = c with { Ambient = c.Ambient & ~bit };
                return 0;
            default:
                return Errno.EINVAL;
        }
    }

    /// <summary>PR_SET_VMA_ANON_NAME: names are checked as Linux checks them and then forgotten.</summary>
    private static SysResult SetVmaName(Task task, ulong what, ulong address, ulong length, ulong name)
    {
        const int NameMax = 80;
        if (what != 0 || (address & 0xfff) != 0)
            return Errno.EINVAL;
        if (name != 0)
        {
            Span<byte> bytes = stackalloc byte[NameMax];
            SysResult size = task.Mm.CopyInString(new UserPtr(name), bytes);
            if (size.IsError)
                return size.Error == Errno.EFAULT ? Errno.EFAULT : Errno.EINVAL;
            if (bytes[..(int)size.Value].ContainsAnyExceptInRange((byte)0x20, (byte)0x7e) || bytes[..(int)size.Value].ContainsAny("\\`$[]"u8))
                return Errno.EINVAL;
        }
        return address + length < address ? Errno.EINVAL : 0;
    }
}
