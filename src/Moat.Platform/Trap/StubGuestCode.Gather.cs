using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Platform.Trap;

/// <summary>
/// What the stub does for the sentry before it tells of an io_uring_enter(2): it gathers the entries that the program has just written, which are
/// in this core's cache, into few lines of its slot, without what is zero. A line that goes to the other core and is written here again
/// costs two transfers; so the entries stay.
/// </summary>
internal sealed partial class StubGuestCode
{
    internal const int SYS_io_uring_enter = 426;

    // eax number, edi descriptor, esi entries: kept; flags and rcx are lost. The program may have unmapped its ring: a fault ends it, see
    // CheckGatherFault.
    private void Gather()
    {
        Assembler c = Code;
        Label next = c.CreateLabel(), direct = c.CreateLabel(), others = c.CreateLabel(), added = c.CreateLabel();
        Label publish = c.CreateLabel(), none = c.CreateLabel();
        c.cmp(eax, SYS_io_uring_enter);
        c.jne(none);
        c.cmp(esi, Slot.LeastGathered);
        c.jb(none);
        c.cmp(edi, Dword(Slot.GatherDescriptor));
        c.jne(none);
        SaveLost();
        c.Label(ref _gather);
        // rdi entries, rsi array or 0, edx first place, ecx entries so far, r8d at most, r9d mask, r10 bytes of words, r11 entry; rax is lost.
        c.mov(rdi, Qword(Slot.GatherEntries));
        c.mov(r9d, Dword(Slot.GatherMask));
        c.mov(r8d, esi);
        c.mov(rsi, Qword(Slot.GatherArray));
        c.mov(rdx, Qword(Slot.GatherWords));
        c.mov(eax, __dword_ptr[rdx + 4]);
        c.mov(edx, __dword_ptr[rdx]);
        c.sub(eax, edx);
        c.cmp(r8d, eax);
        c.cmova(r8d, eax);
        c.mov(eax, Slot.MostGathered);
        c.cmp(r8d, eax);
        c.cmova(r8d, eax);
        c.xor(ecx, ecx);
        c.xor(r10d, r10d);
        for (var i = 0; i < Slot.MostGathered; i += 8)
            c.mov(Qword(Slot.GatheredParts + i), r10);
        c.test(r8d, r8d);
        c.jz(publish);
        c.Label(ref next);
        c.lea(eax, __[rdx + rcx]);
        c.and(eax, r9d);
        c.test(rsi, rsi);
        c.jz(direct);
        c.mov(eax, __dword_ptr[rsi + rax * 4]);
        c.cmp(eax, r9d);
        c.ja(publish);
        c.Label(ref direct);
        c.shl(rax, 6);
        c.lea(r11, __[rdi + rax]);
        Copy(from: 0, to: 0);
        Copy(from: 4, to: 1);
        c.add(r10, 2 * 8);
        c.mov(rax, __qword_ptr[r11 + 8]);
        foreach (var word in (ReadOnlySpan<int>)[2, 3, 5, 6, 7])
            c.or(rax, __qword_ptr[r11 + 8 * word]);
        c.jnz(others);
        c.Label(ref added);
        c.inc(ecx);
        c.cmp(ecx, r8d);
        c.jb(next);

        c.Label(ref publish);
        c.mov(Dword(Slot.GatheredFirst), edx);
        c.mov(Dword(Slot.GatheredCount), ecx);
        c.mov(Dword(Slot.GatheredBytes), r10d);
        c.mov(eax, Dword(Slot.Event));
        c.mov(Dword(Slot.GatheredEvent), eax);
        c.jmp(_gatherEnd);

        c.Label(ref others);
        AddPart(1, Slot.HasAddresses);
        AddPart(5, Slot.HasOthers);
        c.jmp(added);
        c.Label(ref _gatherEnd);
        RestoreLost();
        c.mov(eax, SYS_io_uring_enter);
        c.Label(ref none);
        c.nop();
    }

    private void Copy(int from, int to)
    {
        Code.mov(rax, __qword_ptr[r11 + 8 * from]);
        Code.mov(__qword_ptr.gs[r10 + Slot.GatheredWords + 8 * to], rax);
    }

    // Three words in a row, if one of them is not zero.
    private void AddPart(int from, int part)
    {
        Assembler c = Code;
        Label zero = c.CreateLabel();
        c.mov(rax, __qword_ptr[r11 + 8 * from]);
        c.or(rax, __qword_ptr[r11 + 8 * (from + 1)]);
        c.or(rax, __qword_ptr[r11 + 8 * (from + 2)]);
        c.jz(zero);
        for (var i = 0; i < 3; i++)
            Copy(from + i, i);
        c.add(r10, 3 * 8);
        c.or(__byte_ptr.gs[rcx + Slot.GatheredParts], part);
        c.Label(ref zero);
        c.nop();
    }

    // A fault among the entries: nothing is gathered. As in CheckFastPath: rdx ucontext; r8, r9 are lost.
    private void CheckGatherFault(Label signal)
    {
        Assembler c = Code;
        c.mov(r8, __qword_ptr[rdx + Slot.ContextRip]);
        c.lea(r9, __[_gather]);
        c.cmp(r8, r9);
        c.jb(signal);
        c.lea(r9, __[_gatherEnd]);
        c.cmp(r8, r9);
        c.jae(signal);
        c.mov(__qword_ptr[rdx + Slot.ContextRip], r9);
        c.mov(rsp, rdx);
        c.mov(eax, SYS_rt_sigreturn);
        c.syscall();
        c.hlt();
    }
}
