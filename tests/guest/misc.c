// The rest of what every program asks: randomness, names, clocks, sleeping, scheduling, limits, prctl, identities.
#include "moat_test.h"
#include <asm/prctl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>

TEST(getrandom_calls)
{
    unsigned char a[256] = {0}, b[256] = {0};
    CHECK_EQ(syscall(SYS_getrandom, a, 256, 0), 256);
    CHECK_EQ(syscall(SYS_getrandom, b, 256, 0), 256);
    CHECK(memcmp(a, b, 256) != 0);
    CHECK_EQ(syscall(SYS_getrandom, a, 0, 0), 0);
    CHECK_EQ(syscall(SYS_getrandom, a, 10, 1 /* GRND_NONBLOCK */), 10);
    CHECK_EQ(syscall(SYS_getrandom, a, 10, 2 /* GRND_RANDOM */), 10);
    CHECK_EQ(syscall(SYS_getrandom, a, 10, 4 /* GRND_INSECURE */), 10);
    CHECK_ERR(syscall(SYS_getrandom, a, 10, 8), EINVAL);
    CHECK_ERR(syscall(SYS_getrandom, a, 10, 6), EINVAL);
    CHECK_ERR(syscall(SYS_getrandom, 8, 10, 0), EFAULT);
    static unsigned char big[100000];
    CHECK_EQ(syscall(SYS_getrandom, big, sizeof big, 0), sizeof big);
    int zeros = 0;
    for (size_t i = 0; i < sizeof big; i++)
        zeros += big[i] == 0;
    CHECK(zeros < 1000);
}

TEST(uname_fields)
{
    struct utsname u;
    OK(uname(&u));
    CHECK_STR(u.sysname, "Linux");
    CHECK_STR(u.machine, "x86_64");
    CHECK(u.nodename[0] && u.version[0]);
    int major, minor;
    CHECK_EQ(sscanf(u.release, "%d.%d", &major, &minor), 2);
    CHECK(major >= 5);
    char name[65];
    OK(gethostname(name, sizeof name));
    CHECK_STR(name, u.nodename);
}

TEST(sysinfo_fields)
{
    struct sysinfo s;
    OK(sysinfo(&s));
    CHECK(s.uptime > 0);
    CHECK(s.mem_unit > 0 && s.totalram > 0 && s.freeram <= s.totalram);
    CHECK(s.procs > 0);
    CHECK(sysconf(_SC_PHYS_PAGES) > 0);
}

TEST(clocks_run_forward)
{
    const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
                                CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};
    for (unsigned i = 0; i < countof(clocks); i++) {
        struct timespec a, b, res;
        OK(clock_getres(clocks[i], &res));
        CHECK(res.tv_sec == 0 && res.tv_nsec > 0);
        uint64_t last = 0;
        for (int j = 0; j < 1000; j++) {
            OK(clock_gettime(clocks[i], &a));
            CHECK(a.tv_nsec >= 0 && a.tv_nsec < 1000000000);
            uint64_t now = a.tv_sec * 1000000000ull + a.tv_nsec;
            CHECK(now >= last);
            last = now;
        }
        OK(syscall(SYS_clock_gettime, clocks[i], &b)); // the call and libc's short cut agree
        CHECK(b.tv_sec * 1000000000ull + b.tv_nsec + 20000000 >= last);
    }
    struct timespec ts;
    CHECK_ERR(syscall(SYS_clock_gettime, 99, &ts), EINVAL);
    CHECK_ERR(syscall(SYS_clock_getres, 99, &ts), EINVAL);
    OK(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL));
}

TEST(clocks_agree)
{
    struct timeval tv;
    uint64_t before = mt_now_ns(CLOCK_REALTIME);
    OK(gettimeofday(&tv, NULL));
    uint64_t of_day = tv.tv_sec * 1000000000ull + tv.tv_usec * 1000ull, after = mt_now_ns(CLOCK_REALTIME);
    CHECK(of_day + 1000 >= before && of_day <= after);
    time_t t = time(NULL); // as coarse as a tick
    CHECK(t >= (time_t)(before / 1000000000) - 1 && t <= (time_t)(mt_now_ns(CLOCK_REALTIME) / 1000000000));
    time_t stored = 0;
    CHECK_EQ(syscall(SYS_time, &stored), stored);
    CHECK(mt_now_ns(CLOCK_BOOTTIME) >= mt_now_ns(CLOCK_MONOTONIC) - 1000000000);
}

TEST(cpu_clocks_count)
{
    uint64_t start = mt_now_ns(CLOCK_PROCESS_CPUTIME_ID), thread = mt_now_ns(CLOCK_THREAD_CPUTIME_ID);
    while (mt_now_ns(CLOCK_PROCESS_CPUTIME_ID) - start < 20000000) {}
    CHECK(mt_now_ns(CLOCK_THREAD_CPUTIME_ID) > thread);
    uint64_t before = mt_now_ns(CLOCK_THREAD_CPUTIME_ID);
    mt_sleep_us(30000);
    CHECK(mt_now_ns(CLOCK_THREAD_CPUTIME_ID) - before < 25000000); // sleeping costs nothing
    struct tms t;
    CHECK(times(&t) != -1);
    CHECK(t.tms_cutime == 0 && t.tms_cstime == 0);
    struct rusage u;
    OK(getrusage(RUSAGE_SELF, &u));
    CHECK(u.ru_utime.tv_sec * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_sec * 1000000 + u.ru_stime.tv_usec > 0);
    CHECK(u.ru_maxrss > 0);
    OK(getrusage(RUSAGE_THREAD, &u));
    OK(getrusage(RUSAGE_CHILDREN, &u));
    CHECK_EQ(u.ru_utime.tv_sec, 0);
    CHECK_ERR(getrusage(77, &u), EINVAL);
}

TEST(sleeping)
{
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    struct timespec ts = {0, 10000000}, rest = {7, 7};
    OK(nanosleep(&ts, &rest));
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 10000000);
    CHECK(rest.tv_sec == 7 && rest.tv_nsec == 7); // not written
    const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_TAI};
    for (unsigned i = 0; i < countof(clocks); i++) {
        uint64_t until = mt_now_ns(clocks[i]) + 5000000;
        ts = (struct timespec){until / 1000000000, until % 1000000000};
        CHECK_EQ(clock_nanosleep(clocks[i], TIMER_ABSTIME, &ts, NULL), 0);
        CHECK(mt_now_ns(clocks[i]) >= until);
        CHECK_EQ(clock_nanosleep(clocks[i], TIMER_ABSTIME, &ts, NULL), 0); // past
    }
    ts = (struct timespec){0, 0};
    OK(nanosleep(&ts, NULL));
    ts = (struct timespec){0, 1000000000};
    CHECK_ERR(nanosleep(&ts, NULL), EINVAL);
    ts = (struct timespec){-1, 0};
    CHECK_ERR(nanosleep(&ts, NULL), EINVAL);
    ts = (struct timespec){0, 1};
    CHECK_EQ(clock_nanosleep(99, 0, &ts, NULL), EINVAL);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC_COARSE, 0, &ts, NULL), ENOTSUP);
    CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EINVAL);
}

TEST(many_sleepers)
{
    // Sleeps of different lengths end each at its own time, not with the longest.
    struct timespec ts = {0, 1000000};
    for (int i = 0; i < 20; i++)
        OK(nanosleep(&ts, NULL));
}

TEST(affinity)
{
    cpu_set_t set, one;
    long n = OK(syscall(SYS_sched_getaffinity, 0, sizeof set, &set));
    CHECK(n >= 8 && n % 8 == 0);
    CHECK(CPU_COUNT(&set) >= 1);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
            break;
        }
    OK(sched_setaffinity(0, sizeof one, &one));
    cpu_set_t now;
    CPU_ZERO(&now);
    OK(sched_getaffinity(0, sizeof now, &now));
    CHECK(CPU_EQUAL(&now, &one));
    OK(sched_setaffinity(0, sizeof set, &set));
    CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 7, &set), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getaffinity, 0x7ffffff0, sizeof set, &set), ESRCH);
    CHECK_ERR(syscall(SYS_sched_getaffinity, 0, sizeof set, 8), EFAULT);
    CPU_ZERO(&one);
    CHECK_ERR(sched_setaffinity(0, sizeof one, &one), EINVAL);
    unsigned cpu = 9999, node = 9999;
    OK(syscall(SYS_getcpu, &cpu, &node, NULL));
    CHECK(CPU_ISSET(cpu, &set));
    CHECK(node < 1024);
    CHECK(sched_getcpu() >= 0);
}

static void *has_affinity(void *wanted)
{
    cpu_set_t now;
    CPU_ZERO(&now);
    OK(sched_getaffinity(0, sizeof now, &now));
    return CPU_EQUAL(&now, (cpu_set_t *)wanted) ? NULL : wanted;
}

// Threads run where they are told to, what they make does too, and nothing but the program changes that.
TEST(affinity_stays)
{
    cpu_set_t all, now;
    CPU_ZERO(&all);
    OK(sched_getaffinity(0, sizeof all, &all));
    int ends[2];
    OK(pipe(ends));
    for (int i = 0; i < 300; i++) {
        char byte = 0;
        OK(write(ends[1], &byte, 1));
        OK(read(ends[0], &byte, 1));
        CPU_ZERO(&now);
        OK(sched_getaffinity(0, sizeof now, &now));
        CHECK(CPU_EQUAL(&now, &all));
    }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        OK(sched_setaffinity(0, sizeof one, &one));
        for (int i = 0; i < 100; i++) {
            unsigned told = 9999;
            CHECK_EQ(sched_getcpu(), cpu);
            OK(syscall(SYS_getcpu, &told, NULL, NULL));
            CHECK_EQ(told, cpu);
            sched_yield();
        }
        pthread_t t;
        void *wrong;
        CHECK_EQ(pthread_create(&t, NULL, has_affinity, &one), 0);
        CHECK_EQ(pthread_join(t, &wrong), 0);
        CHECK(wrong == NULL);
        pid_t child = OK(fork());
        if (child == 0)
            _exit(has_affinity(&one) != NULL || sched_getcpu() != cpu);
        int status;
        OK(waitpid(child, &status, 0));
        CHECK_EQ(status, 0);
    }
    OK(sched_setaffinity(0, sizeof all, &all));
    OK(close(ends[0]));
    OK(close(ends[1]));
}

TEST(real_time_policies)
{
    struct sched_param p = {.sched_priority = 7};
    bool may = geteuid() == 0;
    if (!may) {
        CHECK_ERR(sched_setscheduler(0, SCHED_FIFO, &p), EPERM);
        return;
    }
    OK(sched_setscheduler(0, SCHED_FIFO, &p));
    CHECK_EQ(sched_getscheduler(0), SCHED_FIFO);
    p.sched_priority = 0;
    OK(sched_getparam(0, &p));
    CHECK_EQ(p.sched_priority, 7);
    CHECK_ERR(sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 0}), EINVAL);
    OK(sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){.sched_priority = 0}));
    OK(sched_getparam(0, &p));
    CHECK_EQ(p.sched_priority, 0);
    int before = OK(syscall(SYS_ioprio_get, 1, 0));
    OK(syscall(SYS_ioprio_set, 1, 0, 1 << 13 | 3));
    CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), 1 << 13 | 3);
    OK(syscall(SYS_ioprio_set, 1, 0, 3 << 13));
    OK(syscall(SYS_ioprio_set, 1, 0, before));
}

TEST(scheduling)
{
    struct sched_param p = {.sched_priority = 77};
    CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
    OK(sched_getparam(0, &p));
    CHECK_EQ(p.sched_priority, 0);
    CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
    CHECK_EQ(sched_get_priority_min(SCHED_FIFO), 1);
    CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
    CHECK_ERR(sched_get_priority_max(77), EINVAL);
    OK(sched_setscheduler(0, SCHED_OTHER, &p));
    p.sched_priority = 1;
    CHECK_ERR(sched_setscheduler(0, SCHED_OTHER, &p), EINVAL);
    CHECK_ERR(sched_getscheduler(0x7ffffff0), ESRCH);
    CHECK_ERR(sched_getscheduler(-1), EINVAL);
    for (int i = 0; i < 100; i++)
        OK(sched_yield());
    errno = 0;
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
    CHECK_EQ(errno, 0);
    CHECK_ERR(getpriority(99, 0), EINVAL);
}

TEST(prctl_names)
{
    char b[16] = "";
    OK(prctl(PR_GET_NAME, b));
    CHECK_STR(b, "misc");
    OK(prctl(PR_SET_NAME, "a name that is far too long"));
    OK(prctl(PR_GET_NAME, b));
    CHECK_STR(b, "a name that is ");
    OK(prctl(PR_SET_NAME, "misc"));
}

static void *names_itself(void *arg)
{
    OK(prctl(PR_SET_NAME, "other"));
    OK(prctl(PR_GET_NAME, arg));
    return NULL;
}

TEST(names_are_per_thread)
{
    char other[16] = "", own[16] = "";
    OK0(pthread_join(mt_thread(names_itself, other), NULL));
    OK(prctl(PR_GET_NAME, own));
    CHECK_STR(other, "other");
    CHECK_STR(own, "misc");
}

TEST(prctl_others)
{
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    OK(prctl(PR_SET_DUMPABLE, 0));
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    OK(prctl(PR_SET_DUMPABLE, 1));
    CHECK_ERR(prctl(PR_SET_DUMPABLE, 2), EINVAL);
    int sig = 77;
    OK(prctl(PR_GET_PDEATHSIG, &sig));
    CHECK_EQ(sig, 0);
    OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    OK(prctl(PR_GET_PDEATHSIG, &sig));
    CHECK_EQ(sig, SIGUSR1);
    OK(prctl(PR_SET_PDEATHSIG, 0));
    CHECK_ERR(prctl(PR_SET_PDEATHSIG, 99), EINVAL);
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_GET_KEEPCAPS), 0);
    CHECK(prctl(PR_GET_TIMERSLACK) > 0);
    OK(prctl(PR_SET_TIMERSLACK, 60000));
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 60000);
    OK(prctl(PR_SET_TIMERSLACK, 0)); // back to the default
    int reaper = 5;
    OK(prctl(PR_GET_CHILD_SUBREAPER, &reaper));
    CHECK_EQ(reaper, 0);
    int *address = NULL;
    if (prctl(PR_GET_TID_ADDRESS, &address) == 0)
        CHECK(address != NULL);
    CHECK_ERR(prctl(0x7fffffff), EINVAL);
    CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

TEST(limits)
{
    struct rlimit l, old, now;
    for (int i = 0; i < 16; i++) {
        OK(getrlimit(i, &l));
        CHECK(l.rlim_cur <= l.rlim_max);
    }
    OK(getrlimit(RLIMIT_NOFILE, &old));
    l = (struct rlimit){100, old.rlim_max};
    OK(prlimit(0, RLIMIT_NOFILE, &l, &now));
    CHECK_EQ(now.rlim_cur, old.rlim_cur);
    OK(prlimit(getpid(), RLIMIT_NOFILE, &old, &now));
    CHECK_EQ(now.rlim_cur, 100);
    l = (struct rlimit){11, 10};
    CHECK_ERR(setrlimit(RLIMIT_NOFILE, &l), EINVAL);
    CHECK_ERR(getrlimit(16, &l), EINVAL);
    CHECK_ERR(getrlimit(-1, &l), EINVAL);
    CHECK_ERR(prlimit(0x7ffffff0, RLIMIT_NOFILE, NULL, &l), ESRCH);
    OK(getrlimit(RLIMIT_CORE, &old));
    l = (struct rlimit){0, old.rlim_max};
    OK(setrlimit(RLIMIT_CORE, &l));
    OK(getrlimit(RLIMIT_CORE, &now));
    CHECK_EQ(now.rlim_cur, 0);
    OK(setrlimit(RLIMIT_CORE, &old));
    OK(getrlimit(RLIMIT_STACK, &l));
    CHECK(l.rlim_cur >= 65536);
}

static void *has_own_fs(void *arg)
{
    OK(syscall(SYS_arch_prctl, ARCH_GET_FS, arg));
    return NULL;
}

TEST(segment_bases)
{
    unsigned long fs = 0, other = 0, gs = 77;
    OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
    CHECK_EQ(fs, (unsigned long)pthread_self());
    OK0(pthread_join(mt_thread(has_own_fs, &other), NULL));
    CHECK(other != 0 && other != fs);
    OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    CHECK_EQ(gs, 0);
    static unsigned long words[4] = {11, 22, 33, 44};
    OK(syscall(SYS_arch_prctl, ARCH_SET_GS, words));
    unsigned long got;
    __asm__ volatile("mov %%gs:16, %0" : "=r"(got));
    CHECK_EQ(got, 33);
    for (int i = 0; i < 100; i++)
        getppid(); // system calls leave it alone
    __asm__ volatile("mov %%gs:8, %0" : "=r"(got));
    CHECK_EQ(got, 22);
    OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    CHECK_EQ(gs, (unsigned long)words);
    OK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0));
    CHECK_ERR(syscall(SYS_arch_prctl, ARCH_SET_FS, 0xffff888000000000), EPERM);
    CHECK_ERR(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
}

TEST(restartable_sequences)
{
    // Refused or done right: both are an answer.
    static _Alignas(32) char area[32];
    long r = syscall(SYS_rseq, area, 32, 0, 0x53053053);
    CHECK(r == 0 || errno == ENOSYS || errno == EINVAL || errno == EBUSY || errno == EPERM);
    if (r == 0)
        OK(syscall(SYS_rseq, area, 32, 1, 0x53053053));
}

TEST(membarriers)
{
    long cmds = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    if (cmds < 0) {
        CHECK_EQ(errno, ENOSYS);
        return;
    }
    if (cmds & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) {
        CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
        OK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
        OK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    }
    CHECK_ERR(syscall(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
}

TEST(user_identities)
{
    uid_t r, e, s;
    gid_t gr, ge, gs, groups[256];
    OK(getresuid(&r, &e, &s));
    CHECK(r == getuid() && e == geteuid());
    OK(getresgid(&gr, &ge, &gs));
    CHECK(gr == getgid() && ge == getegid());
    int n = OK(getgroups(0, NULL));
    CHECK(n >= 0 && n <= 256);
    CHECK_EQ(getgroups(256, groups), n);
    OK(setresuid(-1, -1, -1));
    OK(setuid(getuid()));
    OK(setgid(getgid()));
    CHECK_EQ(getauxval(AT_UID), getuid());
    CHECK_EQ(getauxval(AT_EUID), geteuid());
    if (geteuid() != 0)
        CHECK_ERR(setuid(0), EPERM);
    CHECK(getpgid(0) > 0);
    CHECK(getsid(0) > 0);
    CHECK_EQ(getpgrp(), getpgid(0));
    CHECK_EQ(getpgid(getpid()), getpgrp());
    CHECK_ERR(getpgid(0x7ffffff0), ESRCH);
    CHECK_ERR(getsid(0x7ffffff0), ESRCH);
    CHECK_EQ(syscall(SYS_personality, 0xffffffff), 0);
}

TEST(vdso_works)
{
    CHECK(getauxval(AT_SYSINFO_EHDR) != 0);
    const char *elf = (const char *)getauxval(AT_SYSINFO_EHDR);
    CHECK_EQ(memcmp(elf, "\177ELF", 4), 0);
    struct timespec ts;
    for (int i = 0; i < 10000; i++)
        OK(clock_gettime(CLOCK_MONOTONIC, &ts));
}

TEST(cpuid_and_rdtsc)
{
    uint32_t a = 0, b, c, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    CHECK(a > 0 && b != 0);
    uint64_t t1 = __builtin_ia32_rdtsc(), t2 = __builtin_ia32_rdtsc();
    CHECK(t2 >= t1);
}

static sigjmp_buf out;

static void jumps_out(int signo) { siglongjmp(out, signo); }

TEST(privileged_instructions_fault)
{
    static const unsigned char code[][4] = {{0xf4, 0xc3}, {0xfa, 0xc3}, {0x0f, 0x01, 0xf8, 0xc3}, {0xec, 0xc3}};
    OK(sigaction(SIGSEGV, &(struct sigaction){.sa_handler = jumps_out}, NULL));
    unsigned char *p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (volatile unsigned i = 0; i < countof(code); i++) { // hlt, cli, swapgs, in
        memcpy(p, code[i], 4);
        int r = sigsetjmp(out, 1);
        if (r == 0) {
            ((void (*)(void))p)();
            FAIL("instruction %u went through", i);
        }
        CHECK_EQ(r, SIGSEGV);
    }
    OK(munmap(p, 4096));
}
