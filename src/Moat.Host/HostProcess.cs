namespace Moat.Host;

/// <summary>Who the sentry is on the host.</summary>
public static unsafe class HostProcess
{
    /// <summary>The supplementary groups of this process (man 2 getgroups).</summary>
    public static uint[] Groups()
    {
        const int NR_getgroups = 115;
        long count = HostSyscall.Call(NR_getgroups);
        uint[] groups = new uint[Math.Max(count, 0)];
        fixed (uint* first = groups)
        {
            // SAFETY: the kernel writes at most groups.Length entries, and none when it is zero.
            if (count > 0)
                HostException.Check(HostSyscall.Call(NR_getgroups, count, (long)first), "getgroups");
        }
        return groups;
    }
}
