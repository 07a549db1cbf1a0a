namespace Moat.Host;

/// <summary>The sentry's own threads.</summary>
public static class HostThread
{
    /// <summary>Stack of a thread that does little, bytes.</summary>
    public const int SmallStack = 256 * 1024;

    /// <summary>Lets others run that wait for this processor (man 2 sched_yield).</summary>
    public static void Yield() => HostSyscall.CallQuick(24);

    /// <summary>
    /// Makes a background thread that the caller starts. It runs on any of Moat's processors: its maker may be bound to one, and what a
    /// thread makes inherits that (man 2 sched_setaffinity).
    /// </summary>
    public static Thread Create(string name, Action run, int stackBytes = SmallStack)
        => new(
            () =>
            {
                HostAffinity.Unpin(0);
                run();
            },
            stackBytes)
        {
            IsBackground = true,
            Name = name,
        };
}
