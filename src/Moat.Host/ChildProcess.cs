using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.Host;

/// <summary>
/// Starts a program from a descriptor as a child that inherits nothing: descriptors 0, 1 and 2 as given and no others,
/// an empty environment, default signal dispositions, its own session. Every signal is blocked until it unblocks them.
/// </summary>
/// <remarks>
/// vfork in machine code: between clone and exec the child shares the sentry's memory, where no managed code
/// may run twice. The child dies with the thread that calls <see cref="Spawn"/> (PR_SET_PDEATHSIG counts threads).
/// </remarks>
public static unsafe class ChildProcess
{
    private const int SYS_rt_sigaction = 13, SYS_rt_sigprocmask = 14, SYS_dup2 = 33, SYS_clone = 56, SYS_setsid = 112,
        SYS_prctl = 157, SYS_exit_group = 231, SYS_execveat = 322, SYS_close_range = 436;

    private const int CLONE_VM = 0x100, CLONE_PIDFD = 0x1000, CLONE_VFORK = 0x4000, SIGCHLD = 17, SIG_SETMASK = 2;

    // What the routine reads and writes, offsets in bytes. Fields that it hands to the host by address come first.
    private const int PidFdAt = 0, FullMaskAt = 8, OldMaskAt = 16, SigactionAt = 24, EmptyPathAt = 56, ArgvAt = 64, EnvpAt = 80;
    private const int ErrorAt = 88, Fd0At = 92, Fd1At = 96, Fd2At = 100, ExecutableAt = 104, Size = 112;

    // SAFETY: installed code that is never freed.
    private static readonly delegate* unmanaged<byte*, long> s_spawn = Install();

    /// <summary>
    /// Starts the program. All four descriptors must be above 2 and close-on-exec. Returns its process id, with
    /// <paramref name="pidfd"/> (close-on-exec) to wait on and reap it by, or -errno.
    /// </summary>
    public static int Spawn(int executable, int fd0, int fd1, int fd2, ReadOnlySpan<byte> name, out int pidfd)
    {
        byte* args = stackalloc byte[Size];
        new Span<byte>(args, Size).Clear();
        // SAFETY: args, and name through the pin, live until the child has left them by exec or exit.
        fixed (byte* argv0 = name)
        {
            *(ulong*)(args + FullMaskAt) = ulong.MaxValue;
            *(byte**)(args + ArgvAt) = argv0;
            *(int*)(args + PidFdAt) = -1;
            *(int*)(args + Fd0At) = fd0;
            *(int*)(args + Fd1At) = fd1;
            *(int*)(args + Fd2At) = fd2;
            *(int*)(args + ExecutableAt) = executable;
            long pid = s_spawn(args);
            pidfd = *(int*)(args + PidFdAt);
            int error = *(int*)(args + ErrorAt);
            if (pid >= 0 && error != 0)
            {
                HostSyscall.WaitPidfd(pidfd, block: true);
                HostSyscall.Close(pidfd);
                pidfd = -1;
                return error;
            }

            return (int)pid;
        }
    }

    private static delegate* unmanaged<byte*, long> Install()
    {
        var c = new Assembler(64);
        var child = c.CreateLabel();
        var failed = c.CreateLabel();
        c.push(rbx);
        c.push(r12);
        c.push(r13);
        c.mov(rbx, rdi);

        // No handler of the runtime may run in the child, which shares this stack.
        Syscall(c, SYS_rt_sigprocmask, SIG_SETMASK, (FullMaskAt, true), (OldMaskAt, true), 8);
        Syscall(c, SYS_clone, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, 0, (PidFdAt, true), 0);
        c.test(rax, rax);
        c.jz(child);
        c.mov(r12, rax);
        Syscall(c, SYS_rt_sigprocmask, SIG_SETMASK, (OldMaskAt, true), 0, 8);
        c.mov(rax, r12);
        c.pop(r13);
        c.pop(r12);
        c.pop(rbx);
        c.ret();

        c.Label(ref child);
        Syscall(c, SYS_prctl, 1 /* PR_SET_PDEATHSIG */, 9 /* SIGKILL */, 0, 0);
        Syscall(c, SYS_setsid, 0, 0, 0, 0);
        // Ignored signals would stay ignored across exec. SIGKILL and SIGSTOP refuse, which is fine.
        c.mov(r12d, 64);
        var nextSignal = c.CreateLabel();
        c.Label(ref nextSignal);
        c.mov(edi, r12d);
        c.lea(rsi, __[rbx + SigactionAt]);
        c.xor(edx, edx);
        c.mov(r10d, 8);
        c.mov(eax, SYS_rt_sigaction);
        c.syscall();
        c.dec(r12d);
        c.jnz(nextSignal);
        int[] sources = [Fd0At, Fd1At, Fd2At];
        for (var target = 0; target < 3; target++)
        {
            c.mov(edi, __dword_ptr[rbx + sources[target]]);
            c.mov(esi, target);
            c.mov(eax, SYS_dup2);
            c.syscall();
            c.test(rax, rax);
            c.js(failed);
        }

        Syscall(c, SYS_close_range, 3, -1, 4 /* CLOSE_RANGE_CLOEXEC */, 0);
        c.test(rax, rax);
        c.js(failed);
        c.mov(edi, __dword_ptr[rbx + ExecutableAt]);
        c.lea(rsi, __[rbx + EmptyPathAt]);
        c.lea(rdx, __[rbx + ArgvAt]);
        c.lea(r10, __[rbx + EnvpAt]);
        c.mov(r8d, 0x1000 /* AT_EMPTY_PATH */);
        c.mov(eax, SYS_execveat);
        c.syscall();
        c.Label(ref failed);
        c.mov(__dword_ptr[rbx + ErrorAt], eax);
        c.mov(edi, 127);
        c.mov(eax, SYS_exit_group);
        c.syscall();
        c.hlt();
        return (delegate* unmanaged<byte*, long>)MachineCode.Install(c);
    }

    // One host call; an argument is a constant, or the address of a field.
    private static void Syscall(Assembler c, int nr, Argument a0, Argument a1, Argument a2, Argument a3)
    {
        AssemblerRegister64[] registers = [rdi, rsi, rdx, r10];
        Argument[] arguments = [a0, a1, a2, a3];
        for (var i = 0; i < registers.Length; i++)
        {
            if (arguments[i].IsField)
                c.lea(registers[i], __[rbx + arguments[i].Value]);
            else
                c.mov(registers[i], (long)arguments[i].Value);
        }

        c.mov(eax, nr);
        c.syscall();
    }

    private readonly record struct Argument(int Value, bool IsField)
    {
        public static implicit operator Argument(int value) => new(value, IsField: false);

        public static implicit operator Argument((int Value, bool IsField) pair) => new(pair.Value, pair.IsField);
    }
}
