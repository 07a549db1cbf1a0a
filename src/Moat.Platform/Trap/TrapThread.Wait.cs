using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>The hand-off: reply, spin while that pays, sleep.</summary>
public sealed unsafe partial class TrapThread
{
    // The stub's spin lasts as long as its permit, nearly: an idle core is slow to wake, a virtual one most of all.
    private const int FirstSpinNanoseconds = 6_000, ChunkNanoseconds = 3_000, SpinNanoseconds = 200_000, StubSpinNanoseconds = 1_000_000;
    private const int BlockNanoseconds = 20_000;

    private static readonly uint s_firstSpin = Handoff.Steps(FirstSpinNanoseconds);
    private static readonly uint s_stubSpins = Handoff.Steps(StubSpinNanoseconds);

    private int _disposed;
    private bool _active, _permit;
    private SpinHistory _handoffs = new(), _blocks = new();

    /// <summary>Steps of one spin between two looks at the budget.</summary>
    private static uint SpinChunk { get; } = Handoff.Steps(ChunkNanoseconds);

    // How many of them are worth a sleep, and how many come between two looks at the host.
    private const int SpinChunks = SpinNanoseconds / ChunkNanoseconds, CrowdCheck = 16;

    /// <summary>The sentry thread sleeps until the next event.</summary>
    internal bool SentrySleeps => Volatile.Read(ref *(uint*)(_slot + Slot.SentrySleeps)) != 0;

    /// <summary>The stub thread sleeps until the next reply.</summary>
    internal bool StubSleeps => Volatile.Read(ref *(uint*)(_slot + Slot.StubSleeps)) != 0;

    /// <inheritdoc/>
    public override void BeginBlock() => Deactivate();

    /// <inheritdoc/>
    public override void EndBlock() => Activate();

    /// <inheritdoc/>
    public override void SpinBlocked(Parker parker)
    {
        if (!_blocks.IsDue() || !CoreBudget.TryTakePermit())
            return;
        var woken = false;
        for (var left = BlockNanoseconds / ChunkNanoseconds; left > 0 && !woken && CoreBudget.Fits; left--)
            woken = parker.Spin(SpinChunk);
        CoreBudget.ReturnPermit();
        if (woken)
            _blocks.Paid();
        else
            _blocks.Failed();
    }

    /// <summary>The stub has died: whoever waits for this thread wakes.</summary>
    internal void WakeDead()
    {
        uint* word = (uint*)(_slot + Slot.Event);
        Interlocked.Exchange(ref *word, 0);
        HostSyscall.FutexWake(word, int.MaxValue);
    }

    private void Activate()
    {
        if (_active)
            return;
        _active = true;
        CoreBudget.Enter();
        EnterHome();
    }

    private void Deactivate()
    {
        DropPermit();
        if (!_active)
            return;
        _active = false;
        CoreBudget.Leave();
        _handoffsAtHome = 0;
        if (_home >= 0)
            HomeCores.Leave(_home);
    }

    // The permit belongs to the pair: whichever half waits may spin.
    private bool TakePermit()
    {
        // The stub is about to run.
        int asleep = StubSleeps ? 1 : 0;
        if (_permit)
        {
            if (CoreBudget.Fits && !_handoffs.IsCrowded(asleep))
                return true;
            DropPermit();
            return false;
        }

        if ((_home >= 0 && !MayLeaveHome()) || !_handoffs.IsDue() || !CoreBudget.TryTakePermit())
        {
            CountSlow();
            return false;
        }

        if (_handoffs.IsCrowded(asleep))
        {
            CoreBudget.ReturnPermit();
            return false;
        }

        _permit = true;
        _without = 0;
        LeaveHome();
        Volatile.Write(ref *(uint*)(_slot + Slot.Spins), s_stubSpins);
        return true;
    }

    private void DropPermit()
    {
        if (!_permit)
            return;
        _permit = false;
        Volatile.Write(ref *(uint*)(_slot + Slot.Spins), 0);
        CoreBudget.ReturnPermit();
    }

    private void Reply(uint operation) => SlotExchange.Run(_slot, _event, 0, operation, 0);

    // Replies to the last event and waits for the next. False when the thread is gone.
    private bool Exchange()
    {
        uint operation = !_hasResult ? Slot.OpResume : _hasLines && _fast ? Slot.OpResultLines : Slot.OpResult;
        _hasResult = _hasLines = false;
        return Exchange(operation, _result);
    }

    private bool Exchange(uint operation, ulong value)
    {
        bool spin = TakePermit();
        uint seen = SlotExchange.Run(_slot, _event, spin ? s_firstSpin : 0, operation, value);
        if (seen == _event)
            return Wait(spin);
        _event = seen;
        return seen != 0;
    }

    private bool Wait(bool spin)
    {
        uint* word = (uint*)(_slot + Slot.Event);
        uint seen;
        if (spin)
        {
            if (_processors is null && SlotExchange.SharesCore(_slot))
                HostAffinity.SendAway(_tid);
            for (var i = 1; i <= SpinChunks && CoreBudget.Fits && (i % CrowdCheck != 0 || !CoreBudget.IsCrowded()); i++)
            {
                seen = Handoff.Spin(word, _event, SpinChunk);
                if (seen != _event)
                {
                    _event = seen;
                    return seen != 0;
                }
            }

            DropPermit();
            _handoffs.Failed();
        }

        Interlocked.Exchange(ref *(uint*)(_slot + Slot.SentrySleeps), 1);
        while ((seen = Volatile.Read(ref *word)) == _event)
            HostSyscall.FutexWait(word, _event);
        Volatile.Write(ref *(uint*)(_slot + Slot.SentrySleeps), 0);
        _event = seen;
        return seen != 0;
    }
}
