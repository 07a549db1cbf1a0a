using Moat.Host;

namespace Moat.Kernel.Tasks;

/// <summary>The sixteen limits of a process (getrlimit(2)).</summary>
internal sealed class ResourceLimits
{
    private readonly Lock _lock = new();
    private readonly ResourceLimit[] _limits = new ResourceLimit[(int)Resource.RLIM_NLIMITS];

    /// <summary>All unlimited but the stack (8 MiB), descriptors (1024 of 1048576), core files and queued signals.</summary>
    public ResourceLimits()
    {
        Array.Fill(_limits, new ResourceLimit { Current = ResourceLimit.RLIM_INFINITY, Maximum = ResourceLimit.RLIM_INFINITY });
        _limits[(int)Resource.RLIMIT_STACK].Current = 8 << 20;
        _limits[(int)Resource.RLIMIT_CORE].Current = 0;
        _limits[(int)Resource.RLIMIT_NOFILE] = new ResourceLimit { Current = 1024, Maximum = 1 << 20 };
        _limits[(int)Resource.RLIMIT_SIGPENDING] = new ResourceLimit { Current = 1 << 16, Maximum = 1 << 16 };
        _limits[(int)Resource.RLIMIT_NPROC] = new ResourceLimit { Current = 1 << 15, Maximum = 1 << 15 };
        _limits[(int)Resource.RLIMIT_MEMLOCK] = new ResourceLimit { Current = 8 << 20, Maximum = 8 << 20 };
        _limits[(int)Resource.RLIMIT_MSGQUEUE] = new ResourceLimit { Current = 819200, Maximum = 819200 };
        _limits[(int)Resource.RLIMIT_NICE] = default;
        _limits[(int)Resource.RLIMIT_RTPRIO] = default;
    }

    /// <summary>
    /// Those that Moat was started with, where they bound what a guest has and not what the sentry does: a program sees what it would see without
    /// Moat. The runtime has raised the soft limit of descriptors before anybody could look; whoever started Moat still has it.
    /// </summary>
    public static ResourceLimits OfCaller()
    {
        const ulong MostFiles = 1 << 20;
        ResourceLimits limits = new();
        foreach (Resource r in (ReadOnlySpan<Resource>)[Resource.RLIMIT_STACK, Resource.RLIMIT_CORE, Resource.RLIMIT_NPROC, Resource.RLIMIT_NOFILE,
            Resource.RLIMIT_MEMLOCK, Resource.RLIMIT_SIGPENDING, Resource.RLIMIT_MSGQUEUE, Resource.RLIMIT_NICE, Resource.RLIMIT_RTPRIO])
        {
            if (HostSystem.TryGetLimit((int)r, out ulong current, out ulong maximum))
                limits._limits[(int)r] = new ResourceLimit { Current = current, Maximum = maximum };
        }
        ref ResourceLimit files = ref limits._limits[(int)Resource.RLIMIT_NOFILE];
        files.Maximum = Math.Min(files.Maximum, MostFiles);
        files.Current = Math.Min(Math.Min(files.Current, HostSystem.GetParentFileLimit()), files.Maximum);
        return limits;
    }

    /// <summary>One limit.</summary>
    public ResourceLimit Get(Resource resource)
    {
        lock (_lock)
            return _limits[(int)resource];
    }

    /// <summary>RLIMIT_FSIZE's soft limit, bytes; looked at by every write, so without the lock.</summary>
    public ulong FileSize => Volatile.Read(ref _limits[(int)Resource.RLIMIT_FSIZE].Current);

    /// <summary>Replaces one limit.</summary>
    public void Set(Resource resource, in ResourceLimit limit)
    {
        lock (_lock)
            _limits[(int)resource] = limit;
    }

    /// <summary>A copy of its own (fork(2)).</summary>
    public ResourceLimits Copy()
    {
        ResourceLimits copy = new();
        lock (_lock)
            _limits.CopyTo(copy._limits, 0);
        return copy;
    }
}
