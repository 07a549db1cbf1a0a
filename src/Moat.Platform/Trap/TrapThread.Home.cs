using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>Where the two halves run: together on a home core while they sleep for each other, apart while one spins.</summary>
public sealed unsafe partial class TrapThread
{
    // Hand-offs by futex before the pair gets a home; at home, hand-offs without a block before it may spin again, and before the
    // host is asked again for a better core.
    private const int Away = 8, AtHome = 64, Stay = 4096;

    private int _home = -1, _without, _handoffsAtHome;
    private byte[]? _processors;

    /// <inheritdoc/>
    public override void SetProcessors(byte[]? mask)
    {
        Volatile.Write(ref _processors, mask);
        Loosen();
    }

    // Lets the guest's half run wherever it may.
    private void Loosen()
    {
        // A number that is nobody's any more may be somebody else's.
        if ((Volatile.Read(ref _state) & Gone) != 0)
            return;
        if (Volatile.Read(ref _processors) is { } mask)
            HostAffinity.Restrict(_tid, mask);
        else
            HostAffinity.Unpin(_tid);
    }

    /// <summary>A hand-off without a permit is about to begin.</summary>
    private void CountSlow()
    {
        if (_home < 0 && ++_without >= Away && _processors is null)
            GoHome(HomeCores.Choose(HostAffinity.Current));
    }

    /// <summary>At home: true when it is time to try to spin.</summary>
    private bool MayLeaveHome()
    {
        if (++_handoffsAtHome % AtHome != 0)
            return false;
        if (_handoffsAtHome >= Stay || _processors is not null)
            LeaveHome();
        return CoreBudget.HasRoom;
    }

    private void GoHome(int core)
    {
        _without = _handoffsAtHome = 0;
        if (_processors is null && (Volatile.Read(ref _state) & Gone) == 0)
            HostAffinity.Pin(_tid, core);
        HostAffinity.Pin(0, core);
        _home = core;
        HomeCores.Enter(core);
    }

    private void LeaveHome()
    {
        if (_home < 0)
            return;
        if (_active)
            HomeCores.Leave(_home);
        _home = -1;
        _without = 0;
        HostAffinity.Unpin(0);
        Loosen();
    }

    /// <summary>The pair wakes up: at home, if nobody else is there.</summary>
    private void EnterHome()
    {
        if (_home < 0)
            return;
        if (HomeCores.Enter(_home) == 1)
            return;
        HomeCores.Leave(_home);
        int core = HomeCores.Choose(_home);
        if (core == _home)
            HomeCores.Enter(core);
        else
            GoHome(core);
    }
}
