using Moat.Platform.Trap;

namespace Moat.Platform;

/// <summary>Permits to spin for the sentry's other threads, out of the same cores that guest threads share.</summary>
public static class SpinBudget
{
    /// <summary>Takes a permit, if a core is free for it; <see cref="Return"/> gives it back.</summary>
    public static bool TryTake() => CoreBudget.TryTakePermit();

    /// <summary>False when a holder must give its permit back.</summary>
    public static bool Fits => CoreBudget.Fits;

    /// <summary>Gives a permit back.</summary>
    public static void Return() => CoreBudget.ReturnPermit();
}
