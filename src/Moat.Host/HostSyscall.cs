using System.Runtime.InteropServices;

namespace Moat.Host;

/// <summary>
/// The host's <c>syscall</c> instruction behind a 26-byte machine-code thunk that returns the kernel's raw
/// result: a value, or <c>-errno</c> (man 2 intro). No libc, no errno variable, no marshalling.
/// </summary>
/// <remarks>
/// <see cref="Call"/> performs the runtime's GC transition and may block. <see cref="CallQuick"/> does not and
/// is for calls that never sleep: a collection waits until it returns.
/// </remarks>
public static unsafe partial class HostSyscall
{
    // SAFETY: the pointers address the page made executable below, which is never unmapped.
    private static readonly delegate* unmanaged<long, long, long, long, long, long, long, long> s_call;
    private static readonly delegate* unmanaged[SuppressGCTransition]<long, long, long, long, long, long, long, long> s_quick;

    static HostSyscall()
    {
        // mov rax,rdi; mov rdi,rsi; mov rsi,rdx; mov rdx,rcx; mov r10,r8; mov r8,r9; mov r9,[rsp+8]; syscall; ret
        ReadOnlySpan<byte> code =
        [
            0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x48, 0x89, 0xca, 0x4d, 0x89, 0xc2,
            0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05, 0xc3,
        ];
        const int PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20;
        // SAFETY: a fresh private page; written once, then read and execute only.
        void* page = LibcMmap(null, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == (void*)-1)
            throw new InvalidOperationException("the host refuses a page of memory for the system call thunk");
        code.CopyTo(new Span<byte>(page, code.Length));
        if (LibcMprotect(page, 4096, PROT_READ | PROT_EXEC) != 0)
            throw new InvalidOperationException("the host refuses executable memory for the system call thunk");
        s_call = (delegate* unmanaged<long, long, long, long, long, long, long, long>)page;
        s_quick = (delegate* unmanaged[SuppressGCTransition]<long, long, long, long, long, long, long, long>)page;
    }

    /// <summary>Runs host system call <paramref name="nr"/>; may block. Returns its value or -errno.</summary>
    public static long Call(long nr, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0, long a5 = 0)
        => s_call(nr, a0, a1, a2, a3, a4, a5);

    /// <summary>Runs a host system call that never sleeps, without a GC transition. Returns its value or -errno.</summary>
    public static long CallQuick(long nr, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0, long a5 = 0)
        => s_quick(nr, a0, a1, a2, a3, a4, a5);

    [DllImport("libc", EntryPoint = "mmap")]
    private static extern void* LibcMmap(void* address, nuint length, int prot, int flags, int fd, long offset);

    [DllImport("libc", EntryPoint = "mprotect")]
    private static extern int LibcMprotect(void* address, nuint length, int prot);
}
