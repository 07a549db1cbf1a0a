using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>A guest thread: a thread of a stub process and the slot that it shares with its sentry thread.</summary>
public sealed unsafe partial class TrapThread : GuestThread
{
    /// <summary>
    /// SIGUSR1. Not a real-time signal: those queue, fail when the queue is full, and a stale one costs a switch each.
    /// The guest's own signals never reach the host, so the number means nothing to it.
    /// </summary>
    internal const int InterruptSignal = 10;

    // State: who may be interrupted.
    private const int InGuest = 1, Pending = 2, Gone = 4;

    private readonly TrapAddressSpace _space;
    private readonly byte* _slot;
    private readonly ulong _stubSlot;
    private readonly int _tid;
    private int _state;
    private uint _event = 1;
    private bool _setFs, _setGs, _basesAreSet;
    private ulong _fsBase, _gsBase;
    private bool _exceptionIsCall;

    // TailsDone when it last went into guest code.
    private int _tailsSeen;

    internal TrapThread(TrapAddressSpace space, byte* slot, ulong stubSlot, int index, int tid)
    {
        _space = space;
        _slot = slot;
        _stubSlot = stubSlot;
        Index = index;
        _tid = tid;
    }

    internal int Index { get; }

    /// <summary>It executes guest code, or is about to.</summary>
    internal bool IsInGuest => (Volatile.Read(ref _state) & InGuest) != 0;

    /// <inheritdoc/>
    public override GuestFault Fault
    {
        get
        {
            ref GuestRegisters registers = ref Registers;
            var fault = new GuestFault { Signal = *(int*)(_slot + Slot.SignalNumber) };
            if (_exceptionIsCall)
            {
                // int 0x80 and its kin: what the processor raises where no such gate exists.
                const int SI_KERNEL = 0x80, GeneralProtection = 13;
                return fault with { Signal = TrapAddressSpace.SIGSEGV, Code = SI_KERNEL, TrapNumber = GeneralProtection };
            }

            fault.Code = *(int*)(_slot + Slot.SignalCode);
            fault.TrapNumber = registers.TrapNo;
            fault.ErrorCode = registers.Err;
            ulong info = *(ulong*)(_slot + Slot.SignalInfo);
            if (InSlot(info, Slot.InfoSize))
                fault.Address = *(ulong*)(_slot + (info - _stubSlot) + Slot.InfoAddress);
            return fault;
        }
    }

    /// <inheritdoc/>
    public override ulong FsBase
    {
        get
        {
            // The fast path does not tell it.
            if (_fast)
                Frame();
            return _setFs || !_space.Platform.HasFsGsBase ? _fsBase : *(ulong*)(_slot + Slot.FsBase);
        }

        set => SetBase(value, ref _fsBase, ref _setFs);
    }

    /// <inheritdoc/>
    public override ulong GsBase
    {
        // Until the guest wants it, the register holds the slot's address, for patched calls.
        get => _guestHasGs ? _setGs || !_space.Platform.HasFsGsBase ? _gsBase : *(ulong*)(_slot + Slot.GsBase) : 0;
        set
        {
            if (value == 0 && !_guestHasGs)
                return;
            _guestHasGs = true;
            _space.StopPatching();
            SetBase(value, ref _gsBase, ref _setGs);
        }
    }

    /// <inheritdoc/>
    public override StopReason Switch()
    {
        if ((Volatile.Read(ref _state) & Gone) != 0)
            return StopReason.Died;
        Activate();
        while (true)
        {
            if (Interlocked.CompareExchange(ref _state, InGuest, 0) != 0)
            {
                Interlocked.And(ref _state, ~Pending);
                return StopReason.Interrupted;
            }

            PrepareResume();
            bool alive = Exchange();
            _frame = null;
            _fast = false;
            int state = Interlocked.Exchange(ref _state, 0);
            if (!alive)
                return Die();
            switch (Kind)
            {
                case Slot.KindFast when _space.Patches is not null:
                    _fast = true;
                    FetchGathered();
                    return StopReason.Syscall;
                case Slot.KindCall:
                    NoteTrap();
                    return StopReason.Syscall;
            }

            if (ClassifySignal() is { } reason)
                return reason;
            // The interrupt, or a signal from outside. One that belongs to a request which is gone already is nobody's.
            if ((state & Pending) != 0)
                return StopReason.Interrupted;
        }
    }

    /// <inheritdoc/>
    public override void Interrupt()
    {
        int state = Interlocked.Or(ref _state, Pending);
        if ((state & (InGuest | Pending | Gone)) == InGuest)
            _space.Signal(_tid, InterruptSignal);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        if ((Interlocked.Or(ref _state, Gone) & Gone) == 0)
        {
            Reply(Slot.OpExit);
        }

        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        LeaveHome();
        Deactivate();
        _space.Retire(this);
    }

    /// <summary>Waits for the trap that ends the thread's start. False when the thread or its stub ended.</summary>
    internal bool AwaitStart()
    {
        if (!Wait(spin: false))
            return false;
        _space.Platform.LearnFpu(new ReadOnlySpan<byte>(_slot, (int)Slot.Size), FpuOffset());
        Begin();
        return true;
    }

    /// <summary>Puts the thread, which is stopped, into the state in which a program begins.</summary>
    internal void Begin()
    {
        const ushort UserCode = 0x33, UserData = 0x2b;
        byte* frame = Frame();
        *(GuestRegisters*)(frame + Slot.ContextRegisters) = new GuestRegisters { Cs = UserCode, Ss = UserData, Rflags = 0x202 };
        ulong* stack = (ulong*)(frame + Slot.ContextStack);
        (stack[0], stack[1], stack[2]) = (_stubSlot + Slot.SignalStack, 0, Slot.Size - Slot.SignalStack);
        *(ulong*)(frame + Slot.ContextMask) = 0;
        ResetFpuState();
        SetBase(0, ref _fsBase, ref _setFs);
        _guestHasGs = !_space.CanPatch;
        if (!_guestHasGs)
            SetBase(_stubSlot, ref _gsBase, ref _setGs);
        *(ulong*)(_slot + Slot.Self) = _stubSlot;
        ForgetGather();
    }

    private int Kind => *(ushort*)(_slot + Slot.Kind) & Slot.KindMask;

    private StopReason? ClassifySignal()
    {
        int signal = *(int*)(_slot + Slot.SignalNumber);
        int code = *(int*)(_slot + Slot.SignalCode);
        _exceptionIsCall = false;
        switch (signal)
        {
            case TrapAddressSpace.SIGSYS when code == 1 /* SYS_SECCOMP */: // a call by another gate than syscall
                _exceptionIsCall = true;
                Registers.Rip -= 2; // the length of int 0x80
                return StopReason.Fault;
            case TrapAddressSpace.SIGILL when code > 0 && _space.Patches is { } patches && patches.IsOldCall(Registers.Rip):
                TakeOldCall();
                return StopReason.Syscall;
            case TrapAddressSpace.SIGSEGV or TrapAddressSpace.SIGBUS or TrapAddressSpace.SIGFPE
                or TrapAddressSpace.SIGILL or TrapAddressSpace.SIGTRAP when code > 0: // not by kill(2)
                return StopReason.Fault;
            default:
                return null;
        }
    }

    private StopReason Die()
    {
        // A thread that broke the protocol takes its process with it; a process that is dead already does not mind.
        Interlocked.Or(ref _state, Gone);
        if (*(uint*)(_slot + Slot.Event) != 0)
            _space.Kill();
        Deactivate();
        return StopReason.Died;
    }

    private void SetBase(ulong value, ref ulong field, ref bool changed)
    {
        // The stub cannot load anything else; the kernel has refused it (arch_prctl: EPERM).
        if (value >= 1UL << 47)
            return;
        field = value;
        changed = true;
    }

    private void PrepareResume()
    {
        if (_fast && (_setFs || _setGs))
            Frame();
        if (_space.Patches is { } patches)
        {
            if (_frame != null || (!_fast && _space.TailsBegun != _tailsSeen))
                Registers.Rip = patches.ToStub(Registers.Rip);
            _tailsSeen = _space.TailsDone;
        }

        if (!_setFs && !_setGs && !_basesAreSet)
            return;
        ulong* arguments = (ulong*)(_slot + Slot.CommandArguments);
        arguments[1] = _fsBase;
        arguments[2] = _gsBase;
        arguments[0] = (_setFs ? 1u : 0) | (_setGs ? 2u : 0);
        _basesAreSet = _setFs || _setGs;
        _setFs = _setGs = false;
    }
}
