using System.Collections.Concurrent;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Pipes;

/// <summary>How many slots the pipes of each user have, as Linux counts them (man 7 pipe, pipe-user-pages-soft).</summary>
internal static class PipeAccounts
{
    /// <summary>/proc/sys/fs/pipe-user-pages-soft: slots beyond which unprivileged users get small pipes only.</summary>
    public const int SoftLimit = 16384;

    private static readonly ConcurrentDictionary<uint, int> s_slots = new();

    /// <summary>Counts slots, or gives them back (negative); returns what the user has now.</summary>
    public static int Charge(uint user, int slots) => s_slots.AddOrUpdate(user, static (_, s) => s, static (_, had, s) => had + s, slots);

    /// <summary>True for those whom the limit does not bind.</summary>
    public static bool IsPrivileged(Credentials who) => who.Has(Capability.CAP_SYS_RESOURCE) || who.Has(Capability.CAP_SYS_ADMIN);
}
