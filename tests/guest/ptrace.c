// ptrace(2): stops, registers, memory, breakpoints, events, attaching, and who is told of what.
#include "moat_test.h"
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define STOPPED(sig) ((sig) << 8 | 0x7f)
#define EVENT(what) ((what) << 16 | STOPPED(SIGTRAP))

static int wait_for(pid_t pid)
{
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    return status;
}

// Starts a child that is traced and has stopped itself.
#define TRACED(...)                                                                                                    \
    ({                                                                                                                 \
        pid_t mt_p = OK(fork());                                                                                       \
        if (mt_p == 0) {                                                                                               \
            if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)                                                                  \
                _exit(99);                                                                                             \
            raise(SIGSTOP);                                                                                            \
            __VA_ARGS__;                                                                                               \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        CHECK_EQ(wait_for(mt_p), STOPPED(SIGSTOP));                                                                    \
        mt_p;                                                                                                          \
    })

#define GO(request, pid, sig) OK(ptrace(request, pid, 0, sig))

static void ends(pid_t pid, int status)
{
    GO(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), status);
}

TEST(system_calls)
{
    pid_t p = TRACED({
        syscall(SYS_getpgid, 0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666);
        _exit(syscall(SYS_getppid) == 4711 ? 5 : 1);
    });
    OK(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD));
    struct user_regs_struct r;
    bool seen = false;
    for (;;) {
        GO(PTRACE_SYSCALL, p, 0);
        CHECK_EQ(wait_for(p), STOPPED(SIGTRAP | 0x80));
        OK(ptrace(PTRACE_GETREGS, p, 0, &r));
        CHECK_EQ(r.rax, -ENOSYS); // the beginning
        struct __ptrace_syscall_info { unsigned char op; unsigned arch; unsigned long ip, sp, nr, args[6]; } info;
        CHECK_EQ(ptrace(0x420e, p, sizeof info, &info), 80);
        CHECK_EQ(info.op, 1);
        CHECK_EQ(info.arch, 0xc000003e);
        CHECK_EQ(info.ip, r.rip);
        CHECK_EQ(info.sp, r.rsp);
        CHECK_EQ(info.nr, r.orig_rax);
        long nr = r.orig_rax;
        if (nr == SYS_getpgid && r.rdi == 0x1111) {
            seen = true;
            CHECK_EQ(r.rsi, 0x2222);
            CHECK_EQ(r.rdx, 0x3333);
            CHECK_EQ(r.r10, 0x4444);
            CHECK_EQ(r.r8, 0x5555);
            CHECK_EQ(r.r9, 0x6666);
            CHECK_EQ(info.args[5], 0x6666);
            CHECK_EQ(ptrace(PTRACE_PEEKUSER, p, offsetof(struct user, regs.rdi), 0), 0x1111);
            OK(ptrace(PTRACE_POKEUSER, p, offsetof(struct user, regs.rdi), 0)); // another argument
        }
        if (nr == SYS_exit_group)
            break;
        GO(PTRACE_SYSCALL, p, 0);
        CHECK_EQ(wait_for(p), STOPPED(SIGTRAP | 0x80));
        OK(ptrace(PTRACE_GETREGS, p, 0, &r));
        CHECK_EQ(r.orig_rax, nr);
        CHECK_EQ(ptrace(0x420e, p, sizeof info, &info), 33);
        CHECK_EQ(info.op, 2);
        CHECK_EQ(info.nr, r.rax); // rval
        if (nr == SYS_getpgid)
            CHECK_EQ(r.rax, getpgrp());
        if (nr == SYS_getppid) {
            CHECK_EQ(r.rax, getpid());
            r.rax = 4711; // another result
            OK(ptrace(PTRACE_SETREGS, p, 0, &r));
        }
    }
    CHECK(seen);
    ends(p, 5 << 8);
}

TEST(skipped_calls)
{
    pid_t p = TRACED({ _exit(syscall(SYS_getppid) == 77 ? 6 : 1); });
    struct user_regs_struct r;
    do {
        GO(PTRACE_SYSCALL, p, 0);
        CHECK_EQ(wait_for(p), STOPPED(SIGTRAP));
        OK(ptrace(PTRACE_GETREGS, p, 0, &r));
    } while (r.orig_rax != SYS_getppid || r.rax != (unsigned long)-ENOSYS);
    r.orig_rax = -1;
    r.rax = 77;
    OK(ptrace(PTRACE_SETREGS, p, 0, &r));
    ends(p, 6 << 8);
}

static volatile int handled;
static void handler(int s) { handled = s; }

TEST(signals)
{
    pid_t p = TRACED({
        signal(SIGUSR1, handler);
        signal(SIGUSR2, handler);
        raise(SIGUSR1);
        if (handled != 0)
            _exit(1); // the tracer forgot it
        raise(SIGUSR1);
        if (handled != SIGUSR2)
            _exit(2); // the tracer made another one of it
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGUSR1);
        signal(SIGCHLD, SIG_IGN);
        raise(SIGCHLD); // also what is ignored is seen
        raise(SIGTERM);
    });
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), STOPPED(SIGUSR1));
    siginfo_t info;
    OK(ptrace(PTRACE_GETSIGINFO, p, 0, &info));
    CHECK_EQ(info.si_signo, SIGUSR1);
    CHECK_EQ(info.si_pid, p);
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), STOPPED(SIGUSR1));
    GO(PTRACE_CONT, p, SIGUSR2);
    CHECK_EQ(wait_for(p), STOPPED(SIGCHLD));
    unsigned long mask;
    OK(ptrace(0x420a /* GETSIGMASK */, p, 8, &mask));
    CHECK_EQ(mask, 1ul << (SIGUSR1 - 1));
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), STOPPED(SIGTERM));
    CHECK_ERR(ptrace(PTRACE_CONT, p, 0, 65), EIO);
    GO(PTRACE_CONT, p, SIGTERM);
    CHECK_EQ(wait_for(p), SIGTERM);
}

__attribute__((noinline, section(".text.traced"))) static int answer(int a)
{
    __asm__ volatile("" : "+r"(a));
    return a + 1;
}

static volatile long shared_word = 0x1122334455667788;

TEST(memory_and_breakpoints)
{
    pid_t p = TRACED({ _exit(answer(41) == 42 && shared_word == 99 ? 7 : 1); });
    errno = 0;
    CHECK_EQ(ptrace(PTRACE_PEEKDATA, p, &shared_word, 0), 0x1122334455667788);
    OK(ptrace(PTRACE_POKEDATA, p, &shared_word, 99));
    CHECK_EQ(shared_word, 0x1122334455667788); // the parent's own
    CHECK_ERR(ptrace(PTRACE_PEEKDATA, p, 8, 0), EIO);
    CHECK_ERR(ptrace(PTRACE_POKEDATA, p, 8, 0), EIO);
    long code = ptrace(PTRACE_PEEKTEXT, p, answer, 0);
    OK(ptrace(PTRACE_POKETEXT, p, answer, (code & ~0xffL) | 0xcc)); // text that nobody may write
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), STOPPED(SIGTRAP));
    struct user_regs_struct r;
    struct iovec v = { &r, sizeof r };
    OK(ptrace(PTRACE_GETREGSET, p, NT_PRSTATUS, &v));
    CHECK_EQ(v.iov_len, sizeof r);
    CHECK_EQ(r.rip, (unsigned long)answer + 1);
    CHECK_EQ(r.rdi, 41);
    CHECK_EQ(r.orig_rax, -1);
    OK(ptrace(PTRACE_POKETEXT, p, answer, code));
    r.rip--;
    OK(ptrace(PTRACE_SETREGSET, p, NT_PRSTATUS, &v));
    // Step through it, back to the caller.
    unsigned long begin = (unsigned long)answer;
    int steps = 0;
    do {
        GO(PTRACE_SINGLESTEP, p, 0);
        CHECK_EQ(wait_for(p), STOPPED(SIGTRAP));
        OK(ptrace(PTRACE_GETREGS, p, 0, &r));
        CHECK(++steps < 50);
    } while (r.rip - begin < 64);
    CHECK(steps >= 2);
    CHECK_EQ(r.rax, 42);
    siginfo_t info;
    OK(ptrace(PTRACE_GETSIGINFO, p, 0, &info));
    CHECK_EQ(info.si_code, 2 /* TRAP_TRACE */);
    ends(p, 7 << 8);
}

TEST(memory_file)
{
    pid_t p = TRACED({ _exit(answer(41) == 42 && shared_word == 100 ? 7 : 1); });
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", p);
    int fd = OK(open(path, O_RDWR));
    long word = 0;
    CHECK_EQ(pread(fd, &word, 8, (off_t)&shared_word), 8);
    CHECK_EQ(word, 0x1122334455667788);
    word = 100;
    CHECK_EQ(pwrite(fd, &word, 8, (off_t)&shared_word), 8);
    unsigned char trap = 0xcc, code;
    CHECK_EQ(pread(fd, &code, 1, (off_t)answer), 1);
    CHECK_EQ(pwrite(fd, &trap, 1, (off_t)answer), 1);
    CHECK_ERR(pread(fd, &word, 8, 8), EIO);
    CHECK_ERR(pread(fd, (void *)8, 8, (off_t)&shared_word), EFAULT);
    CHECK_EQ(lseek(fd, (off_t)&shared_word, SEEK_SET), (off_t)&shared_word);
    CHECK_EQ(read(fd, &word, 8), 8);
    CHECK_EQ(word, 100);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), (off_t)&shared_word + 8);
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), STOPPED(SIGTRAP));
    struct user_regs_struct r;
    OK(ptrace(PTRACE_GETREGS, p, 0, &r));
    CHECK_EQ(r.rip, (unsigned long)answer + 1);
    CHECK_EQ(pwrite(fd, &code, 1, (off_t)answer), 1);
    r.rip--;
    OK(ptrace(PTRACE_SETREGS, p, 0, &r));
    ends(p, 7 << 8);
    CHECK_EQ(pread(fd, &word, 8, (off_t)&shared_word), 0); // the process has ended
    OK(close(fd));
}

TEST(floating_point)
{
    pid_t p = TRACED({
        double d;
        __asm__ volatile("movq %1, %%xmm7\n int3\n movq %%xmm7, %0" : "=r"(d) : "r"(1.5) : "xmm7");
        _exit(d == 2.5 ? 8 : 1);
    });
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), STOPPED(SIGTRAP));
    struct user_fpregs_struct f;
    OK(ptrace(PTRACE_GETFPREGS, p, 0, &f));
    double d;
    memcpy(&d, &f.xmm_space[7 * 4], sizeof d);
    CHECK(d == 1.5);
    d = 2.5;
    memcpy(&f.xmm_space[7 * 4], &d, sizeof d);
    OK(ptrace(PTRACE_SETFPREGS, p, 0, &f));
    ends(p, 8 << 8);
}

TEST(executing)
{
    pid_t p = TRACED({ execl("/bin/sh", "sh", "-c", "exit 9", NULL); });
    OK(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACEEXEC));
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), EVENT(PTRACE_EVENT_EXEC));
    unsigned long message;
    OK(ptrace(PTRACE_GETEVENTMSG, p, 0, &message));
    CHECK_EQ(message, p);
    ends(p, 9 << 8);
    // Without the option a plain signal tells.
    p = TRACED({ execl("/bin/sh", "sh", "-c", "exit 10", NULL); });
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), STOPPED(SIGTRAP));
    ends(p, 10 << 8);
}

TEST(children)
{
    pid_t p = TRACED({
        pid_t c = fork();
        if (c == 0)
            _exit(3);
        int s;
        _exit(waitpid(c, &s, 0) == c && s == 3 << 8 ? 11 : 1);
    });
    OK(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXIT));
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), EVENT(PTRACE_EVENT_FORK));
    unsigned long child, code;
    OK(ptrace(PTRACE_GETEVENTMSG, p, 0, &child));
    CHECK_EQ(wait_for(child), STOPPED(SIGSTOP));
    GO(PTRACE_CONT, p, 0);
    GO(PTRACE_CONT, child, 0);
    CHECK_EQ(wait_for(child), EVENT(PTRACE_EVENT_EXIT));
    OK(ptrace(PTRACE_GETEVENTMSG, child, 0, &code));
    CHECK_EQ(code, 3 << 8);
    ends(child, 3 << 8);
    int status;
    while ((status = wait_for(p)) == STOPPED(SIGCHLD))
        GO(PTRACE_CONT, p, SIGCHLD);
    CHECK_EQ(status, EVENT(PTRACE_EVENT_EXIT));
    ends(p, 11 << 8);
}

static void *returns(void *arg) { return arg; }

TEST(threads)
{
    pid_t p = TRACED({
        pthread_t t;
        // Its own end, which would be the thread's too, comes only when the thread has been waited for.
        _exit(pthread_create(&t, NULL, returns, NULL) == 0 && pthread_join(t, NULL) == 0 && raise(SIGSTOP) == 0 ? 12 : 1);
    });
    OK(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACECLONE));
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), EVENT(PTRACE_EVENT_CLONE));
    unsigned long thread;
    OK(ptrace(PTRACE_GETEVENTMSG, p, 0, &thread));
    CHECK_EQ(wait_for(thread), STOPPED(SIGSTOP));
    GO(PTRACE_CONT, p, 0);
    ends(thread, 0);
    CHECK_EQ(wait_for(p), STOPPED(SIGSTOP));
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), 12 << 8);
}

TEST(attaching)
{
    int pipes[2];
    OK(pipe(pipes));
    pid_t p = OK(fork());
    if (p == 0) {
        char c;
        close(pipes[1]);
        _exit(read(pipes[0], &c, 1) == 1 && c == 'x' ? 13 : 1);
    }
    CHECK_ERR(ptrace(PTRACE_CONT, p, 0, 0), ESRCH); // not traced
    mt_sleep_us(20000);
    OK(ptrace(PTRACE_ATTACH, p, 0, 0));
    CHECK_EQ(wait_for(p), STOPPED(SIGSTOP));
    CHECK_ERR(ptrace(PTRACE_ATTACH, p, 0, 0), EPERM);
    char line[100], path[64];
    snprintf(path, sizeof path, "/proc/%d/status", p);
    FILE *f = fopen(path, "r");
    int tracer = 0;
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "TracerPid: %d", &tracer);
    fclose(f);
    CHECK_EQ(tracer, gettid());
    OK(ptrace(PTRACE_DETACH, p, 0, 0));
    // Seized it runs on, until it is interrupted.
    OK(ptrace(PTRACE_SEIZE, p, 0, PTRACE_O_TRACESYSGOOD));
    CHECK_EQ(waitpid(p, NULL, WNOHANG | __WALL), 0);
    CHECK_ERR(ptrace(PTRACE_CONT, p, 0, 0), ESRCH); // not stopped
    OK(ptrace(PTRACE_INTERRUPT, p, 0, 0));
    CHECK_EQ(wait_for(p), EVENT(PTRACE_EVENT_STOP));
    GO(PTRACE_CONT, p, 0);
    // A stop of the whole process, to which the tracer listens.
    OK(kill(p, SIGSTOP));
    CHECK_EQ(wait_for(p), STOPPED(SIGSTOP));
    GO(PTRACE_CONT, p, SIGSTOP);
    CHECK_EQ(wait_for(p), PTRACE_EVENT_STOP << 16 | STOPPED(SIGSTOP));
    OK(ptrace(PTRACE_LISTEN, p, 0, 0));
    OK(kill(p, SIGCONT));
    CHECK_EQ(wait_for(p), EVENT(PTRACE_EVENT_STOP));
    GO(PTRACE_CONT, p, 0);
    CHECK_EQ(wait_for(p), STOPPED(SIGCONT));
    GO(PTRACE_CONT, p, SIGCONT);
    CHECK_EQ(write(pipes[1], "x", 1), 1);
    CHECK_EQ(wait_for(p), 13 << 8);
    OK(close(pipes[0]));
    OK(close(pipes[1]));
}

TEST(ends_with_the_tracer)
{
    int pipes[2];
    OK(pipe(pipes));
    for (int kills = 0; kills < 2; kills++) {
        pid_t tracer = OK(fork());
        if (tracer == 0) {
            pid_t p = fork();
            if (p == 0) {
                ptrace(PTRACE_TRACEME, 0, 0, 0);
                raise(SIGSTOP);
                usleep(50000);
                if (write(pipes[1], "alive", 5) != 5)
                    _exit(1);
                _exit(0);
            }
            waitpid(p, NULL, 0);
            ptrace(PTRACE_SETOPTIONS, p, 0, kills ? PTRACE_O_EXITKILL : 0);
            _exit(0);
        }
        CHECK_EQ(wait_for(tracer), 0);
        if (!kills) {
            char b[5];
            CHECK_EQ(read(pipes[0], b, 5), 5); // it goes on by itself
        }
    }
    OK(close(pipes[1]));
    char c;
    CHECK_EQ(read(pipes[0], &c, 1), 0); // the other is gone
    OK(close(pipes[0]));
}

TEST(killed_while_stopped)
{
    pid_t p = TRACED({ for (;;) pause(); });
    OK(kill(p, SIGKILL));
    CHECK_EQ(wait_for(p), SIGKILL);
    p = TRACED({ for (;;) pause(); });
    OK(ptrace(PTRACE_KILL, p, 0, 0));
    CHECK_EQ(wait_for(p), SIGKILL);
}

TEST(refusals)
{
    CHECK_ERR(ptrace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
    CHECK_ERR(ptrace(PTRACE_ATTACH, 0x7ffffff0, 0, 0), ESRCH);
    CHECK_ERR(ptrace(PTRACE_CONT, getpid(), 0, 0), ESRCH);
    pid_t p = TRACED({ pause(); });
    CHECK_ERR(ptrace(12345, p, 0, 0), EIO);
    CHECK_ERR(ptrace(PTRACE_SETOPTIONS, p, 0, 1 << 30), EINVAL);
    CHECK_ERR(ptrace(PTRACE_PEEKUSER, p, 3, 0), EIO);
    CHECK_ERR(ptrace(PTRACE_PEEKUSER, p, 100000, 0), EIO);
    CHECK_ERR(ptrace(PTRACE_INTERRUPT, p, 0, 0), EIO); // not seized
    CHECK_ERR(ptrace(PTRACE_LISTEN, p, 0, 0), EIO);
    OK(kill(p, SIGKILL));
    CHECK_EQ(wait_for(p), SIGKILL);
}
