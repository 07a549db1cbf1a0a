// execve in children, with threads, with close-on-exec; futexes across processes; limits on processes.
#define MT_OWN_MAIN
#include "moat_test.h"
#include <asm/prctl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <sys/wait.h>

#define EXPECT(cond) do { if (!(cond)) _exit(__LINE__ % 200 + 1); } while (0)

static int wait_for(pid_t pid)
{
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static int shell(const char *script)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", script, NULL);
        _exit(99);
    }
    return wait_for(pid);
}

TEST(status_of_a_program)
{
    CHECK_EQ(shell("exit 12"), 12 << 8);
    CHECK_EQ(shell("kill -9 $$"), SIGKILL);
    CHECK_EQ(shell("/bin/true"), 0);
}

TEST(descriptors_close_on_exec)
{
    int kept = OK(open("/dev/null", O_RDONLY)), closed = OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
    char script[200];
    snprintf(script, sizeof script, "test -e /proc/self/fd/%d && ! test -e /proc/self/fd/%d", kept, closed);
    CHECK_EQ(shell(script), 0);
    close(kept), close(closed);
}

TEST(ignored_signals_stay_and_handlers_go)
{
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, (void (*)(int))shell);
    CHECK_EQ(shell("kill -USR1 $$; exit 4"), 4 << 8);
    CHECK_EQ(shell("kill -USR2 $$; exit 4"), SIGUSR2);
}

static void *spins(void *p)
{
    (void)p;
    for (;;)
        getppid();
    return NULL;
}

static void *execs(void *p)
{
    (void)p;
    execl("/bin/sh", "sh", "-c", "test $$ = $EXPECTED && exit 21", NULL);
    _exit(99);
}

TEST(execve_ends_other_threads)
{
    for (int from_thread = 0; from_thread < 2; from_thread++) {
        pid_t pid = fork();
        if (pid == 0) {
            char value[20];
            snprintf(value, sizeof value, "%d", getpid());
            setenv("EXPECTED", value, 1);
            pthread_t t;
            for (int i = 0; i < 3; i++)
                pthread_create(&t, NULL, spins, NULL);
            if (from_thread)
                pthread_create(&t, NULL, execs, NULL);
            else
                execs(NULL);
            for (;;)
                pause();
        }
        CHECK_EQ(wait_for(pid), 21 << 8);
    }
}

TEST(a_failing_execve_leaves_the_process)
{
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(execl("/does/not/exist", "x", NULL) == -1 && errno == ENOENT);
        EXPECT(execl("/etc/passwd", "x", NULL) == -1 && errno == EACCES);
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
}

TEST(execveat_of_a_descriptor)
{
    int fd = OK(open("/bin/true", O_PATH | O_CLOEXEC));
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {"true", NULL}, *envp[] = {NULL};
        syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
        _exit(9);
    }
    CHECK_EQ(wait_for(pid), 0);
    close(fd);
}

static long futex(volatile int *word, int op, int value, const struct timespec *t)
{
    return syscall(SYS_futex, word, op, value, t, NULL, 0);
}

// What main does in the program that the next test executes, again and again, before it has a second thread.
static void check_fresh_and_go_on(int stage)
{
    unsigned long gs = 1;
    unsigned short control;
    unsigned mxcsr;
    stack_t stack;
    EXPECT(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == 0);
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(control));
    EXPECT(mxcsr == 0x1f80 && control == 0x37f);
    EXPECT(sigaltstack(NULL, &stack) == 0 && stack.ss_flags == SS_DISABLE);
    EXPECT(mmap((void *)0x12340000, 4096, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == (void *)0x12340000);
    if (stage == 4)
        _exit(77);
    // Often enough for a call site to be patched.
    for (int i = 0; i < 3000; i++)
        EXPECT(getppid() > 0);
    mxcsr = 0x9f80 | 0x6000, control = 0x27f;
    __asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(control));
    stack = (stack_t){.ss_sp = malloc(65536), .ss_size = 65536};
    EXPECT(sigaltstack(&stack, NULL) == 0);
    if (stage % 2 == 1)
        EXPECT(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x1234560) == 0);
    char next[2] = {(char)('0' + stage + 1), 0};
    setenv("EXEC_STAGE", next, 1);
    execl("/proc/self/exe", "process_exec", NULL);
    _exit(98);
}

TEST(a_program_begins_afresh)
{
    pid_t pid = fork();
    if (pid == 0) {
        setenv("EXEC_STAGE", "0", 1);
        execl("/proc/self/exe", "process_exec", NULL);
        _exit(99);
    }
    CHECK_EQ(wait_for(pid), 77 << 8);
}

TEST(times_pass_on_to_the_next_program)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct tms t;
        do
            times(&t);
        while (t.tms_utime + t.tms_stime < 10);
        // 14th and 15th word: the time of both programs.
        execl("/bin/sh", "sh", "-c", "set -- $(cat /proc/$$/stat); test $((${14} + ${15})) -ge 10", NULL);
        _exit(99);
    }
    CHECK_EQ(wait_for(pid), 0);
}

TEST(futexes_between_processes)
{
    volatile int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        word[1] = 1;
        while (word[0] == 0)
            futex(word, FUTEX_WAIT, 0, NULL);
        _exit(word[0]);
    }
    UNTIL(word[1]);
    mt_sleep_us(10000);
    word[0] = 33;
    futex(word, FUTEX_WAKE, 1, NULL);
    CHECK_EQ(wait_for(pid), 33 << 8);
    munmap((void *)word, 4096);
}

TEST(a_private_futex_is_each_process_own)
{
    static volatile int word;
    word = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec t = {0, 100000000};
        EXPECT(futex(&word, FUTEX_WAIT, 0, &t) == -1 && errno == ETIMEDOUT);
        _exit(0);
    }
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(futex(&word, FUTEX_WAKE, 1, NULL), 0);
        mt_sleep_us(1000);
    }
    CHECK_EQ(wait_for(pid), 0);
}

TEST(a_robust_mutex_between_processes)
{
    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(m, &a);
    for (int waits = 0; waits < 2; waits++) {
        volatile int *locked = (int *)(m + 1);
        *locked = 0;
        pid_t pid = fork();
        if (pid == 0) {
            pthread_mutex_lock(m);
            *locked = 1;
            if (waits)
                for (;;)
                    pause();
            _exit(0);
        }
        UNTIL(*locked);
        if (waits) {
            mt_sleep_us(5000);
            kill(pid, SIGKILL);
        }
        CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD);
        pthread_mutex_consistent(m);
        pthread_mutex_unlock(m);
        wait_for(pid);
    }
    munmap(m, 4096);
}

TEST(a_limit_on_processes)
{
    if (getuid() == 0)
        SKIP("user 0 has no such limit");
    struct rlimit l;
    getrlimit(RLIMIT_NPROC, &l);
    l.rlim_cur = 1;
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_NPROC, &l);
        EXPECT(fork() == -1 && errno == EAGAIN);
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
}

TEST(pipes_end_with_their_last_writer)
{
    int p[2];
    OK(pipe(p));
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        EXPECT(write(p[1], "abc", 3) == 3);
        _exit(0);
    }
    close(p[1]);
    char b[8];
    CHECK_EQ(read(p[0], b, 8), 3);
    CHECK_EQ(read(p[0], b, 8), 0);
    close(p[0]);
    CHECK_EQ(wait_for(pid), 0);
}

TEST(sigpipe_between_processes)
{
    int p[2];
    OK(pipe(p));
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        char b;
        for (;;)
            if (write(p[1], &b, 1) < 0)
                _exit(1);
    }
    close(p[1]);
    mt_sleep_us(2000);
    close(p[0]);
    CHECK_EQ(wait_for(pid), SIGPIPE);
}

TEST(flock_belongs_to_the_description)
{
    int fd = OK(open("lock", O_RDWR | O_CREAT, 0600));
    struct flock l = {.l_type = F_WRLCK};
    OK(fcntl(fd, F_SETLK, &l));
    pid_t pid = fork();
    if (pid == 0) {
        // POSIX locks are not inherited.
        struct flock q = {.l_type = F_WRLCK};
        EXPECT(fcntl(fd, F_GETLK, &q) == 0 && q.l_type == F_WRLCK && q.l_pid == getppid());
        EXPECT(fcntl(fd, F_SETLK, &q) == -1 && (errno == EAGAIN || errno == EACCES));
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
    close(fd);
}

TEST(signals_to_a_group_during_forks)
{
    // A child is in the group from its first moment: none escapes.
    pid_t leader = fork();
    if (leader == 0) {
        setpgid(0, 0);
        for (;;) {
            pid_t pid = fork();
            if (pid == 0)
                for (;;)
                    pause();
            mt_sleep_us(500);
        }
    }
    mt_sleep_us(30000);
    while (kill(-leader, SIGKILL) != 0)
        mt_sleep_us(1000);
    CHECK_EQ(wait_for(leader), SIGKILL);
    UNTIL(kill(-leader, 0) == -1 && errno == ESRCH);
}

TEST(a_pipe_is_opened_by_its_descriptor)
{
    int p[2];
    OK(pipe(p));
    CHECK_EQ(write(p[1], "abc", 3), 3);
    close(p[1]);
    char path[64], b[8];
    snprintf(path, sizeof path, "/dev/fd/%d", p[0]);
    int fd = OK(open(path, O_RDONLY)); // needs no writer
    CHECK_EQ(read(fd, b, 8), 3);
    CHECK_EQ(read(fd, b, 8), 0);
    close(fd);
    fd = OK(open(path, O_WRONLY));
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
    close(p[0]);
}

int main(int argc, char **argv)
{
    const char *stage = getenv("EXEC_STAGE");
    if (stage)
        check_fresh_and_go_on(atoi(stage));
    return mt_main(argc, argv);
}
