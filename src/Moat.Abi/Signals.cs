using System.Runtime.InteropServices;

namespace Moat.Abi;

/// <summary>Signal numbers of x86-64 (man 7 signal; arch/x86/include/uapi/asm/signal.h).</summary>
public static class Signal
{
#pragma warning disable CS1591 // Linux's own names.
    public const int SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGILL = 4, SIGTRAP = 5, SIGABRT = 6, SIGBUS = 7, SIGFPE = 8, SIGKILL = 9,
        SIGUSR1 = 10, SIGSEGV = 11, SIGUSR2 = 12, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15, SIGSTKFLT = 16, SIGCHLD = 17,
        SIGCONT = 18, SIGSTOP = 19, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22, SIGURG = 23, SIGXCPU = 24, SIGXFSZ = 25,
        SIGVTALRM = 26, SIGPROF = 27, SIGWINCH = 28, SIGIO = 29, SIGPWR = 30, SIGSYS = 31, SIGRTMIN = 32, SIGRTMAX = 64;

    public const int SI_USER = 0, SI_KERNEL = 0x80, SI_QUEUE = -1, SI_TIMER = -2, SI_MESGQ = -3, SI_ASYNCIO = -4, SI_SIGIO = -5,
        SI_TKILL = -6;

    public const int SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2;

    public const int CLD_EXITED = 1, CLD_KILLED = 2, CLD_DUMPED = 3, CLD_TRAPPED = 4, CLD_STOPPED = 5, CLD_CONTINUED = 6;
#pragma warning restore CS1591

    /// <summary>sizeof(sigset_t) as the kernel has it, bytes: every call that takes a mask checks it.</summary>
    public const int SetSize = 8;

    /// <summary>The bit of a signal in a kernel signal set.</summary>
    public static ulong Bit(int signal) => 1UL << (signal - 1);

    /// <summary>True for 1 to 64.</summary>
    public static bool IsValid(int signal) => (uint)(signal - 1) < 64;
}

/// <summary>sa_flags of sigaction(2).</summary>
[Flags]
public enum SigActionFlags : ulong
{
#pragma warning disable CS1591 // Linux's own names.
    None = 0,
    SA_NOCLDSTOP = 1,
    SA_NOCLDWAIT = 2,
    SA_SIGINFO = 4,
    SA_UNSUPPORTED = 0x400,
    SA_EXPOSE_TAGBITS = 0x800,
    SA_RESTORER = 0x04000000,
    SA_ONSTACK = 0x08000000,
    SA_RESTART = 0x10000000,
    SA_NODEFER = 0x40000000,
    SA_RESETHAND = 0x80000000,
#pragma warning restore CS1591
}

/// <summary>struct kernel_sigaction, as rt_sigaction(2) takes it.</summary>
public struct SigAction
{
    /// <summary>The handler's address, or one of these two.</summary>
    public const ulong SIG_DFL = 0, SIG_IGN = 1;

    /// <summary>sa_handler or sa_sigaction.</summary>
    public ulong Handler;

    /// <summary>sa_flags.</summary>
    public SigActionFlags Flags;

    /// <summary>sa_restorer.</summary>
    public ulong Restorer;

    /// <summary>sa_mask.</summary>
    public ulong Mask;
}

/// <summary>stack_t (man 2 sigaltstack).</summary>
public struct SignalStack
{
    /// <summary>ss_flags.</summary>
    public const int SS_ONSTACK = 1, SS_DISABLE = 2, SS_AUTODISARM = unchecked((int)0x80000000);

    /// <summary>The least size of an alternate stack, bytes.</summary>
    public const ulong MINSIGSTKSZ = 2048;

    /// <summary>ss_sp.</summary>
    public ulong Base;

    /// <summary>ss_flags.</summary>
    public int Flags;

    /// <summary>Padding.</summary>
    public int Pad;

    /// <summary>ss_size, bytes.</summary>
    public ulong Size;
}

/// <summary>siginfo_t (man 2 sigaction): 128 bytes, a union behind the first three words.</summary>
[StructLayout(LayoutKind.Explicit, Size = 128)]
public struct SigInfo
{
#pragma warning disable CS1591 // Linux's own names without the prefix.
    [FieldOffset(0)]
    public int Signo;

    [FieldOffset(4)]
    public int ErrorNumber;

    [FieldOffset(8)]
    public int Code;

    [FieldOffset(16)]
    public int Pid;

    [FieldOffset(20)]
    public uint Uid;

    [FieldOffset(24)]
    public ulong Value;

    [FieldOffset(16)]
    public int TimerId;

    [FieldOffset(20)]
    public int Overrun;

    [FieldOffset(24)]
    public int Status;

    [FieldOffset(32)]
    public long UserTime;

    [FieldOffset(40)]
    public long SystemTime;

    [FieldOffset(16)]
    public ulong Address;

    [FieldOffset(24)]
    public short AddressLsb;

    [FieldOffset(16)]
    public long Band;

    [FieldOffset(24)]
    public int FileDescriptor;

    [FieldOffset(16)]
    public ulong CallAddress;

    [FieldOffset(24)]
    public int SystemCall;

    [FieldOffset(28)]
    public uint Architecture;
#pragma warning restore CS1591
}
