using Iced.Intel;
using Moat.Host;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Platform.Trap;

/// <summary>
/// The fast path: a patched call site jumps here (see <see cref="CallPatches"/>) with the number in eax and where to return in rcx.
/// As after a system call instruction, rcx, r11 and the flags are lost and all else is kept; the guest's stack is not touched.
/// </summary>
internal sealed partial class StubGuestCode
{
    // Registers that the stub uses while it sleeps or gathers.
    private static readonly AssemblerRegister64[] s_lost = [rdi, rsi, rdx, r10, r8, r9];

    // The order of places in the code; an interrupt is judged by where it lands.
    private Label _fast, _published, _sleeps, _woken, _gather, _gatherEnd, _tail, _fastEnd;

    /// <summary>Where patched call sites go; an offset in the page, known once the code is assembled.</summary>
    public Label FastEntry => _fast;

    private static AssemblerMemoryOperand Dword(int field) => __dword_ptr.gs[(ulong)field];

    private static AssemblerMemoryOperand Qword(int field) => __qword_ptr.gs[(ulong)field];

    private void CreateFastLabels()
    {
        _fast = Code.CreateLabel();
        _published = Code.CreateLabel();
        _sleeps = Code.CreateLabel();
        _woken = Code.CreateLabel();
        _gather = Code.CreateLabel();
        _gatherEnd = Code.CreateLabel();
        _tail = Code.CreateLabel();
        _fastEnd = Code.CreateLabel();
    }

    private void FastPath()
    {
        Assembler c = Code;
        Label number = c.CreateLabel(), turn = c.CreateLabel(), spin = c.CreateLabel(), wait = c.CreateLabel(), save = c.CreateLabel();
        Label again = c.CreateLabel(), trap = c.CreateLabel(), sleep = c.CreateLabel(), lines = c.CreateLabel();
        c.Label(ref _fast);
        c.mov(Qword(Slot.FastRip), rcx);
        Gather();
        c.mov(Dword(Slot.Number), eax);
        if (_tellsCore)
        {
            c.rdpid(rcx);
            c.shl(ecx, Slot.CoreShift);
            c.or(ecx, Slot.KindFast);
            c.mov(__word_ptr.gs[(ulong)Slot.Kind], cx);
        }
        else
        {
            c.mov(__word_ptr.gs[(ulong)Slot.Kind], Slot.KindFast);
        }

        AssemblerRegister64[] arguments = [rdi, rsi, rdx, r10, r8, r9];
        for (var i = 0; i < arguments.Length; i++)
            c.mov(Qword(Slot.Arguments + 8 * i), arguments[i]);
        c.mov(ecx, Dword(Slot.Event));
        c.inc(ecx);
        c.jnz(number);
        c.inc(ecx);
        c.Label(ref number);
        c.mov(r11d, ecx);
        c.xchg(Dword(Slot.Event), ecx);
        c.Label(ref _published);
        c.cmp(Dword(Slot.SentrySleeps), 0);
        c.jne(save);
        c.Label(ref wait);
        SleepBesideSentry(__word_ptr.gs[(ulong)Slot.Kind], __word_ptr.gs[(ulong)Slot.Operation], save);
        c.mov(r11d, Dword(Slot.Event));
        c.xor(ecx, ecx);
        c.Label(ref spin);
        c.cmp(Dword(Slot.Command), r11d);
        c.je(_tail);
        c.cmp(ecx, Dword(Slot.Spins));
        c.jae(save);
        c.pause();
        c.inc(ecx);
        c.jmp(spin);

        // Host calls need registers; until they are back, an interrupt takes them from the slot. ecx: steps that were spun.
        c.Label(ref save);
        SaveLost();
        c.Label(ref _sleeps);
        c.mov(rdi, Qword(Slot.Self));
        c.cmp(Dword(Slot.SentrySleeps), 0);
        c.je(sleep);
        c.mov(esi, 1); // FUTEX_WAKE
        c.mov(edx, 1);
        c.xor(r10d, r10d);
        c.mov(eax, SYS_futex);
        c.syscall();
        c.Label(ref sleep);
        c.mov(eax, 1);
        c.xchg(Dword(Slot.StubSleeps), eax);
        c.Label(ref again);
        c.mov(edx, Dword(Slot.Command));
        c.cmp(edx, Dword(Slot.Event));
        c.je(_woken);
        c.mov(rdi, Qword(Slot.Self));
        c.add(rdi, Slot.Command);
        c.xor(esi, esi); // FUTEX_WAIT
        c.xor(r10d, r10d);
        c.mov(eax, SYS_futex);
        c.syscall();
        c.jmp(again);
        c.Label(ref _woken);
        c.mov(Dword(Slot.StubSleeps), 0);
        RestoreLost();
        c.Label(ref _tail);
        c.movzx(ecx, __word_ptr.gs[(ulong)Slot.Operation]);
        c.and(ecx, Slot.KindMask);
        c.cmp(ecx, Slot.OpResult);
        c.jne(lines);
        c.mov(rax, Qword(Slot.Result));
        c.jmp(Qword(Slot.FastRip));
        c.Label(ref lines);
        c.cmp(ecx, Slot.OpResultLines);
        c.jne(trap);
        for (var i = 1; i <= Slot.LineRanges; i++)
            Fetch(Slot.Result + 8 * i, forWriting: i != 1);
        c.mov(rax, Qword(Slot.Result));
        c.jmp(Qword(Slot.FastRip));
        c.Label(ref trap);
        c.mov(eax, Dword(Slot.Number));
        c.cmp(ecx, Slot.OpTrap);
        c.mov(rcx, (long)(StubLayout.Data + StubLayout.TrapInstruction));
        Label exit = c.CreateLabel();
        c.jne(exit);
        c.jmp(rcx);
        c.Label(ref exit);
        c.xor(edi, edi);
        c.mov(eax, SYS_exit);
        c.syscall();
        c.hlt();
        c.Label(ref _fastEnd);
        c.nop();
    }

    private void SaveLost()
    {
        for (var i = 0; i < s_lost.Length; i++)
            Code.mov(Qword(Slot.FastSaved + 8 * i), s_lost[i]);
    }

    private void RestoreLost()
    {
        for (var i = 0; i < s_lost.Length; i++)
            Code.mov(s_lost[i], Qword(Slot.FastSaved + 8 * i));
    }

    // Fetches a range of lines as GuestLines packs it; addresses are the guest's affair, nothing faults. rcx, r11 and the flags are lost.
    private void Fetch(int field, bool forWriting)
    {
        Assembler c = Code;
        Label none = c.CreateLabel();
        c.mov(rcx, Qword(field));
        c.mov(r11, rcx);
        c.shr(r11, GuestLines.CountShift);
        c.jz(none);
        c.shl(rcx, 64 - GuestLines.CountShift);
        c.shr(rcx, 64 - GuestLines.CountShift);
        CacheLines.EmitLoop(c, rcx, r11d, forWriting);
        c.Label(ref none);
        c.nop();
    }

    // The interrupt found the thread somewhere. In guest code: an event like another. In the fast path before its event is out, or
    // while the sentry has that event: the sentry gets or has control, so the handler returns. When the reply is there: the call is
    // completed in the frame, and the thread is in guest code.
    // rbx slot, rdx ucontext, rdi signal, rsi siginfo, eax si_code, ecx si_arch.
    private void CheckFastPath(Label signal)
    {
        Assembler c = Code;
        Label entries = c.CreateLabel(), ignore = c.CreateLabel(), complete = c.CreateLabel(), finish = c.CreateLabel(), replied = c.CreateLabel();
        c.mov(r8, __qword_ptr[rdx + Slot.ContextRip]);
        c.lea(r9, __[_fast]);
        c.cmp(r8, r9);
        c.jb(entries);
        c.lea(r9, __[_fastEnd]);
        c.cmp(r8, r9);
        c.jae(entries);
        c.lea(r9, __[_published]);
        c.cmp(r8, r9);
        c.jb(ignore);
        c.mov(r10d, __dword_ptr[rbx + Slot.Event]);
        c.cmp(r10d, __dword_ptr[rbx + Slot.Command]);
        c.jne(ignore);
        c.movzx(r9d, __word_ptr[rbx + Slot.Operation]);
        c.and(r9d, Slot.KindMask);
        c.cmp(r9d, Slot.OpResult);
        c.je(replied);
        c.cmp(r9d, Slot.OpResultLines);
        c.jne(ignore);
        c.Label(ref replied);
        c.lea(r9, __[_sleeps]);
        c.cmp(r8, r9);
        c.jb(complete);
        c.lea(r9, __[_tail]);
        c.cmp(r8, r9);
        c.jae(complete);
        // As in s_lost: positions in mcontext_t.
        ReadOnlySpan<int> lost = [8, 9, 12, 2, 0, 1];
        for (var i = 0; i < lost.Length; i++)
        {
            c.mov(r9, __qword_ptr[rbx + Slot.FastSaved + 8 * i]);
            c.mov(__qword_ptr[rdx + Slot.ContextRegisters + 8 * lost[i]], r9);
        }

        c.mov(__dword_ptr[rbx + Slot.StubSleeps], 0);
        c.Label(ref complete);
        c.mov(r9, __qword_ptr[rbx + Slot.Result]);
        c.mov(__qword_ptr[rdx + Slot.ContextRax], r9);
        c.mov(r9, __qword_ptr[rbx + Slot.FastRip]);
        c.mov(__qword_ptr[rdx + Slot.ContextRip], r9);
        c.jmp(signal);

        c.Label(ref entries);
        c.mov(r9, (long)StubLayout.PatchCode);
        c.cmp(r8, r9);
        c.jb(finish);
        c.mov(r9, (long)StubLayout.PatchTails);
        c.cmp(r8, r9);
        c.jb(ignore);
        c.Label(ref finish);
        c.mov(r9, (long)(StubLayout.Data + StubLayout.TrapInstruction));
        c.cmp(r8, r9);
        c.jne(signal);
        c.Label(ref ignore);
        c.mov(rsp, rdx);
        c.mov(eax, SYS_rt_sigreturn);
        c.syscall();
        c.hlt();
    }
}
