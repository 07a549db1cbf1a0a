using System.Runtime.InteropServices;

namespace Moat.Platform.Trap;

/// <summary>The signal frame that holds the guest's state, fetched when somebody asks.</summary>
public sealed unsafe partial class TrapThread
{
    // Stands in for a frame whose address the guest has made impossible; its thread is on the way to its death.
    private static readonly byte* s_noFrame = (byte*)NativeMemory.AllocZeroed((nuint)Slot.Size);

    // Null until asked for; the address comes from guest memory and is judged once for each stop.
    private byte* _frame;
    private bool _hasResult;
    private ulong _result;

    /// <inheritdoc/>
    public override ref GuestRegisters Registers => ref *(GuestRegisters*)(Frame() + Slot.ContextRegisters);

    /// <inheritdoc/>
    public override GuestCall Call
    {
        get
        {
            // What the guest writes there meanwhile is an argument like another.
            ulong* words = (ulong*)(_slot + Slot.Arguments);
            return new GuestCall
            {
                Number = *(uint*)(_slot + Slot.Number),
                A0 = words[0],
                A1 = words[1],
                A2 = words[2],
                A3 = words[3],
                A4 = words[4],
                A5 = words[5],
            };
        }
    }

    /// <inheritdoc/>
    public override void SetResult(ulong value)
    {
        _result = value;
        _hasResult = true;
    }

    private byte* Frame()
    {
        if (_frame == null && (!_fast || TrapAgain()))
        {
            ulong context = Volatile.Read(ref *(ulong*)(_slot + Slot.Context));
            if ((context & 7) == 0 && InSlot(context, Slot.ContextEnd))
            {
                _frame = _slot + (context - _stubSlot);
                if (_fast)
                    ((GuestRegisters*)(_frame + Slot.ContextRegisters))->Rip = _space.Patches!.ToGuest(Volatile.Read(ref *(ulong*)(_slot + Slot.FastRip)));
            }
            else
            {
                _space.Kill();
                _frame = s_noFrame;
            }
        }

        _fast = false;
        if (_hasResult)
        {
            _hasResult = false;
            *(ulong*)(_frame + Slot.ContextRax) = _result;
        }

        return _frame;
    }

    private bool InSlot(ulong address, ulong length)
        => address >= _stubSlot + Slot.SignalStack && address <= _stubSlot + Slot.Size - length;
}
