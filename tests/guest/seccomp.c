// seccomp(2): strict mode, filters, what they may say, and who inherits them. Whatever confines runs in a child.
#include "moat_test.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define LD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IMM(v) BPF_STMT(BPF_LD | BPF_IMM, v)
#define IMMX(v) BPF_STMT(BPF_LDX | BPF_IMM, v)
#define RET(v) BPF_STMT(BPF_RET | BPF_K, v)
#define ON(call, verdict) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), RET(verdict)
#define ERR(e) (SECCOMP_RET_ERRNO | (e))

// libc takes the call itself for one that never fails.
static long ppid(void) { return syscall(SYS_getppid); }

static int need;

static long seccomp(unsigned op, unsigned flags, void *arg) { return syscall(SYS_seccomp, op, flags, arg); }

static long install(struct sock_filter *code, size_t n, unsigned flags)
{
    struct sock_fprog prog = { n, code };
    return seccomp(SECCOMP_SET_MODE_FILTER, flags, &prog);
}

// A filter that says `verdict` to one call and allows all others.
#define FILTER(call, verdict)                                                                                          \
    ({                                                                                                                 \
        struct sock_filter mt_f[] = { LD(nr), ON(call, verdict), RET(SECCOMP_RET_ALLOW) };                             \
        install(mt_f, countof(mt_f), 0);                                                                               \
    })

// Runs a block in a child, which ends with 0 if the block does, or with the number of the first NEED that is not met; gives its status.
#define CHILD(...)                                                                                                     \
    ({                                                                                                                 \
        pid_t mt_p = OK(fork());                                                                                       \
        if (mt_p == 0) {                                                                                               \
            OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));                                                                \
            __VA_ARGS__;                                                                                               \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        int mt_s;                                                                                                      \
        CHECK_EQ(waitpid(mt_p, &mt_s, 0), mt_p);                                                                       \
        mt_s & ~0x80; /* whether a core was written is the host's matter */                                            \
    })
#define NEED(cond)                                                                                                     \
    do {                                                                                                               \
        if (need++, !(cond))                                                                                           \
            _exit(need);                                                                                               \
    } while (0)

TEST(strict)
{
    int p[2];
    OK(pipe(p));
    CHECK_EQ(CHILD({
        NEED(prctl(PR_GET_SECCOMP) == 0);
        NEED(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL) == -1 && errno == EINVAL);
        NEED(seccomp(SECCOMP_SET_MODE_STRICT, 0, p) == -1 && errno == EINVAL);
        NEED(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL) == 0);
        char c;
        NEED(write(p[1], "x", 1) == 1 && read(p[0], &c, 1) == 1);
        syscall(SYS_exit, 7); // exit_group is not allowed
    }), 7 << 8);
    CHECK_EQ(CHILD({
        NEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
        ppid();
        write(p[1], "!", 1);
    }), SIGKILL);
    CHECK_EQ(CHILD({ NEED(FILTER(SYS_getppid, ERR(1)) == 0); NEED(seccomp(0, 0, NULL) == -1 && errno == EINVAL); }), 0);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(returns_errors)
{
    CHECK_EQ(CHILD({
        NEED(FILTER(SYS_getppid, ERR(EXDEV)) == 0);
        NEED(ppid() == -1 && errno == EXDEV);
        NEED(getpid() > 0 && prctl(PR_GET_SECCOMP) == 2);
        // The data are the low 16 bits, and no more than 4095 of them is an error; zero is success without the call.
        NEED(FILTER(SYS_getuid, ERR(0xffff)) == 0 && syscall(SYS_getuid) == -1 && errno == 4095);
        NEED(FILTER(SYS_close, ERR(0)) == 0 && close(0x7fffffff) == 0);
        NEED(FILTER(SYS_getgid, SECCOMP_RET_TRACE | 5) == 0 && syscall(SYS_getgid) == -1 && errno == ENOSYS);
        NEED(FILTER(SYS_getsid, SECCOMP_RET_USER_NOTIF) == 0 && getsid(0) == -1 && errno == ENOSYS);
        NEED(FILTER(SYS_getpgid, SECCOMP_RET_LOG) == 0 && getpgid(0) > 0);
        NEED(syscall(999999) == -1 && errno == ENOSYS);
    }), 0);
}

TEST(sees_arguments)
{
    CHECK_EQ(CHILD({
        struct sock_filter code[] = {
            LD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), RET(SECCOMP_RET_KILL_PROCESS),
            LD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_lseek, 1, 0), RET(SECCOMP_RET_ALLOW),
            // the low and the high half of the second argument
            LD(args[1]), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x89abcdef, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x01234567, 0, 1), RET(ERR(ECHILD)), RET(ERR(EBADF)),
        };
        NEED(install(code, countof(code), 0) == 0);
        NEED(lseek(-1, 0x0123456789abcdef, 0) == -1 && errno == ECHILD);
        NEED(lseek(-1, 0x0123456889abcdef, 0) == -1 && errno == EBADF);
    }), 0);
    // Where the call comes from.
    CHECK_EQ(CHILD({
        struct sock_filter code[] = {
            LD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0), RET(SECCOMP_RET_ALLOW),
            LD(instruction_pointer), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff), BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
            BPF_STMT(BPF_RET | BPF_A, 0),
        };
        NEED(install(code, countof(code), 0) == 0);
        for (int i = 0; i < 3000; i++) { // the call site may change its form when it is hot
            long r = SYS_getppid;
            unsigned long behind;
            __asm__ volatile("lea 1f(%%rip), %1\n syscall\n1:" : "+a"(r), "=&r"(behind) : : "rcx", "r11", "memory");
            NEED(-r == (long)(behind & 0xfff));
        }
    }), 0);
}

// Each row: a program that leaves a value in A, which comes back as an error number.
TEST(computes)
{
    static const struct {
        struct sock_filter f[4];
        unsigned expected;
    } rows[] = {
        { { IMM(40), BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 2) }, 42 },
        { { IMM(40), IMMX(3), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0) }, 43 },
        { { IMM(40), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 2) }, 38 },
        { { IMM(7), IMMX(9), BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0) }, 63 },
        { { IMM(0x80000001), BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 2) }, 2 },
        { { IMM(100), BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 7) }, 14 },
        { { IMM(0xfffffff0), IMMX(0x1000000), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0) }, 255 },
        { { IMM(0xff), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x3c) }, 0x3c },
        { { IMM(0x101), BPF_STMT(BPF_ALU | BPF_OR | BPF_K, 0x10) }, 0x111 },
        { { IMM(0xff), IMMX(0x0f), BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0) }, 0xf0 },
        { { IMM(3), BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 4) }, 48 },
        { { IMM(0x80000000), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 28) }, 8 },
        { { IMM(3), IMMX(33), BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0) }, 6 },
        { { IMM(-5u), BPF_STMT(BPF_ALU | BPF_NEG, 0) }, 5 },
        { { IMM(77), BPF_STMT(BPF_MISC | BPF_TAX, 0), IMM(1), BPF_STMT(BPF_MISC | BPF_TXA, 0) }, 77 },
        { { IMM(78), BPF_STMT(BPF_ST, 15), IMM(1), BPF_STMT(BPF_LD | BPF_MEM, 15) }, 78 },
        { { IMMX(79), BPF_STMT(BPF_STX, 3), BPF_STMT(BPF_LD | BPF_MEM, 3) }, 79 },
        { { BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0) }, sizeof(struct seccomp_data) },
        { { BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0) }, sizeof(struct seccomp_data) },
        { { IMM(9), BPF_STMT(BPF_JMP | BPF_JA, 1), IMM(1), IMM(10) }, 10 },
        { { IMM(9), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 8, 0, 1), IMM(11) }, 11 },
        { { IMM(9), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 9, 0, 1), IMM(12) }, 12 },
        { { IMM(9), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 6, 1, 0), IMM(13) }, 13 },
        { { IMM(0xffffffff), IMMX(5), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 1), IMM(14) }, 14 },
    };
    for (unsigned i = 0; i < countof(rows); i++) {
        int status = CHILD({
            struct sock_filter code[12] = { LD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0), RET(SECCOMP_RET_ALLOW) };
            int n = 3;
            for (int k = 0; k < 4; k++)
                code[n++] = rows[i].f[k].code || rows[i].f[k].k ? rows[i].f[k] : (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0);
            code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO);
            code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
            NEED(install(code, n, 0) == 0);
            NEED(ppid() == -1 && errno == (int)rows[i].expected);
        });
        if (status != 0)
            FAIL("row %u: status %x", i, status);
    }
    // Who divides by zero has returned zero: the thread, here the process, is killed.
    CHECK_EQ(CHILD({
        struct sock_filter code[] = { LD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0), RET(SECCOMP_RET_ALLOW),
            BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), RET(SECCOMP_RET_ALLOW) };
        NEED(install(code, countof(code), 0) == 0);
        ppid();
    }), SIGSYS);
}

TEST(refuses_programs)
{
    CHECK_EQ(CHILD({
#define BAD(...) ({ struct sock_filter mt_c[] = { __VA_ARGS__ }; install(mt_c, countof(mt_c), 0) == -1 && errno == EINVAL; })
        NEED(BAD(LD(nr)));                                                // no return
        NEED(BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RET(0)));        // behind the data
        NEED(BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RET(0)));         // not aligned
        NEED(BAD(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), RET(0)));         // not a word
        NEED(BAD(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RET(0)));
        NEED(BAD(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), RET(0)));
        NEED(BAD(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), RET(0)));
        NEED(BAD(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET(0)));
        NEED(BAD(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RET(0)));
        NEED(BAD(BPF_STMT(BPF_LD | BPF_MEM, 0), RET(0)));                 // never stored
        NEED(BAD(BPF_STMT(BPF_ST, 16), RET(0)));
        NEED(BAD(LD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_ST, 1), BPF_STMT(BPF_LD | BPF_MEM, 1), RET(0)));
        NEED(BAD(BPF_STMT(BPF_JMP | BPF_JA, 1), RET(0)));                 // beyond the end
        NEED(BAD(BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), RET(0)));
        NEED(BAD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), RET(0)));
        NEED(BAD(BPF_STMT(0xffff, 0), RET(0)));
        NEED(BAD(BPF_STMT(BPF_RET | BPF_X, 0)));
        struct sock_filter ret = RET(SECCOMP_RET_ALLOW);
        NEED(install(&ret, 0, 0) == -1 && errno == EINVAL);
        NEED(install(&ret, 4097, 0) == -1 && errno == EINVAL);
        NEED(install(NULL, 1, 0) == -1 && errno == EINVAL);
        NEED(install((void *)8, 1, 0) == -1 && errno == EFAULT);
        NEED(install(&ret, 1, 0x8000) == -1 && errno == EINVAL);
        NEED(seccomp(SECCOMP_SET_MODE_FILTER, 0, NULL) == -1 && errno == EFAULT);
        NEED(seccomp(99, 0, NULL) == -1 && errno == EINVAL);
        NEED(prctl(PR_SET_SECCOMP, 3, 0) == -1 && errno == EINVAL);
        NEED(prctl(PR_GET_SECCOMP) == 0);
    }), 0);
    // What is long altogether: a thread's filters have a bound, in instructions of a form that the kernel makes of them.
    CHECK_EQ(CHILD({
        static struct sock_filter code[4096];
        for (int i = 0; i < 4096; i++)
            code[i] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
        for (int i = 0; i < 3; i++)
            NEED(install(code, 4096, 0) == 0);
        NEED(install(code, 4096, 0) == -1 && errno == ENOMEM);
        NEED(install(code, 1, 0) == 0);
    }), 0);
}

TEST(needs_no_new_privileges)
{
    pid_t p = OK(fork());
    if (p == 0) {
        struct sock_filter ret = RET(SECCOMP_RET_ALLOW);
        if (getuid() == 0)
            NEED(syscall(SYS_setresuid, 65534, 65534, 65534) == 0);
        NEED(install(&ret, 1, 0) == -1 && errno == EACCES);
        NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && install(&ret, 1, 0) == 0);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(p, &status, 0), p);
    CHECK_EQ(status, 0);
}

static siginfo_t trapped;
static volatile long trapped_rax;

static void on_sys(int s, siginfo_t *info, void *context)
{
    trapped = *info;
    ucontext_t *u = context;
    trapped_rax = u->uc_mcontext.gregs[REG_RAX];
    u->uc_mcontext.gregs[REG_RAX] = 4711;
}

TEST(traps)
{
    CHECK_EQ(CHILD({
        struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
        NEED(sigaction(SIGSYS, &sa, NULL) == 0);
        NEED(FILTER(SYS_getppid, SECCOMP_RET_TRAP | 0x1234) == 0);
        for (int i = 0; i < 100; i++) {
            memset(&trapped, 0, sizeof trapped);
            NEED(syscall(SYS_getppid) == 4711);
            NEED(trapped.si_signo == SIGSYS && trapped.si_code == 1 && trapped.si_errno == 0x1234);
            NEED(trapped.si_syscall == SYS_getppid && trapped.si_arch == AUDIT_ARCH_X86_64 && trapped_rax == SYS_getppid);
            NEED(trapped.si_call_addr != NULL);
        }
    }), 0);
    // It cannot be put off: blocked or ignored it ends the process.
    CHECK_EQ(CHILD({ signal(SIGSYS, SIG_IGN); NEED(FILTER(SYS_getppid, SECCOMP_RET_TRAP) == 0); ppid(); }), SIGSYS);
    CHECK_EQ(CHILD({
        struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
        sigset_t all;
        sigfillset(&all);
        NEED(sigaction(SIGSYS, &sa, NULL) == 0 && sigprocmask(SIG_BLOCK, &all, NULL) == 0);
        NEED(FILTER(SYS_getppid, SECCOMP_RET_TRAP) == 0);
        ppid();
    }), SIGSYS);
}

static void *calls_getppid(void *arg)
{
    ppid();
    return arg;
}

TEST(kills)
{
    CHECK_EQ(CHILD({ signal(SIGSYS, SIG_IGN); NEED(FILTER(SYS_getppid, SECCOMP_RET_KILL_PROCESS) == 0); ppid(); }), SIGSYS);
    CHECK_EQ(CHILD({ NEED(FILTER(SYS_getppid, SECCOMP_RET_KILL_THREAD) == 0); ppid(); }), SIGSYS); // the only one
    CHECK_EQ(CHILD({ NEED(FILTER(SYS_getppid, 0x12340000) == 0); ppid(); }), SIGSYS);              // no such action
    CHECK_EQ(CHILD({
        pthread_t t;
        void *ret = &t;
        NEED(FILTER(SYS_getppid, SECCOMP_RET_KILL_THREAD) == 0);
        NEED(pthread_create(&t, NULL, calls_getppid, NULL) == 0 && pthread_join(t, &ret) == 0);
    }), 0);
    CHECK_EQ(CHILD({
        pthread_t t;
        NEED(FILTER(SYS_getppid, SECCOMP_RET_KILL_PROCESS) == 0);
        NEED(pthread_create(&t, NULL, calls_getppid, NULL) == 0 && pthread_join(t, NULL) == 0);
    }), SIGSYS);
}

TEST(least_verdict_wins)
{
    CHECK_EQ(CHILD({
        NEED(FILTER(SYS_getppid, ERR(1)) == 0 && FILTER(SYS_getppid, SECCOMP_RET_ALLOW) == 0 && FILTER(SYS_getppid, SECCOMP_RET_TRACE) == 0);
        NEED(ppid() == -1 && errno == 1);
        NEED(FILTER(SYS_getppid, ERR(2)) == 0 && ppid() == -1 && errno == 2); // of equal ones the newest
        NEED(FILTER(SYS_getppid, SECCOMP_RET_KILL_THREAD) == 0 && FILTER(SYS_getppid, SECCOMP_RET_ERRNO) == 0);
        ppid();
    }), SIGSYS);
}

static char *status_line(const char *name)
{
    static char line[200];
    FILE *f = fopen("/proc/thread-self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, name, strlen(name))) {
            fclose(f);
            return line + strlen(name);
        }
    }
    return "";
}

TEST(inherited)
{
    CHECK_EQ(CHILD({
        NEED(!strcmp(status_line("Seccomp:"), "\t0\n"));
        NEED(FILTER(SYS_getppid, ERR(3)) == 0 && FILTER(SYS_getsid, ERR(4)) == 0);
        NEED(!strcmp(status_line("Seccomp:"), "\t2\n") && !strcmp(status_line("Seccomp_filters:"), "\t2\n"));
        pid_t p = fork();
        if (p == 0) {
            NEED(ppid() == -1 && errno == 3 && FILTER(SYS_getpgid, ERR(5)) == 0);
            _exit(getsid(0) == -1 && errno == 4 ? 11 : 1);
        }
        int s;
        NEED(waitpid(p, &s, 0) == p && s == 11 << 8 && getpgid(0) > 0);
        // The new program has it as well.
        NEED(FILTER(SYS_chdir, ERR(ENOTDIR)) == 0);
        execl("/bin/sh", "sh", "-c", "cd / 2>/dev/null && exit 1; exit 12", NULL);
    }), 12 << 8);
}

static atomic_int stage;
static volatile int seen[3];

static void *waits_for_filter(void *arg)
{
    int own = (int)(intptr_t)arg;
    atomic_fetch_add(&stage, 1);
    while (atomic_load(&stage) < 100)
        usleep(500);
    seen[own] = ppid() == -1 ? errno : 0;
    return NULL;
}

TEST(all_threads)
{
    CHECK_EQ(CHILD({
        pthread_t t[2];
        for (intptr_t i = 0; i < 2; i++)
            NEED(pthread_create(&t[i], NULL, waits_for_filter, (void *)i) == 0);
        while (atomic_load(&stage) < 2)
            usleep(500);
        struct sock_filter f[] = { LD(nr), ON(SYS_getppid, ERR(21)), RET(SECCOMP_RET_ALLOW) };
        NEED(install(f, countof(f), SECCOMP_FILTER_FLAG_TSYNC) == 0);
        atomic_store(&stage, 100);
        pthread_join(t[0], NULL);
        pthread_join(t[1], NULL);
        NEED(seen[0] == 21 && seen[1] == 21);
    }), 0);
}

static atomic_int other_tid;

static void *has_its_own(void *arg)
{
    FILTER(SYS_getsid, ERR(1));
    atomic_store(&other_tid, gettid());
    while (atomic_load(&stage) < 100)
        usleep(500);
    return NULL;
}

TEST(threads_with_filters_of_their_own)
{
    CHECK_EQ(CHILD({
        pthread_t t;
        NEED(pthread_create(&t, NULL, has_its_own, NULL) == 0);
        while (!atomic_load(&other_tid))
            usleep(500);
        struct sock_filter f[] = { LD(nr), ON(SYS_getppid, ERR(21)), RET(SECCOMP_RET_ALLOW) };
        NEED(install(f, countof(f), SECCOMP_FILTER_FLAG_TSYNC) == other_tid && ppid() >= 0);
        NEED(install(f, countof(f), SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH) == -1 && errno == ESRCH);
        NEED(install(f, countof(f), SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW) == 0 && ppid() == -1);
        NEED(getsid(0) >= 0);
        atomic_store(&stage, 100);
        pthread_join(t, NULL);
    }), 0);
}

static void nothing(int s) { }

TEST(interrupted_calls)
{
    // restart_syscall(2) is a call like any other.
    CHECK_EQ(CHILD({
        NEED(FILTER(SYS_restart_syscall, ERR(EXDEV)) == 0);
        pid_t parent = getpid();
        pid_t p = fork();
        if (p == 0) {
            usleep(50000);
            kill(parent, SIGSTOP);
            usleep(50000);
            kill(parent, SIGCONT);
            _exit(0);
        }
        struct timespec ts = { 0, 600000000 };
        errno = 0;
        long r = syscall(SYS_nanosleep, &ts, NULL);
        NEED(r == -1 && errno == EXDEV);
        NEED(waitpid(p, NULL, 0) == p);
    }), 0);
    CHECK_EQ(CHILD({
        struct sigaction sa = { .sa_handler = nothing, .sa_flags = SA_RESTART };
        sigaction(SIGALRM, &sa, NULL);
        NEED(FILTER(SYS_getppid, ERR(1)) == 0);
        int p[2];
        NEED(pipe(p) == 0);
        pid_t child = fork();
        if (child == 0) {
            usleep(100000);
            NEED(write(p[1], "y", 1) == 1);
            _exit(0);
        }
        ualarm(20000, 0);
        char c;
        NEED(read(p[0], &c, 1) == 1 && c == 'y');
        NEED(waitpid(child, NULL, 0) == child);
    }), 0);
}

TEST(available_actions)
{
    unsigned known[] = { SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO, SECCOMP_RET_TRACE,
        SECCOMP_RET_LOG, SECCOMP_RET_ALLOW };
    for (unsigned i = 0; i < countof(known); i++)
        CHECK_EQ(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &known[i]), 0);
    unsigned none = 0x00070000;
    CHECK_ERR(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &none), EOPNOTSUPP);
    CHECK_ERR(seccomp(SECCOMP_GET_ACTION_AVAIL, 1, &none), EINVAL);
    CHECK_ERR(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, NULL), EFAULT);
}
