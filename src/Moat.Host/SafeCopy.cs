using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Host;

/// <summary>
/// Access to memory that may fault: mappings of host files that someone truncates. A fault ends the access and nothing
/// else. Machine code, because managed code must never touch such memory.
/// </summary>
/// <remarks>
/// The handlers of SIGSEGV and SIGBUS that are installed here know the few instructions that may fault by their
/// addresses and continue at a fix-up; every other fault goes on to the handler that was there before, the runtime's own.
/// </remarks>
public static unsafe class SafeCopy
{
    private const int SIGBUS = 7, SIGSEGV = 11, SYS_rt_sigaction = 13;

    // Offset of RIP in the host's struct ucontext.
    private const int ContextRip = 168;

    // SAFETY: installed code that is never freed; the handlers are in place before the first call.
    private static readonly delegate* unmanaged<void*, void*, nuint, nuint> s_copy;
    private static readonly delegate* unmanaged<uint*, uint, uint, uint*, int> s_compareExchange;
    private static readonly delegate* unmanaged<uint*, uint*, int> s_load;

    static SafeCopy()
    {
        var c = new Assembler(64);
        Label load = c.CreateLabel(), compareExchange = c.CreateLabel();
        Label[] labels = new Label[8];
        for (var i = 0; i < labels.Length; i++)
            labels[i] = c.CreateLabel();
        Copy(c, labels);
        Words(c, ref load, ref compareExchange, labels);
        byte* code = (byte*)MachineCode.Install(c, out AssemblerResult at);
        s_copy = (delegate* unmanaged<void*, void*, nuint, nuint>)code;
        s_load = (delegate* unmanaged<uint*, uint*, int>)at.GetLabelRIP(load);
        s_compareExchange = (delegate* unmanaged<uint*, uint, uint, uint*, int>)at.GetLabelRIP(compareExchange);

        // Start, end and fix-up of what may fault.
        (ulong Start, ulong End, ulong FixUp)[] table =
        [
            (At(0), At(1), At(1)), // the wide loop: the byte loop goes on from where it stands
            (At(1), At(2), At(2)), // the byte loop: rcx tells what is left
            (At(3), At(4), At(7)),
            (At(5), At(6), At(7)),
        ];
        Chain(SIGSEGV, table);
        Chain(SIGBUS, table);

        ulong At(int label) => at.GetLabelRIP(labels[label]);
    }

    /// <summary>Copies bytes until one of either side faults. Returns how many were not copied. The ranges must not overlap.</summary>
    public static nuint Copy(void* destination, void* source, nuint length) => s_copy(destination, source, length);

    /// <summary>
    /// Compares and exchanges an aligned word atomically; what was there goes to <paramref name="seen"/>. False when it faulted.
    /// </summary>
    public static bool CompareExchange32(uint* word, uint expected, uint value, out uint seen)
    {
        uint result = 0;
        // SAFETY: result lives on this stack, which does not fault.
        bool done = s_compareExchange(word, expected, value, &result) != 0;
        seen = result;
        return done;
    }

    /// <summary>Reads an aligned word atomically. False when it faulted.</summary>
    public static bool Load32(uint* word, out uint value)
    {
        uint result = 0;
        // SAFETY: result lives on this stack, which does not fault.
        bool done = s_load(word, &result) != 0;
        value = result;
        return done;
    }

    // rdi destination, rsi source, rdx length; rax: bytes left. Labels 0 to 2: wide loop, byte loop, end.
    private static void Copy(Assembler c, Label[] labels)
    {
        c.mov(rcx, rdx);
        c.Label(ref labels[0]);
        if (HostCpu.HasAvx)
        {
            // Counters move after a whole step: a fault within one leaves them at its start.
            Label loop = c.CreateLabel(), last = c.CreateLabel();
            c.cmp(rcx, 128);
            c.jb(last);
            c.Label(ref loop);
            for (var i = 0; i < 4; i++)
                c.vmovdqu(s_wide[i], __ymmword_ptr[rsi + 32 * i]);
            for (var i = 0; i < 4; i++)
                c.vmovdqu(__ymmword_ptr[rdi + 32 * i], s_wide[i]);
            c.add(rsi, 128);
            c.add(rdi, 128);
            c.sub(rcx, 128);
            c.cmp(rcx, 128);
            c.jae(loop);
            c.Label(ref labels[1]);
            c.vzeroupper();
            c.Label(ref last);
        }
        else
        {
            c.nop();
            c.Label(ref labels[1]);
        }

        c.rep.movsb();
        c.Label(ref labels[2]);
        c.mov(rax, rcx);
        c.ret();
    }

    // Labels 3 to 6: the two instructions that may fault; 7: the answer of those that did.
    private static void Words(Assembler c, ref Label load, ref Label compareExchange, Label[] labels)
    {
        c.Label(ref load);
        c.nop();
        c.Label(ref labels[3]);
        c.mov(eax, __dword_ptr[rdi]);
        c.Label(ref labels[4]);
        c.mov(__dword_ptr[rsi], eax);
        c.mov(eax, 1);
        c.ret();

        // rdi word, esi expected, edx value, rcx seen
        c.Label(ref compareExchange);
        c.mov(eax, esi);
        c.Label(ref labels[5]);
        c.@lock.cmpxchg(__dword_ptr[rdi], edx);
        c.Label(ref labels[6]);
        c.mov(__dword_ptr[rcx], eax);
        c.mov(eax, 1);
        c.ret();
        c.Label(ref labels[7]);
        c.xor(eax, eax);
        c.ret();
    }

    private static readonly AssemblerRegisterYMM[] s_wide = [ymm0, ymm1, ymm2, ymm3];

    // Puts a handler before the one that is there, with its flags, mask and restorer.
    private static void Chain(int signal, ReadOnlySpan<(ulong Start, ulong End, ulong FixUp)> table)
    {
        // struct sigaction of the host: handler, flags, restorer, mask. It outlives this call: a default action is put back.
        ulong* old = (ulong*)System.Runtime.InteropServices.NativeMemory.AllocZeroed(4 * sizeof(ulong));
        HostException.Check(HostSyscall.Call(SYS_rt_sigaction, signal, 0, (long)old, 8), "reading a signal's action");
        ulong* set = stackalloc ulong[4] { old[0], old[1], old[2], old[3] };
        if (old[0] <= 1)
        {
            // NativeAOT handles no SIGBUS: SIGSEGV's settings do.
            ulong* other = stackalloc ulong[4];
            HostException.Check(HostSyscall.Call(SYS_rt_sigaction, SIGSEGV, 0, (long)other, 8), "reading a signal's action");
            (set[1], set[2], set[3]) = (other[1], other[2], other[3]);
        }

        var c = new Assembler(64);
        Label miss = c.CreateLabel(), hit = c.CreateLabel();
        c.mov(rax, __qword_ptr[rdx + ContextRip]);
        foreach ((ulong start, ulong end, ulong fixUp) in table)
        {
            Label next = c.CreateLabel();
            c.mov(r8, start);
            c.cmp(rax, r8);
            c.jb(next);
            c.mov(r8, end);
            c.cmp(rax, r8);
            c.jae(next);
            c.mov(r8, fixUp);
            c.jmp(hit);
            c.Label(ref next);
            c.nop();
        }

        c.jmp(miss);
        c.Label(ref hit);
        c.mov(__qword_ptr[rdx + ContextRip], r8);
        c.ret();
        c.Label(ref miss);
        if (old[0] > 1)
        {
            c.mov(rax, old[0]);
            c.jmp(rax);
        }
        else
        {
            // The default action again: the fault repeats and ends the process as it would have.
            c.mov(rsi, (ulong)old);
            c.xor(edx, edx);
            c.mov(r10d, 8);
            c.mov(eax, SYS_rt_sigaction);
            c.syscall();
            c.ret();
        }

        set[0] = (ulong)MachineCode.Install(c);
        HostException.Check(HostSyscall.Call(SYS_rt_sigaction, signal, (long)set, 0, 8), "a signal handler");
    }
}
