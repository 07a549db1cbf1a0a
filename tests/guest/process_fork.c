// fork, vfork, clone of processes: memory, descriptors, ids, ends.
#include "moat_test.h"
#include <linux/sched.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int wait_for(pid_t pid)
{
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

#define CHILD_OK(pid) CHECK_EQ(wait_for(pid), 0)
#define EXPECT(cond) do { if (!(cond)) _exit(__LINE__ % 200 + 1); } while (0)

static volatile int global = 1;

TEST(fork_has_its_own_memory)
{
    volatile int local = 2;
    volatile int *heap = malloc(1 << 20);
    heap[0] = 3;
    heap[200000] = 4;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        EXPECT(global == 1 && local == 2 && heap[0] == 3 && heap[200000] == 4 && heap[100000] == 0);
        global = local = heap[0] = heap[200000] = 9;
        EXPECT(global == 9 && local == 9 && heap[0] == 9);
        _exit(0);
    }
    CHILD_OK(pid);
    CHECK(global == 1 && local == 2 && heap[0] == 3 && heap[200000] == 4);
    free((void *)heap);
}

TEST(ids)
{
    pid_t me = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(getpid() != me && getppid() == me && gettid() == getpid());
        EXPECT(getpgid(0) == getpgid(me) && getsid(0) == getsid(me));
        _exit(0);
    }
    CHECK(pid > 0 && pid != me);
    CHILD_OK(pid);
    CHECK_EQ(kill(pid, 0), -1);
    CHECK_EQ(errno, ESRCH);
}

TEST(shared_mappings_are_shared)
{
    volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile int *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    CHECK_EQ(ftruncate(fd, 4096), 0);
    volatile int *file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    shared[0] = private[0] = 1;
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(shared[0] == 1 && private[0] == 1);
        shared[0] = 2;
        private[0] = 2;
        file[5] = 7;
        _exit(0);
    }
    CHILD_OK(pid);
    CHECK_EQ(shared[0], 2);
    CHECK_EQ(private[0], 1);
    CHECK_EQ(file[5], 7);
    munmap((void *)shared, 4096);
    munmap((void *)private, 4096);
    munmap((void *)file, 4096);
}

TEST(dontfork_and_wipeonfork)
{
    volatile char *a = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    a[0] = a[4096] = a[8192] = 5;
    CHECK_EQ(madvise((void *)a, 4096, MADV_DONTFORK), 0);
    CHECK_EQ(madvise((void *)(a + 4096), 4096, MADV_WIPEONFORK), 0);
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(a[4096] == 0 && a[8192] == 5);
        EXPECT(write(STDOUT_FILENO, (void *)a, 1) == -1 && errno == EFAULT);
        a[4096] = 1;
        a[0] = 1;
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), SIGSEGV);
    CHECK(a[0] == 5 && a[4096] == 5 && a[8192] == 5);
    munmap((void *)a, 3 * 4096);
}

TEST(descriptors_are_copied_and_descriptions_shared)
{
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char b[4];
        EXPECT(read(fd, b, 4) == 4 && memcmp(b, "0123", 4) == 0);
        EXPECT(close(fd) == 0);
        EXPECT(open("/dev/null", O_RDONLY) == fd);
        _exit(0);
    }
    CHILD_OK(pid);
    char b[2];
    CHECK_EQ(read(fd, b, 2), 2);
    CHECK(memcmp(b, "45", 2) == 0);
    close(fd);
}

TEST(exit_status)
{
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (i == 0)
                _exit(300);
            if (i == 1)
                kill(getpid(), SIGTERM);
            *(volatile int *)8 = 1;
        }
        int status = wait_for(pid);
        if (i == 0)
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 300 % 256);
        else
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == (i == 1 ? SIGTERM : SIGSEGV));
    }
}

TEST(vfork_waits_and_shares)
{
    static volatile int seen;
    seen = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        struct timespec t = {0, 20000000};
        nanosleep(&t, NULL);
        seen = 1;
        _exit(0);
    }
    CHECK_EQ(seen, 1);
    CHILD_OK(pid);
}

TEST(vfork_exec)
{
    for (int i = 0; i < 3; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            execl("/bin/sh", "sh", "-c", "exit 5", NULL);
            _exit(99);
        }
        CHECK_EQ(wait_for(pid), 5 << 8);
    }
}

TEST(fork_exec_in_a_loop)
{
    for (int i = 0; i < 10; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/true", "true", NULL);
            _exit(99);
        }
        CHILD_OK(pid);
    }
}

TEST(a_tree_of_processes)
{
    int *sum = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 4; i++) {
            pid_t p = fork();
            if (p == 0) {
                for (int k = 0; k < 2; k++) {
                    if (fork() == 0) {
                        __atomic_add_fetch(sum, 1, __ATOMIC_SEQ_CST);
                        _exit(0);
                    }
                }
                while (wait(NULL) > 0)
                    ;
                __atomic_add_fetch(sum, 10, __ATOMIC_SEQ_CST);
                _exit(0);
            }
        }
        while (wait(NULL) > 0)
            ;
        EXPECT(errno == ECHILD);
        _exit(0);
    }
    CHILD_OK(pid);
    CHECK_EQ(*sum, 48);
    munmap(sum, 4096);
}

struct cloned { int value, tid, ptid; };

static int cloned_main(void *p)
{
    struct cloned *c = p;
    c->value = 42;
    return 3;
}

TEST(clone_vm_without_thread)
{
    char *stack = malloc(65536);
    struct cloned c = {0};
    int pid = clone(cloned_main, stack + 65536, CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, &c, &c.ptid, NULL, &c.tid);
    CHECK(pid > 0);
    CHECK_EQ(wait_for(pid), 3 << 8);
    CHECK_EQ(c.value, 42);
    CHECK_EQ(c.tid, pid);
    CHECK_EQ(c.ptid, pid);
    free(stack);
}

TEST(clone_files_shares_the_table)
{
    int fd = open("/dev/null", O_RDONLY);
    long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        close(fd);
        _exit(0);
    }
    CHILD_OK(pid);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
    CHECK_EQ(errno, EBADF);
}

TEST(clone_fs_shares_the_directory)
{
    CHECK_EQ(mkdir("sub", 0700), 0);
    long pid = syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(chdir("sub"));
    CHILD_OK(pid);
    CHECK_EQ(open("sub", O_RDONLY), -1);
    CHECK_EQ(chdir(".."), 0);
}

TEST(without_an_exit_signal)
{
    long pid = syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (pid == 0)
        _exit(4);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), -1);
    CHECK_EQ(errno, ECHILD);
    CHECK_EQ(waitpid(pid, &status, __WCLONE), pid);
    CHECK_EQ(status, 4 << 8);
}

TEST(clone_flags_that_do_not_go_together)
{
    CHECK_EQ(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0), -1);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), -1);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, 0, 0, 0), -1);
    CHECK_EQ(errno, EINVAL);
}

TEST(clone3_with_a_pidfd)
{
    int fd = -1;
    struct clone_args a = {.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND, .pidfd = (uintptr_t)&fd, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &a, sizeof a);
    if (pid == 0)
        _exit(6);
    CHECK(pid > 0 && fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    siginfo_t info = {0};
    CHECK_EQ(waitid(P_PIDFD, fd, &info, WEXITED), 0);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, 6);
    close(fd);
}

TEST(child_settid_and_cleartid)
{
    int *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    words[0] = words[1] = -1;
    struct clone_args a = {
        .flags = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID,
        .child_tid = (uintptr_t)&words[0], .parent_tid = (uintptr_t)&words[1], .exit_signal = SIGCHLD,
    };
    long pid = syscall(SYS_clone3, &a, sizeof a);
    if (pid == 0)
        _exit(words[0] == getpid() ? 0 : 1);
    CHILD_OK(pid);
    CHECK_EQ(words[1], pid);
    munmap(words, 4096);
}

static volatile sig_atomic_t handled;
static siginfo_t last_info;

static void on_signal(int s, siginfo_t *i, void *u)
{
    (void)u;
    handled = s;
    last_info = *i;
}

TEST(signal_state_is_inherited)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO}, old;
    sigaction(SIGUSR1, &sa, &old);
    sigset_t set, now;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR2);
    pid_t pid = fork();
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, NULL, &now);
        EXPECT(sigismember(&now, SIGUSR2));
        sigpending(&now);
        EXPECT(!sigismember(&now, SIGUSR2));
        raise(SIGUSR1);
        EXPECT(handled == SIGUSR1);
        _exit(0);
    }
    CHILD_OK(pid);
    CHECK(handled != SIGUSR1);
    struct timespec zero = {0};
    CHECK_EQ(sigtimedwait(&set, NULL, &zero), SIGUSR2);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigaction(SIGUSR1, &old, NULL);
}

TEST(sigchld)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO}, old;
    sigaction(SIGCHLD, &sa, &old);
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &before);
    handled = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(11);
    while (!handled)
        sigsuspend(&before);
    CHECK_EQ(last_info.si_signo, SIGCHLD);
    CHECK_EQ(last_info.si_code, CLD_EXITED);
    CHECK_EQ(last_info.si_pid, pid);
    CHECK_EQ(last_info.si_uid, getuid());
    CHECK_EQ(last_info.si_status, 11);
    CHECK_EQ(wait_for(pid), 11 << 8);
    sigprocmask(SIG_SETMASK, &before, NULL);
    sigaction(SIGCHLD, &old, NULL);
}

TEST(nobody_waits_when_sigchld_is_ignored)
{
    for (int i = 0; i < 2; i++) {
        struct sigaction sa = {.sa_handler = i ? SIG_DFL : SIG_IGN, .sa_flags = i ? SA_NOCLDWAIT : 0}, old;
        sigaction(SIGCHLD, &sa, &old);
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        int status;
        CHECK_EQ(waitpid(pid, &status, 0), -1);
        CHECK_EQ(errno, ECHILD);
        sigaction(SIGCHLD, &old, NULL);
    }
}

TEST(limits_and_names_are_inherited)
{
    struct rlimit l, old;
    getrlimit(RLIMIT_CPU, &old);
    l = old;
    l.rlim_cur = 1000;
    setrlimit(RLIMIT_CPU, &l);
    prctl(PR_SET_NAME, "inherited");
    mode_t mask = umask(027);
    pid_t pid = fork();
    if (pid == 0) {
        char name[16];
        prctl(PR_GET_NAME, name);
        EXPECT(strcmp(name, "inherited") == 0);
        getrlimit(RLIMIT_CPU, &l);
        EXPECT(l.rlim_cur == 1000 && umask(0) == 027);
        l.rlim_cur = 900;
        setrlimit(RLIMIT_CPU, &l);
        _exit(0);
    }
    CHILD_OK(pid);
    umask(mask);
    getrlimit(RLIMIT_CPU, &l);
    CHECK_EQ(l.rlim_cur, 1000);
    setrlimit(RLIMIT_CPU, &old);
}

static void *forker(void *p)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(gettid() == getpid() ? 0 : 1);
    *(int *)p = wait_for(pid);
    return NULL;
}

TEST(fork_in_threads)
{
    pthread_t t[4];
    int status[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, forker, &status[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        CHECK_EQ(status[i], 0);
    }
}

TEST(floating_point_state_is_copied)
{
    double a = 1.5, b = 0;
    __asm__ volatile("movsd %0, %%xmm7" : : "m"(a) : "xmm7");
    long pid = syscall(SYS_fork);
    if (pid == 0) {
        __asm__ volatile("movsd %%xmm7, %0" : "=m"(b));
        EXPECT(b == 1.5);
        _exit(0);
    }
    CHILD_OK(pid);
}

TEST(many_calls_after_the_fork)
{
    // Call sites that were hot in the parent are so in the child.
    for (int i = 0; i < 200; i++)
        getppid();
    pid_t me = getpid(), pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 200; i++)
            EXPECT(getppid() == me);
        pid_t p = fork();
        if (p == 0) {
            for (int i = 0; i < 200; i++)
                EXPECT(getppid() != me);
            _exit(0);
        }
        int status;
        EXPECT(waitpid(p, &status, 0) == p && status == 0);
        _exit(0);
    }
    CHILD_OK(pid);
}


TEST(a_sibling)
{
    // CLONE_PARENT: the child's child is ours, and ends with the signal of its maker.
    pid_t pid = fork();
    if (pid == 0) {
        long p = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
        if (p == 0)
            _exit(8);
        EXPECT(p > 0 && waitpid(p, NULL, 0) == -1 && errno == ECHILD);
        _exit(7);
    }
    int sum = 0, status;
    for (int i = 0; i < 2; i++) {
        CHECK(wait(&status) > 0);
        sum += WEXITSTATUS(status);
    }
    CHECK_EQ(sum, 15);
}

TEST(another_exit_signal)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO}, old;
    sigaction(SIGUSR1, &sa, &old);
    handled = 0;
    long pid = syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0);
    if (pid == 0)
        _exit(2);
    int status;
    CHECK_ERR(waitpid(pid, &status, 0), ECHILD);
    while (waitpid(pid, &status, __WALL) == -1 && errno == EINTR)
        ;
    CHECK_EQ(status, 2 << 8);
    UNTIL(handled == SIGUSR1);
    CHECK(last_info.si_pid == pid && last_info.si_code == CLD_EXITED && last_info.si_status == 2);
    sigaction(SIGUSR1, &old, NULL);
}
