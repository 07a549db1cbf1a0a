namespace Moat.Abi;

/// <summary>Resources of getrlimit(2) (include/uapi/asm-generic/resource.h).</summary>
public enum Resource
{
#pragma warning disable CS1591 // Linux's own names.
    RLIMIT_CPU = 0,
    RLIMIT_FSIZE = 1,
    RLIMIT_DATA = 2,
    RLIMIT_STACK = 3,
    RLIMIT_CORE = 4,
    RLIMIT_RSS = 5,
    RLIMIT_NPROC = 6,
    RLIMIT_NOFILE = 7,
    RLIMIT_MEMLOCK = 8,
    RLIMIT_AS = 9,
    RLIMIT_LOCKS = 10,
    RLIMIT_SIGPENDING = 11,
    RLIMIT_MSGQUEUE = 12,
    RLIMIT_NICE = 13,
    RLIMIT_RTPRIO = 14,
    RLIMIT_RTTIME = 15,
    RLIM_NLIMITS = 16,
#pragma warning restore CS1591
}

/// <summary>struct rlimit64.</summary>
public struct ResourceLimit
{
    /// <summary>RLIM64_INFINITY.</summary>
    public const ulong RLIM_INFINITY = ulong.MaxValue;

    /// <summary>rlim_cur: the soft limit.</summary>
    public ulong Current;

    /// <summary>rlim_max: the hard limit.</summary>
    public ulong Maximum;
}
