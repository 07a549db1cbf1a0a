using Moat.Kernel.Signals;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private byte[] _fpuBuffer = [];

    /// <summary>What the last fault left for signal frames: mcontext's trapno, err and cr2.</summary>
    public ulong FaultTrap, FaultError, FaultAddress;

    /// <summary>Room for an FPU state; reused.</summary>
    internal Span<byte> RentFpuBuffer(int length)
    {
        if (_fpuBuffer.Length < length)
            _fpuBuffer = new byte[length];
        return _fpuBuffer.AsSpan(0, length);
    }

    /// <summary>The alternate stack as sigaltstack(2) reports it to code that runs at <paramref name="sp"/>.</summary>
    public SignalStack GetAlternateStack(ulong sp)
    {
        SignalStack stack = AlternateStack;
        int state = stack.Size == 0 ? SignalStack.SS_DISABLE : SignalFrame.IsOn(in stack, sp) ? SignalStack.SS_ONSTACK : 0;
        stack.Flags = state | (stack.Flags & SignalStack.SS_AUTODISARM);
        return stack;
    }

    /// <summary>
    /// Sets the alternate stack for code that runs at <paramref name="sp"/>. EPERM: running on it. EINVAL: flags. ENOMEM: smaller than
    /// <paramref name="minimum"/> bytes.
    /// </summary>
    public Errno SetAlternateStack(in SignalStack stack, ulong sp, ulong minimum)
    {
        if (SignalFrame.IsOn(in AlternateStack, sp))
            return Errno.EPERM;
        int mode = stack.Flags & ~SignalStack.SS_AUTODISARM;
        if (mode is not (SignalStack.SS_DISABLE or SignalStack.SS_ONSTACK or 0))
            return Errno.EINVAL;
        if (mode == SignalStack.SS_DISABLE)
        {
            AlternateStack = new SignalStack { Flags = stack.Flags };
            return Errno.OK;
        }
        if (stack.Size < minimum)
            return Errno.ENOMEM;
        AlternateStack = new SignalStack { Base = stack.Base, Flags = stack.Flags, Size = stack.Size };
        return Errno.OK;
    }
}
