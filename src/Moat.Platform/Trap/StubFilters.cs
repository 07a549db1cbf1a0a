using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>
/// The seccomp filters of a stub. Whatever is called from outside the stub's own code becomes SIGSYS, which is how the
/// sentry learns of guest system calls; whatever is called from inside and not listed kills the process.
/// </summary>
internal static class StubFilters
{
    private const uint SYS_write = 1, SYS_dup2 = 33, SYS_getppid = 110, SYS_prctl = 157, SYS_mmap = 9, SYS_mprotect = 10, SYS_munmap = 11, SYS_rt_sigprocmask = 14, SYS_rt_sigreturn = 15,
        SYS_pwrite64 = 18, SYS_mremap = 25, SYS_madvise = 28, SYS_close = 3, SYS_recvmsg = 47, SYS_clone = 56, SYS_exit = 60,
        SYS_sigaltstack = 131, SYS_arch_prctl = 158, SYS_futex = 202, SYS_exit_group = 231, SYS_seccomp = 317, SYS_membarrier = 324;

    /// <summary>
    /// The service thread's filter, inherited by every guest thread. Calls from the guest page pass: only guest threads run
    /// there, under the filter below as well.
    /// </summary>
    public static byte[] Service()
    {
        BpfBuilder b = Begin(new BpfBuilder());
        b.AtLeast(Low(StubLayout.Data), "trap").AtLeast(Low(StubLayout.ServiceCode), "service");
        b.AtLeast(Low(StubLayout.GuestCode), "allow", "kill");
        b.Label("service").Load(SeccompData.Nr);
        foreach (uint nr in (ReadOnlySpan<uint>)[
            SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_pwrite64, SYS_futex, SYS_recvmsg, SYS_close, SYS_mremap, SYS_membarrier,
            SYS_clone, SYS_sigaltstack, SYS_rt_sigprocmask, SYS_seccomp, SYS_exit, SYS_exit_group,
            // The start of a copy of the process.
            SYS_prctl, SYS_getppid, SYS_dup2, SYS_write])
            b.Equal(nr, "allow");
        return End(b);
    }

    /// <summary>A guest thread's filter: nothing but what the stub's guest page needs.</summary>
    public static byte[] Guest()
    {
        BpfBuilder b = Begin(new BpfBuilder());
        b.AtLeast(Low(StubLayout.Data), "trap").AtLeast(Low(StubLayout.ServiceCode), "kill");
        b.AtLeast(Low(StubLayout.GuestCode), null, "kill").Load(SeccompData.Nr);
        foreach (uint nr in (ReadOnlySpan<uint>)[SYS_rt_sigreturn, SYS_exit, SYS_arch_prctl])
            b.Equal(nr, "allow");
        // FUTEX_WAIT and FUTEX_WAKE on words of the slots.
        b.Equal(SYS_futex, null, "kill").Load(SeccompData.Argument(0) + 4).Equal((uint)(StubLayout.Slots >> 32), null, "kill");
        b.Load(SeccompData.Argument(1) + 4).Equal(0, null, "kill");
        b.Load(SeccompData.Argument(1)).AtLeast(2, "kill", "allow");
        return End(b);
    }

    // Leaves the low half of the instruction pointer loaded, with the high half that of the image.
    private static BpfBuilder Begin(BpfBuilder b)
        => b.Load(SeccompData.Arch).Equal(SeccompData.AuditArchX86_64, null, "trap")
            .Load(SeccompData.InstructionPointerHigh).Equal((uint)(StubLayout.Image >> 32), null, "trap")
            .Load(SeccompData.InstructionPointerLow).AtLeast(Low(StubLayout.Image + StubLayout.ImageSize), "trap");

    private static byte[] End(BpfBuilder b)
        => b.Label("kill").Return(SeccompAction.KillProcess)
            .Label("trap").Return(SeccompAction.Trap)
            .Label("allow").Return(SeccompAction.Allow).Build();

    private static uint Low(ulong address) => (uint)address;
}
