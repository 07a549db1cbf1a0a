using Iced.Intel;
using Moat.Host;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Platform.Trap;

/// <summary>The sentry's side of the hand-off, in machine code: reply, wake the stub if it sleeps, spin for its next event.</summary>
internal static unsafe class SlotExchange
{
    private const int SYS_futex = 202;

    // SAFETY: installed code that is never freed.
    private static readonly delegate* unmanaged<byte*, uint, uint, uint, ulong, uint> s_exchange = Install();

    /// <summary>
    /// Replies to event <paramref name="number"/> with an operation and its value, and spins at most
    /// <paramref name="steps"/> times until the event word differs from the number; not at all for a stub thread that was on this very core
    /// (see <see cref="SharesCore"/>). Returns the event word.
    /// </summary>
    public static uint Run(byte* slot, uint number, uint steps, uint operation, ulong value)
        => s_exchange(slot, number, steps, operation, value);

    /// <summary>True when the stub thread's last event and the last reply to it come from one core.</summary>
    public static bool SharesCore(byte* slot)
        => HostCpu.HasRdpid && *(ushort*)(slot + Slot.Kind) >> Slot.CoreShift == *(ushort*)(slot + Slot.Operation) >> Slot.CoreShift;

    private static delegate* unmanaged<byte*, uint, uint, uint, ulong, uint> Install()
    {
        // rdi slot, esi number, edx steps, ecx operation, r8 value. The stub polls the line that is written here, so it is
        // written in one go.
        var c = new Assembler(64);
        Label plain = c.CreateLabel(), spin = c.CreateLabel(), again = c.CreateLabel(), done = c.CreateLabel();
        c.mov(r10d, ecx);
        if (HostCpu.HasRdpid)
        {
            c.rdpid(r9);
            c.shl(r9d, Slot.CoreShift);
            c.or(ecx, r9d);
        }

        c.mov(eax, esi);
        c.cmp(r10d, Slot.OpResultLines);
        c.jne(plain);
        for (var i = 0; i < Slot.LineRanges; i++)
        {
            c.mov(r10, __qword_ptr[rdi + Slot.Lines + 8 * i]);
            c.mov(__qword_ptr[rdi + Slot.Result + 8 * (i + 1)], r10);
        }

        c.Label(ref plain);
        c.mov(__word_ptr[rdi + Slot.Operation], cx);
        c.mov(__qword_ptr[rdi + Slot.Result], r8);
        c.xchg(__dword_ptr[rdi + Slot.Command], eax);
        c.cmp(__dword_ptr[rdi + Slot.StubSleeps], 0);
        c.je(spin);
        c.push(rdi);
        c.push(rsi);
        c.push(rdx);
        c.lea(rdi, __[rdi + Slot.Command]);
        c.mov(esi, 1); // FUTEX_WAKE
        c.mov(edx, 1);
        c.xor(r10d, r10d);
        c.mov(eax, SYS_futex);
        c.syscall();
        c.pop(rdx);
        c.pop(rsi);
        c.pop(rdi);
        c.Label(ref spin);
        if (HostCpu.HasRdpid)
        {
            c.movzx(eax, __word_ptr[rdi + Slot.Kind]);
            c.xor(eax, r9d);
            c.shr(eax, Slot.CoreShift);
            c.cmovz(edx, eax);
        }

        c.Label(ref again);
        c.mov(eax, __dword_ptr[rdi + Slot.Event]);
        c.cmp(eax, esi);
        c.jne(done);
        c.sub(edx, 1);
        c.jbe(done);
        c.pause();
        c.jmp(again);
        c.Label(ref done);
        c.ret();
        return (delegate* unmanaged<byte*, uint, uint, uint, ulong, uint>)MachineCode.Install(c);
    }
}
