using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.Futex;

/// <summary>The operation and comparison that FUTEX_WAKE_OP carries in its last argument (futex(2)).</summary>
internal readonly struct FutexOp(uint encoded)
{
    private const int FUTEX_OP_OPARG_SHIFT = 8;

    private int Operation => (int)((encoded >> 28) & 7);

    private int Comparison => (int)((encoded >> 24) & 15);

    private int Argument
    {
        get
        {
            int argument = (int)(encoded << 8) >> 20;
            return ((encoded >> 28) & FUTEX_OP_OPARG_SHIFT) != 0 ? 1 << (argument & 31) : argument;
        }
    }

    private int CompareWith => (int)(encoded << 20) >> 20;

    /// <summary>Changes the word in one step and compares what it was. EFAULT; ENOSYS for what does not exist.</summary>
    public Errno Apply(MemoryManager mm, UserPtr address, out bool holds)
    {
        holds = false;
        Errno error = mm.Load32(address, out uint old);
        while (error == Errno.OK)
        {
            uint argument = (uint)Argument;
            uint value;
            switch (Operation)
            {
                case 0:
                    value = argument;
                    break;
                case 1:
                    value = old + argument;
                    break;
                case 2:
                    value = old | argument;
                    break;
                case 3:
                    value = old & ~argument;
                    break;
                case 4:
                    value = old ^ argument;
                    break;
                default:
                    return Errno.ENOSYS;
            }
            error = mm.CompareExchange32(address, old, value, out uint seen);
            if (error == Errno.OK && seen == old)
                return Compare((int)old, out holds);
            old = seen;
        }
        return error;
    }

    private Errno Compare(int old, out bool holds)
    {
        holds = Comparison switch
        {
            0 => old == CompareWith,
            1 => old != CompareWith,
            2 => old < CompareWith,
            3 => old <= CompareWith,
            4 => old > CompareWith,
            5 => old >= CompareWith,
            _ => false,
        };
        return Comparison <= 5 ? Errno.OK : Errno.ENOSYS;
    }
}
