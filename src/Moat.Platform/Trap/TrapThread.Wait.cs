using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>The hand-off: reply, spin while that pays, sleep.</summary>
public sealed unsafe partial class TrapThread
{
    private const int FirstSpinNanoseconds = 6_000, ChunkNanoseconds = 3_000, SpinNanoseconds = 50_000;

    // After a spin in vain, or when somebody waits for a core, the next ones are left out: 1, 2, 4, ... times. Who spins asks again
    // after 16, 32, 64, ... hand-offs: a spin that takes somebody's core may well be answered, late.
    private const int MaxSkip = 1024, FirstCheck = 16, MaxCheck = 1024;

    private static readonly uint s_firstSpin = Handoff.Steps(FirstSpinNanoseconds);
    private static readonly uint s_stubSpins = Handoff.Steps(SpinNanoseconds);

    private int _disposed;
    private bool _active, _permit;
    private int _skip, _nextSkip = 1, _handoffs, _nextCheck;

    /// <summary>Steps of one spin between two looks at the budget, and how many of them are worth a sleep.</summary>
    internal static uint SpinChunk { get; } = Handoff.Steps(ChunkNanoseconds);

    internal static int SpinChunks => SpinNanoseconds / ChunkNanoseconds;

    /// <summary>The sentry thread sleeps until the next event.</summary>
    internal bool SentrySleeps => Volatile.Read(ref *(uint*)(_slot + Slot.SentrySleeps)) != 0;

    /// <summary>The stub thread sleeps until the next reply.</summary>
    internal bool StubSleeps => Volatile.Read(ref *(uint*)(_slot + Slot.StubSleeps)) != 0;

    /// <inheritdoc/>
    public override void BeginBlock() => Deactivate();

    /// <inheritdoc/>
    public override void EndBlock() => Activate();

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
    }

    private void Deactivate()
    {
        DropPermit();
        if (!_active)
            return;
        _active = false;
        CoreBudget.Leave();
    }

    // The permit belongs to the pair: whichever half waits may spin.
    private bool TakePermit()
    {
        if (_permit)
        {
            if (!CoreBudget.Fits)
            {
                DropPermit();
                return false;
            }

            if (++_handoffs < _nextCheck)
                return true;
            _handoffs = 0;
            _nextCheck = Math.Min(2 * _nextCheck, MaxCheck);
            if (CoreBudget.IsCrowded)
            {
                StopSpinning();
                return false;
            }

            _nextSkip = Math.Max(1, _nextSkip / 2);
            return true;
        }

        if (_skip > 0)
        {
            _skip--;
            return false;
        }

        if (!CoreBudget.TryTakePermit())
        {
            StopSpinning();
            return false;
        }

        _permit = true;
        (_handoffs, _nextCheck) = (0, FirstCheck);
        Volatile.Write(ref *(uint*)(_slot + Slot.Spins), s_stubSpins);
        return true;
    }

    private void StopSpinning()
    {
        DropPermit();
        _skip = _nextSkip;
        _nextSkip = Math.Min(2 * _nextSkip, MaxSkip);
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
        uint operation = _hasResult ? Slot.OpResult : Slot.OpResume;
        _hasResult = false;
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
            for (var left = SpinChunks; left > 0 && CoreBudget.Fits; left--)
            {
                seen = Handoff.Spin(word, _event, SpinChunk);
                if (seen != _event)
                {
                    _event = seen;
                    return seen != 0;
                }
            }

            StopSpinning();
        }

        Interlocked.Exchange(ref *(uint*)(_slot + Slot.SentrySleeps), 1);
        while ((seen = Volatile.Read(ref *word)) == _event)
            HostSyscall.FutexWait(word, _event);
        Volatile.Write(ref *(uint*)(_slot + Slot.SentrySleeps), 0);
        _event = seen;
        return seen != 0;
    }
}
