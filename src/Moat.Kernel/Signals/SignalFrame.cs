using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Kernel.Syscalls;
using Moat.Platform;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Signals;

/// <summary>
/// The frame that a signal handler finds on its stack, as Linux lays it out on x86-64 (struct rt_sigframe;
/// include/uapi/asm/ucontext.h, sigcontext.h): return address, ucontext, siginfo, and above them the FPU state.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SignalFrame
{
    private const ulong UC_FP_XSTATE = 1, UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4;
    private const ulong RedZone = 128, ContextOffset = 8, InfoOffset = 312;
    private const ushort UserCodeSegment = 0x33, UserStackSegment = 0x2b;
    private const ulong CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, TF = 0x100, DF = 0x400, OF = 0x800, RF = 0x10000,
        AC = 0x40000;

    /// <summary>The flags that a handler may change in the code it interrupted.</summary>
    private const ulong RestorableFlags = AC | OF | DF | TF | SF | ZF | AF | PF | CF | RF;

    private ulong _returnAddress;
    private ulong _ucFlags, _ucLink;
    private SignalStack _ucStack;
    private GuestRegisters _registers;
    private ulong _fpState;
    private Reserved _reserved;
    private ulong _ucMask;
    private SigInfo _info;

    [InlineArray(8)]
    private struct Reserved
    {
        private ulong _first;
    }

    /// <summary>
    /// Makes a handler's frame and points the registers at the handler. <paramref name="mask"/> is what sigreturn restores. False: the
    /// stack cannot be written or the action has no restorer.
    /// </summary>
    public static bool Push(Task task, in SigInfo info, in SigAction action, ulong mask)
    {
        if ((action.Flags & SigActionFlags.SA_RESTORER) == 0)
            return false;
        GuestRegisters regs = task.Thread.Registers;
        SignalStack alternate = task.AlternateStack;
        ulong sp = regs.Rsp - RedZone;
        bool onAlternate = IsOn(in alternate, regs.Rsp), enters = false;
        if ((action.Flags & SigActionFlags.SA_ONSTACK) != 0 && alternate.Size != 0 && !onAlternate)
        {
            sp = alternate.Base + alternate.Size;
            enters = true;
        }
        ReadOnlySpan<byte> fpu = task.Thread.FpuState;
        ulong fpuAddress = (sp - (ulong)fpu.Length) & ~63UL;
        ulong address = ((fpuAddress - (ulong)Unsafe.SizeOf<SignalFrame>()) & ~15UL) - 8;
        // A frame that does not fit the alternate stack would overwrite what lies below it.
        if ((onAlternate || enters) && alternate.Size != 0 && !Contains(in alternate, address))
            return false;

        SignalFrame frame = default;
        frame._returnAddress = action.Restorer;
        frame._ucFlags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
        frame._ucStack = alternate;
        frame._ucStack.Pad = 0;
        frame._registers = regs;
        frame._registers.Cs = UserCodeSegment;
        frame._registers.Ss = UserStackSegment;
        frame._registers.Gs = frame._registers.Fs = 0;
        frame._registers.Err = task.FaultError;
        frame._registers.TrapNo = task.FaultTrap;
        frame._registers.Cr2 = task.FaultAddress;
        frame._registers.OldMask = mask;
        frame._fpState = fpuAddress;
        frame._ucMask = mask;
        if ((action.Flags & SigActionFlags.SA_SIGINFO) != 0)
            frame._info = info;
        if (task.Mm.CopyOut(new UserPtr(fpuAddress), fpu) != Errno.OK
            || task.Mm.Write(new UserPtr<SignalFrame>(address), in frame) != Errno.OK)
            return false;

        ref GuestRegisters live = ref task.Thread.Registers;
        live.Rdi = (ulong)info.Signo;
        live.Rsi = address + InfoOffset;
        live.Rdx = address + ContextOffset;
        live.Rax = 0;
        live.Rip = action.Handler;
        live.Rsp = address;
        live.Rflags = regs.Rflags & ~(DF | RF | TF);
        live.Cs = UserCodeSegment;
        live.Ss = UserStackSegment;
        return true;
    }

    /// <summary>
    /// rt_sigreturn(2): takes everything back from the frame above the stack pointer. Every word may be forged. False: the
    /// frame is not readable or not acceptable.
    /// </summary>
    public static bool Pop(Task task)
    {
        ulong address = task.Thread.Registers.Rsp - 8;
        if (task.Mm.Read(new UserPtr<SignalFrame>(address), out SignalFrame frame) != Errno.OK)
            return false;
        task.SetBlocked(frame._ucMask);
        GuestRegisters regs = frame._registers;
        // 32-bit code and foreign segments do not exist here.
        if ((regs.Cs | 3) != UserCodeSegment)
            return false;
        ref GuestRegisters live = ref task.Thread.Registers;
        ulong flags = (live.Rflags & ~RestorableFlags) | (regs.Rflags & RestorableFlags);
        live = regs;
        live.Rflags = flags;
        live.Cs = UserCodeSegment;
        live.Ss = UserStackSegment;
        live.Gs = live.Fs = 0;
        if (!PopFpu(task, frame._fpState))
            return false;
        // Linux ignores all errors here but an unreadable frame.
        task.SetAlternateStack(in frame._ucStack, regs.Rsp, SignalStack.MINSIGSTKSZ);
        return true;
    }

    private static bool PopFpu(Task task, ulong address)
    {
        const int LegacySize = 512, SwReserved = 464;
        const uint FP_XSTATE_MAGIC1 = 0x46505853;
        if (address == 0)
        {
            task.Thread.ResetFpuState();
            return true;
        }
        int full = task.Thread.FpuState.Length;
        Span<byte> state = task.RentFpuBuffer(full);
        if (task.Mm.CopyIn(new UserPtr(address), state[..LegacySize]) != Errno.OK)
            return false;
        uint magic = BitConverter.ToUInt32(state[SwReserved..]);
        uint extendedSize = BitConverter.ToUInt32(state[(SwReserved + 4)..]);
        int length = LegacySize;
        if (magic == FP_XSTATE_MAGIC1 && extendedSize > LegacySize && extendedSize <= full)
        {
            length = (int)extendedSize;
            if (task.Mm.CopyIn(new UserPtr(address + LegacySize), state[LegacySize..length]) != Errno.OK)
                return false;
        }
        return task.Thread.RestoreFpuState(state[..length]);
    }

    /// <summary>True when a stack pointer runs on an alternate stack; never with SS_AUTODISARM.</summary>
    public static bool IsOn(in SignalStack stack, ulong sp)
        => (stack.Flags & SignalStack.SS_AUTODISARM) == 0 && Contains(in stack, sp);

    private static bool Contains(in SignalStack stack, ulong sp) => sp > stack.Base && sp - stack.Base <= stack.Size;
}
