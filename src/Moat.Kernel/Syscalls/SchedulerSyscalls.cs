using Moat.Host;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Syscalls;

/// <summary>struct sched_attr (sched_setattr(2)), as of Linux 5.3.</summary>
internal struct SchedulerAttributes
{
    public uint Size, Policy;
    public ulong Flags;
    public int Nice;
    public uint Priority;
    public ulong Runtime, Deadline, Period;
    public uint UtilMin, UtilMax;
}

/// <summary>
/// Scheduling. The host's scheduler runs the stubs; what guests ask for is checked as Linux checks an unprivileged process,
/// kept and reported.
/// </summary>
internal static class SchedulerSyscalls
{
    private const int SCHED_NORMAL = 0, SCHED_FIFO = 1, SCHED_RR = 2, SCHED_BATCH = 3, SCHED_IDLE = 5, SCHED_DEADLINE = 6, SCHED_EXT = 7;
    private const int SCHED_RESET_ON_FORK = 0x40000000;

    /// <summary>sched_yield(2).</summary>
    [Syscall(24, "sched_yield", Support.Full)]
    public static SysResult Yield(Task task)
    {
        HostSystem.Yield();
        return 0;
    }

    /// <summary>sched_getaffinity(2).</summary>
    [Syscall(204, "sched_getaffinity", Support.Full)]
    public static SysResult GetAffinity(Task task, int pid, uint length, UserPtr mask)
    {
        scoped ReadOnlySpan<byte> bits = HostAffinity.Ours;
        Span<byte> one = stackalloc byte[128];
        if (length * 8UL < (ulong)Environment.ProcessorCount || (length & 7) != 0)
            return Errno.EINVAL;
        if (Find(task, pid) is { } target)
            bits = target.Affinity ?? bits;
        else if (task.Sentry.FindPoller(pid) is not { } poller)
            return Errno.ESRCH;
        else if (poller.Core >= 0)
            bits = Only(poller.Core, one[..bits.Length]);
        int given = (int)Math.Min(length, (uint)bits.Length);
        Errno error = task.Mm.CopyOut(mask, bits[..given]);
        return error != Errno.OK ? error : given;
    }

    private static ReadOnlySpan<byte> Only(int core, Span<byte> bits)
    {
        bits.Clear();
        bits[core / 8] = (byte)(1 << (core % 8));
        return bits;
    }

    /// <summary>sched_setaffinity(2).</summary>
    [Syscall(203, "sched_setaffinity", Support.Full)]
    public static SysResult SetAffinity(Task task, int pid, uint length, UserPtr mask)
    {
        Span<byte> wanted = stackalloc byte[HostAffinity.Ours.Length];
        Errno error = ReadProcessors(task, mask, length, wanted);
        if (error != Errno.OK)
            return error;
        if (Find(task, pid) is not { } target)
            return Errno.ESRCH;
        if (!MayChange(task, target))
            return Errno.EPERM;
        if (!wanted.ContainsAnyExcept((byte)0))
            return Errno.EINVAL;
        target.Affinity = wanted.SequenceEqual(HostAffinity.Ours) ? null : wanted.ToArray();
        target.Thread.SetProcessors(target.Affinity);
        return 0;
    }

    /// <summary>Reads a mask of processors, of which those count that the sandbox has. As long as <see cref="HostAffinity.Ours"/>. EFAULT.</summary>
    internal static Errno ReadProcessors(Task task, UserPtr mask, uint bytes, Span<byte> into)
    {
        ReadOnlySpan<byte> ours = HostAffinity.Ours;
        into.Clear();
        Errno error = task.Mm.CopyIn(mask, into[..(int)Math.Min(bytes, (uint)into.Length)]);
        for (int i = 0; i < into.Length; i++)
            into[i] &= ours[i];
        return error;
    }

    /// <summary>sched_getscheduler(2).</summary>
    [Syscall(145, "sched_getscheduler", Support.Full)]
    public static SysResult GetScheduler(Task task, int pid)
        => pid < 0 ? Errno.EINVAL : Find(task, pid) is { } target ? target.SchedulerPolicy : Errno.ESRCH;

    /// <summary>sched_setscheduler(2).</summary>
    [Syscall(144, "sched_setscheduler", Support.Partial, Note = "kept and reported; the host's scheduler is not told; SCHED_DEADLINE: EPERM")]
    public static SysResult SetScheduler(Task task, int pid, int policy, UserPtr<int> parameter)
    {
        if (policy < 0)
            return Errno.EINVAL;
        return SetPolicy(task, pid, policy, parameter);
    }

    /// <summary>sched_setparam(2).</summary>
    [Syscall(142, "sched_setparam", Support.Full)]
    public static SysResult SetParam(Task task, int pid, UserPtr<int> parameter) => SetPolicy(task, pid, null, parameter);

    /// <summary>sched_getparam(2).</summary>
    [Syscall(143, "sched_getparam", Support.Full)]
    public static SysResult GetParam(Task task, int pid, UserPtr<int> parameter)
    {
        if (pid < 0 || parameter.IsNull)
            return Errno.EINVAL;
        return Find(task, pid) is { } target ? task.Mm.Write(parameter, target.SchedulerPriority) : Errno.ESRCH;
    }

    /// <summary>sched_get_priority_max(2).</summary>
    [Syscall(146, "sched_get_priority_max", Support.Full)]
    public static SysResult GetPriorityMax(Task task, int policy) => PriorityOf(policy, 99);

    /// <summary>sched_get_priority_min(2).</summary>
    [Syscall(147, "sched_get_priority_min", Support.Full)]
    public static SysResult GetPriorityMin(Task task, int policy) => PriorityOf(policy, 1);

    /// <summary>sched_rr_get_interval(2).</summary>
    [Syscall(148, "sched_rr_get_interval", Support.Full)]
    public static SysResult RrGetInterval(Task task, int pid, UserPtr<Timespec> interval)
    {
        if (pid < 0)
            return Errno.EINVAL;
        return Find(task, pid) is null ? Errno.ESRCH : task.Mm.Write(interval, HostClock.ToTimespec(HostSystem.GetTimeSlice()));
    }

    /// <summary>sched_getattr(2).</summary>
    [Syscall(315, "sched_getattr", Support.Full)]
    public static SysResult GetAttr(Task task, int pid, UserPtr<SchedulerAttributes> attributes, uint size, uint flags)
    {
        const uint SCHED_ATTR_SIZE_VER0 = 48;
        if (attributes.IsNull || pid < 0 || size > 4096 || size < SCHED_ATTR_SIZE_VER0 || flags != 0)
            return Errno.EINVAL;
        if (Find(task, pid) is not { } target)
            return Errno.ESRCH;
        SchedulerAttributes value = new()
        {
            Size = Math.Min(size, 56),
            Policy = (uint)(target.SchedulerPolicy & ~SCHED_RESET_ON_FORK),
            Flags = (target.SchedulerPolicy & SCHED_RESET_ON_FORK) != 0 ? 1UL : 0,
            Nice = target.Nice,
            Priority = (uint)target.SchedulerPriority,
            UtilMax = 1024,
        };
        return task.Mm.CopyOut(
            attributes, System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<SchedulerAttributes>(in value))[..(int)value.Size]);
    }

    /// <summary>sched_setattr(2).</summary>
    [Syscall(314, "sched_setattr", Support.Partial, Note = "kept and reported; the host's scheduler is not told; SCHED_DEADLINE: EPERM")]
    public static SysResult SetAttr(Task task, int pid, UserPtr<SchedulerAttributes> attributes, uint flags)
    {
        if (attributes.IsNull || pid < 0 || flags != 0)
            return Errno.EINVAL;
        Errno error = task.Mm.Read(new UserPtr<uint>(attributes.Address), out uint size);
        if (error != Errno.OK)
            return error;
        if (size == 0)
            size = 48;
        if (size is < 48 or > 4096)
            return Errno.E2BIG;
        error = StructArgument.Read(task.Mm, attributes, size, out SchedulerAttributes value);
        if (error != Errno.OK)
            return error;
        if (value.Policy > int.MaxValue || value.Flags > 0x7f || Find(task, pid) is not { } target)
            return value.Policy > int.MaxValue || value.Flags > 0x7f ? Errno.EINVAL : Errno.ESRCH;
        error = CheckPolicy(task, target, (int)value.Policy, (int)value.Priority);
        if (error != Errno.OK)
            return error;
        int nice = Math.Clamp(value.Nice, -20, 19);
        if (nice < target.Nice && !MayRaise(target, nice))
            return Errno.EPERM;
        target.SchedulerPolicy = (int)value.Policy | ((value.Flags & 1) != 0 ? SCHED_RESET_ON_FORK : 0);
        target.SchedulerPriority = (int)value.Priority;
        target.Nice = nice;
        return 0;
    }

    /// <summary>getpriority(2): 20 minus the nice value.</summary>
    [Syscall(140, "getpriority", Support.Full)]
    public static SysResult GetPriority(Task task, int which, int who)
    {
        int best = 0;
        Errno error = ForEach(task, which, who, t => best = Math.Max(best, 20 - t.Nice));
        return error != Errno.OK ? error : best == 0 ? Errno.ESRCH : best;
    }

    /// <summary>setpriority(2).</summary>
    [Syscall(141, "setpriority", Support.Partial, Note = "kept and reported; the host's scheduler is not told")]
    public static SysResult SetPriority(Task task, int which, int who, int nice)
    {
        nice = Math.Clamp(nice, -20, 19);
        bool found = false, denied = false;
        Errno error = ForEach(task, which, who, t =>
        {
            found = true;
            if (nice < t.Nice && !MayRaise(t, nice))
                denied = true;
            else
                t.Nice = nice;
        });
        return error != Errno.OK ? error : !found ? Errno.ESRCH : denied ? Errno.EACCES : Errno.OK;
    }

    /// <summary>ioprio_get(2).</summary>
    [Syscall(252, "ioprio_get", Support.Full)]
    public static SysResult IoPrioGet(Task task, int which, int who)
    {
        const int IOPRIO_WHO_PROCESS = 1;
        if (which == IOPRIO_WHO_PROCESS)
            return Find(task, who) is { } target ? target.IoPriority : Errno.ESRCH;
        int best = int.MaxValue;
        Errno error = ForEach(task, which - 1, who, t => best = Math.Min(best, Effective(t)));
        return error != Errno.OK ? error : best == int.MaxValue ? Errno.ESRCH : best;

        // Who never chose is of the best effort class, at a level that follows from the nice value.
        static int Effective(Task t) => t.IoPriority >> 13 == 0 ? (2 << 13) | ((t.Nice + 20) / 5) : t.IoPriority;
    }

    /// <summary>ioprio_set(2).</summary>
    [Syscall(251, "ioprio_set", Support.Partial, Note = "kept and reported; the host's disks are not told")]
    public static SysResult IoPrioSet(Task task, int which, int who, int priority)
    {
        Errno error = CheckIoPriority(task.Credentials, priority);
        if (error != Errno.OK)
            return error;
        bool found = false, denied = false;
        error = ForEach(task, which - 1, who, t =>
        {
            found = true;
            if (t.Credentials.Uid != task.Credentials.EffectiveUid && t.Credentials.Uid != task.Credentials.Uid
                && !task.Credentials.Has(Capability.CAP_SYS_NICE))
                denied = true;
            else
                t.IoPriority = priority;
        });
        return error != Errno.OK ? error : !found ? Errno.ESRCH : denied ? Errno.EPERM : Errno.OK;
    }

    /// <summary>EPERM for the real-time class without the capability, EINVAL for what is no priority.</summary>
    public static Errno CheckIoPriority(Credentials who, int priority)
    {
        const int IOPRIO_CLASS_NONE = 0, IOPRIO_CLASS_RT = 1, IOPRIO_CLASS_BE = 2, IOPRIO_CLASS_IDLE = 3;
        return ((priority >> 13) & 7) switch
        {
            IOPRIO_CLASS_RT => who.Has(Capability.CAP_SYS_NICE) || who.Has(Capability.CAP_SYS_ADMIN) ? Errno.OK : Errno.EPERM,
            IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE => Errno.OK,
            IOPRIO_CLASS_NONE => (priority & 7) == 0 ? Errno.OK : Errno.EINVAL,
            _ => Errno.EINVAL,
        };
    }

    private static SysResult SetPolicy(Task task, int pid, int? policy, UserPtr<int> parameter)
    {
        if (parameter.IsNull || pid < 0)
            return Errno.EINVAL;
        Errno error = task.Mm.Read(parameter, out int priority);
        if (error != Errno.OK)
            return error;
        if (Find(task, pid) is not { } target)
            return Errno.ESRCH;
        int wanted = policy ?? target.SchedulerPolicy;
        error = CheckPolicy(task, target, wanted & ~SCHED_RESET_ON_FORK, priority);
        if (error != Errno.OK)
            return error;
        (target.SchedulerPolicy, target.SchedulerPriority) = (wanted, priority);
        return 0;
    }

    /// <summary>One's own threads, or with CAP_SYS_NICE any.</summary>
    private static bool MayChange(Task task, Task target)
        => task.Credentials.Has(Capability.CAP_SYS_NICE) || task.Credentials.EffectiveUid == target.Credentials.EffectiveUid
            || task.Credentials.EffectiveUid == target.Credentials.Uid;

    private static Errno CheckPolicy(Task task, Task target, int policy, int priority) => policy switch
    {
        SCHED_NORMAL or SCHED_BATCH or SCHED_IDLE => priority == 0 ? Errno.OK : Errno.EINVAL,
        SCHED_FIFO or SCHED_RR => priority is < 1 or > 99 ? Errno.EINVAL
            : task.Credentials.Has(Capability.CAP_SYS_NICE) || (ulong)priority <= target.Group.Limits.Get(Resource.RLIMIT_RTPRIO).Current
                ? Errno.OK : Errno.EPERM,
        SCHED_DEADLINE => priority == 0 ? Errno.EPERM : Errno.EINVAL,
        _ => Errno.EINVAL,
    };

    private static SysResult PriorityOf(int policy, int realTime) => policy switch
    {
        SCHED_FIFO or SCHED_RR => realTime,
        SCHED_NORMAL or SCHED_BATCH or SCHED_IDLE or SCHED_DEADLINE or SCHED_EXT => 0,
        _ => Errno.EINVAL,
    };

    private static bool MayRaise(Task task, int nice)
        => task.Credentials.Has(Capability.CAP_SYS_NICE) || 20UL - (ulong)(long)nice <= task.Group.Limits.Get(Resource.RLIMIT_NICE).Current;

    private static Task? Find(Task task, int pid) => pid == 0 ? task : task.Sentry.Tasks.Find(pid);

    private static Errno ForEach(Task task, int which, int who, Action<Task> action)
    {
        const int PRIO_PROCESS = 0, PRIO_PGRP = 1, PRIO_USER = 2;
        switch (which)
        {
            case PRIO_PROCESS:
                if (Find(task, who) is { } one)
                    action(one);
                return Errno.OK;
            case PRIO_PGRP or PRIO_USER:
                foreach (ThreadGroup group in task.Sentry.Tasks.GetGroups())
                {
                    bool meant = which == PRIO_PGRP
                        ? group.ProcessGroupId == (who == 0 ? task.Group.ProcessGroupId : who)
                        : group.Leader.Credentials.Uid == (who == 0 ? task.Credentials.Uid : (uint)who);
                    foreach (Task thread in meant ? group.GetTasks() : [])
                        action(thread);
                }
                return Errno.OK;
            default:
                return Errno.EINVAL;
        }
    }
}
