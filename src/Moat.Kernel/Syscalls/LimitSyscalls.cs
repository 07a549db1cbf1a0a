using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>Resource limits.</summary>
internal static class LimitSyscalls
{
    /// <summary>getrlimit(2).</summary>
    [Syscall(97, "getrlimit", Support.Full)]
    public static SysResult GetRLimit(Task task, uint resource, UserPtr<ResourceLimit> limit)
        => resource >= (uint)Resource.RLIM_NLIMITS ? Errno.EINVAL : task.Mm.Write(limit, task.Group.Limits.Get((Resource)resource));

    /// <summary>setrlimit(2).</summary>
    [Syscall(160, "setrlimit", Support.Partial, Note = "CORE, RSS, LOCKS, MSGQUEUE, RTPRIO and RTTIME are kept, the others enforced")]
    public static SysResult SetRLimit(Task task, uint resource, UserPtr<ResourceLimit> limit)
        => PrLimit64(task, 0, resource, limit, default);

    /// <summary>prlimit(2).</summary>
    [Syscall(302, "prlimit64", Support.Partial, Note = "CORE, RSS, LOCKS, MSGQUEUE, RTPRIO and RTTIME are kept, the others enforced")]
    public static SysResult PrLimit64(Task task, int pid, uint resource, UserPtr<ResourceLimit> wanted, UserPtr<ResourceLimit> old)
    {
        if (resource >= (uint)Resource.RLIM_NLIMITS)
            return Errno.EINVAL;
        ResourceLimit limit = default;
        if (!wanted.IsNull && task.Mm.Read(wanted, out limit) != Errno.OK)
            return Errno.EFAULT;
        Task? target = pid == 0 ? task : task.Sentry.Tasks.Find(pid);
        if (target is null)
            return Errno.ESRCH;
        if (target.Group != task.Group && !IsSameUser(task.Credentials, target.Credentials))
            return Errno.EPERM;
        ResourceLimit before = target.Group.Limits.Get((Resource)resource);
        if (!wanted.IsNull)
        {
            const ulong MostFiles = 1 << 20;
            if (limit.Current > limit.Maximum)
                return Errno.EINVAL;
            if (resource == (uint)Resource.RLIMIT_NOFILE && limit.Maximum > MostFiles)
                return Errno.EPERM;
            if (limit.Maximum > before.Maximum && !task.Credentials.Has(Capability.CAP_SYS_RESOURCE))
                return Errno.EPERM;
            target.Group.Limits.Set((Resource)resource, in limit);
            Apply(target, (Resource)resource, limit.Current);
        }
        return old.IsNull ? 0 : task.Mm.Write(old, in before);
    }

    private static void Apply(Task target, Resource resource, ulong current)
    {
        if (resource == Resource.RLIMIT_NOFILE)
        {
            foreach (Task thread in target.Group.GetTasks())
                thread.Files.Limit = (int)Math.Min(current, int.MaxValue);
        }
        else if (resource == Resource.RLIMIT_STACK)
        {
            target.Mm.StackLimit = current;
        }
        else if (resource == Resource.RLIMIT_AS)
        {
            target.Mm.AddressSpaceLimit = current;
        }
        else if (resource == Resource.RLIMIT_DATA)
        {
            target.Mm.DataLimit = current;
        }
        else if (resource == Resource.RLIMIT_CPU)
        {
            target.Group.WatchCpuLimit();
        }
    }

    /// <summary>True when all ids of another are one's own, or with CAP_SYS_RESOURCE (man 2 prlimit, man 2 ptrace).</summary>
    internal static bool IsSameUser(Credentials mine, Credentials theirs)
        => mine.Has(Capability.CAP_SYS_RESOURCE)
            || (mine.Uid == theirs.EffectiveUid && mine.Uid == theirs.SavedUid && mine.Uid == theirs.Uid
                && mine.Gid == theirs.EffectiveGid && mine.Gid == theirs.SavedGid && mine.Gid == theirs.Gid);
}
