using System.Numerics;
using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>Calls from patched sites: no trap, no frame until somebody asks for one.</summary>
public sealed unsafe partial class TrapThread
{
    private const int HotSlots = 64, HotCount = 4, SampleEvery = 4;

    // Call sites that trapped lately, by their address.
    private readonly ulong[] _trapSites = new ulong[HotSlots];
    private readonly int[] _trapCounts = new int[HotSlots];
    private int _traps;
    private ulong _hotCall;

    // The event is a FAST one and its frame has not been asked for; the guest has set its GS base.
    private bool _fast, _guestHasGs;

    // What Expect was told goes with the reply.
    private bool _hasLines;

    /// <inheritdoc/>
    public override ulong TakeHotCall()
    {
        ulong site = _hotCall;
        _hotCall = 0;
        return site;
    }

    /// <inheritdoc/>
    public override void Expect(in GuestLines lines)
    {
        // A thread that goes back by rt_sigreturn has other delays.
        if (!_fast)
            return;
        GuestLines* own = (GuestLines*)(_slot + Slot.Lines);
        *own = lines;
        if (_hasGathered)
            own->Requests = GuestLines.Range(_stubSlot + Slot.GatheredEvent, GatheredLines * CacheLines.Size);
        _hasGathered = false;
        _hasLines = true;
    }

    private void NoteTrap()
    {
        if (++_traps % SampleEvery != 0 || !_space.CanPatch)
            return;
        ulong site = Registers.Rip - 2;
        var i = (int)(site >> 1) & (HotSlots - 1);
        if (_trapSites[i] != site)
        {
            _trapSites[i] = site;
            _trapCounts[i] = 0;
        }

        // Again after twice as many: other threads may have been in the way.
        int count = ++_trapCounts[i];
        if (count >= HotCount && BitOperations.IsPow2(count) && site < StubLayout.GuestMax)
            _hotCall = site;
    }

    // Makes the stub repeat the call as a trap, whose frame has all registers. False: no frame, the thread is to die.
    private bool TrapAgain()
    {
        bool hasResult = _hasResult;
        bool alive = Exchange(Slot.OpTrap, 0);
        _hasResult = hasResult;
        if (alive && Kind == Slot.KindCall)
            return true;
        Interlocked.Or(ref _state, Gone);
        _space.Kill();
        _frame = s_noFrame;
        return false;
    }

    // The guest jumped to a system call instruction that a patch has replaced: what it wanted is in its registers.
    private void TakeOldCall()
    {
        ref GuestRegisters r = ref Registers;
        r.Rip += 2;
        ulong* words = (ulong*)(_slot + Slot.Arguments);
        *(uint*)(_slot + Slot.Number) = (uint)r.Rax;
        (words[0], words[1], words[2], words[3], words[4], words[5]) = (r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9);
    }
}
