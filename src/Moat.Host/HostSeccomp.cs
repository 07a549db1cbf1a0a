namespace Moat.Host;

/// <summary>Filters on the sentry's own process (man 2 seccomp). Those of guests belong to the platform.</summary>
public static unsafe class HostSeccomp
{
    private const int PR_SET_NO_NEW_PRIVS = 38, NR_prctl = 157, NR_seccomp = 317;
    private const int SECCOMP_SET_MODE_FILTER = 1, SECCOMP_FILTER_FLAG_TSYNC = 1;
    private const ushort LD_W_ABS = 0x20, JEQ = 0x15, JGT = 0x25, RET = 0x06;
    private const uint ALLOW = 0x7fff0000, ERRNO_EPERM = 0x00050001, AUDIT_ARCH_X86_64 = 0xc000003e;

    private struct Instruction(ushort code, uint k, byte jumpTrue = 0, byte jumpFalse = 0)
    {
        public ushort Code = code;
        public byte JumpTrue = jumpTrue, JumpFalse = jumpFalse;
        public uint K = k;
    }

    private struct FilterProgram
    {
        public ushort Length;
        public Instruction* Instructions;
    }

    /// <summary>
    /// Denies io_uring_setup, io_uring_enter and io_uring_register with EPERM to this process and all it starts, as the default
    /// profiles of containers do. For good. Returns 0 or -errno.
    /// </summary>
    public static long DenyIoUring()
    {
        ReadOnlySpan<Instruction> filter =
        [
            new(LD_W_ABS, 4), // seccomp_data.arch
            new(JEQ, AUDIT_ARCH_X86_64, 0, 4),
            new(LD_W_ABS, 0), // seccomp_data.nr
            new(JGT, 427, 2, 0),
            new(JGT, 424, 0, 1),
            new(RET, ERRNO_EPERM),
            new(RET, ALLOW),
        ];
        return Install(filter, SECCOMP_FILTER_FLAG_TSYNC);
    }

    /// <summary>
    /// Tries whether filters can be installed, on the calling thread alone, which keeps an empty filter. Returns 0 or -errno.
    /// </summary>
    public static long Try() => Install([new(RET, ALLOW)], 0);

    private static long Install(ReadOnlySpan<Instruction> filter, int flags)
    {
        long r = HostSyscall.Call(NR_prctl, PR_SET_NO_NEW_PRIVS, 1);
        if (r < 0)
            return r;
        fixed (Instruction* first = filter)
        {
            // SAFETY: the kernel copies the program before the call returns.
            FilterProgram program = new() { Length = (ushort)filter.Length, Instructions = first };
            return HostSyscall.Call(NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, (long)&program);
        }
    }
}
