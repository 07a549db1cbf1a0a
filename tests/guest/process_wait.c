// wait4 and waitid with their flags, stops and continuations, orphans, groups and sessions.
#include "moat_test.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/time.h>
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

static pid_t sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    CHECK(pid > 0);
    return pid;
}

static void put_down(pid_t pid)
{
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(wait_for(pid), SIGKILL);
}

TEST(nothing_to_wait_for)
{
    CHECK_ERR(wait(NULL), ECHILD);
    CHECK_ERR(waitpid(-1, NULL, WNOHANG), ECHILD);
    CHECK_ERR(waitpid(getpid(), NULL, 0), ECHILD);
    CHECK_ERR(waitpid(INT_MIN, NULL, 0), ESRCH);
    CHECK_ERR(waitpid(-1, NULL, 0x100), EINVAL);
    siginfo_t info;
    CHECK_ERR(waitid(P_ALL, 0, &info, 0), EINVAL);
    CHECK_ERR(waitid(P_ALL, 0, &info, WNOHANG), EINVAL);
    CHECK_ERR(waitid(P_PID, 0, &info, WEXITED), EINVAL);
    CHECK_ERR(waitid(17, 0, &info, WEXITED), EINVAL);
    CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
    CHECK_ERR(waitid(P_PIDFD, 0, &info, WEXITED), EBADF);
    CHECK_ERR(waitid(P_PIDFD, 200, &info, WEXITED), EBADF);
}

TEST(wnohang)
{
    pid_t pid = sleeper();
    int status = 7;
    CHECK_EQ(waitpid(-1, &status, WNOHANG), 0);
    CHECK_EQ(status, 7);
    siginfo_t info;
    memset(&info, 0x55, sizeof info);
    CHECK_EQ(waitid(P_PID, pid, &info, WEXITED | WNOHANG), 0);
    CHECK_EQ(info.si_pid, 0);
    CHECK_EQ(info.si_signo, 0);
    put_down(pid);
}

TEST(wnowait)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(9);
    for (int i = 0; i < 3; i++) {
        siginfo_t info = {0};
        CHECK_EQ(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
        CHECK_EQ(info.si_pid, pid);
        CHECK_EQ(info.si_code, CLD_EXITED);
        CHECK_EQ(info.si_status, 9);
        CHECK_EQ(info.si_signo, SIGCHLD);
        CHECK_EQ(info.si_uid, getuid());
    }
    CHECK_EQ(kill(pid, 0), 0);
    CHECK_EQ(wait_for(pid), 9 << 8);
    CHECK_ERR(kill(pid, 0), ESRCH);
}

TEST(stop_and_continue)
{
    pid_t pid = sleeper();
    int status;
    CHECK_EQ(kill(pid, SIGSTOP), 0);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
    CHECK_EQ(kill(pid, SIGCONT), 0);
    CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
    CHECK(WIFCONTINUED(status));
    CHECK_EQ(waitpid(pid, &status, WCONTINUED | WNOHANG), 0);
    CHECK_EQ(kill(pid, SIGSTOP), 0);
    siginfo_t info = {0};
    CHECK_EQ(waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT), 0);
    CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP && info.si_pid == pid);
    memset(&info, 0, sizeof info);
    CHECK_EQ(waitid(P_PID, pid, &info, WSTOPPED), 0);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(kill(pid, SIGCONT), 0);
    CHECK_EQ(waitid(P_PID, pid, &info, WCONTINUED), 0);
    CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT);
    put_down(pid);
}

TEST(a_stopped_process_does_nothing_and_can_be_killed)
{
    volatile unsigned *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            ++*count;
    UNTIL(*count > 1000);
    int status;
    kill(pid, SIGSTOP);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    unsigned seen = *count;
    mt_sleep_us(20000);
    CHECK_EQ(*count, seen);
    kill(pid, SIGCONT);
    UNTIL(*count > seen + 1000);
    kill(pid, SIGSTOP);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    kill(pid, SIGKILL);
    CHECK_EQ(wait_for(pid), SIGKILL);
    munmap((void *)count, 4096);
}

static volatile sig_atomic_t chld_count;
static siginfo_t chld_info;

static void on_chld(int s, siginfo_t *i, void *u)
{
    (void)s, (void)u;
    chld_info = *i;
    chld_count++;
}

TEST(sigchld_of_stops)
{
    for (int quiet = 0; quiet < 2; quiet++) {
        struct sigaction sa = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | (quiet ? SA_NOCLDSTOP : 0)};
        sigaction(SIGCHLD, &sa, NULL);
        pid_t pid = sleeper();
        int status;
        chld_count = 0;
        kill(pid, SIGSTOP);
        while (waitpid(pid, &status, WUNTRACED) == -1 && errno == EINTR)
            ;
        if (!quiet) {
            UNTIL(chld_count);
            CHECK(chld_info.si_code == CLD_STOPPED && chld_info.si_pid == pid && chld_info.si_status == SIGSTOP);
        } else {
            CHECK_EQ(chld_count, 0);
        }
        signal(SIGCHLD, SIG_DFL);
        put_down(pid);
    }
}

TEST(wait_is_interrupted)
{
    struct sigaction sa = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO};
    sigaction(SIGALRM, &sa, NULL);
    pid_t pid = sleeper();
    struct itimerval t = {.it_value = {0, 20000}};
    setitimer(ITIMER_REAL, &t, NULL);
    CHECK_ERR(waitpid(pid, NULL, 0), EINTR);
    put_down(pid);
}

TEST(groups)
{
    pid_t a = sleeper(), b = sleeper(), c = sleeper();
    CHECK_EQ(setpgid(a, 0), 0);
    CHECK_EQ(setpgid(b, a), 0);
    CHECK_EQ(getpgid(a), a);
    CHECK_EQ(getpgid(b), a);
    CHECK_EQ(getpgid(c), getpgrp());
    CHECK_ERR(setpgid(c, 0x3ffff0), EPERM);
    CHECK_ERR(setpgid(c, -2), EINVAL);
    CHECK_ERR(setpgid(1 << 21, 0), ESRCH);
    CHECK_EQ(kill(-a, SIGTERM), 0);
    int status, seen = 0;
    for (int i = 0; i < 2; i++) {
        pid_t p = waitpid(-a, &status, 0);
        CHECK(p == a || p == b);
        CHECK_EQ(status, SIGTERM);
        seen |= p == a ? 1 : 2;
    }
    CHECK_EQ(seen, 3);
    CHECK_ERR(waitpid(-a, &status, 0), ECHILD);
    CHECK_ERR(kill(-a, 0), ESRCH);
    CHECK_EQ(waitpid(0, &status, WNOHANG), 0);
    put_down(c);
}

TEST(a_child_that_executed_is_not_moved)
{
    int p[2];
    OK(pipe2(p, O_CLOEXEC));
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sleep", "sleep", "100", NULL);
        _exit(1);
    }
    close(p[1]);
    char b;
    CHECK_EQ(read(p[0], &b, 1), 0); // the program is there
    close(p[0]);
    CHECK_ERR(setpgid(pid, 0), EACCES);
    put_down(pid);
}

TEST(sessions)
{
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(setsid() == getpid());
        EXPECT(getsid(0) == getpid() && getpgrp() == getpid());
        EXPECT(setsid() == -1 && errno == EPERM);
        EXPECT(setpgid(0, 0) == -1 && errno == EPERM);
        pid_t p = fork();
        if (p == 0) {
            EXPECT(getsid(0) == getppid());
            EXPECT(setpgid(0, 0) == 0);
            EXPECT(setsid() == -1 && errno == EPERM);
            _exit(0);
        }
        int status;
        EXPECT(waitpid(p, &status, 0) == p && status == 0);
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
}

TEST(orphans_go_to_the_subreaper)
{
    OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
    int p[2];
    OK(pipe(p));
    pid_t pid = fork();
    if (pid == 0) {
        pid_t parent = getpid();
        if (fork() == 0) {
            while (getppid() == parent)
                mt_sleep_us(1000);
            int v = getppid();
            EXPECT(write(p[1], &v, sizeof v) == sizeof v);
            _exit(5);
        }
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
    int v;
    CHECK_EQ(read(p[0], &v, sizeof v), sizeof v);
    CHECK_EQ(v, getpid());
    int status;
    CHECK(wait(&status) > 0);
    CHECK_EQ(status, 5 << 8);
    close(p[0]);
    close(p[1]);
    OK(prctl(PR_SET_CHILD_SUBREAPER, 0));
}

TEST(a_zombie_orphan_is_waited_for_by_the_subreaper)
{
    OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
    pid_t pid = fork();
    if (pid == 0) {
        pid_t p = fork();
        if (p == 0)
            _exit(6);
        siginfo_t info;
        waitid(P_PID, p, &info, WEXITED | WNOWAIT);
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
    int status;
    CHECK(wait(&status) > 0);
    CHECK_EQ(status, 6 << 8);
    OK(prctl(PR_SET_CHILD_SUBREAPER, 0));
}

TEST(parent_death_signal)
{
    OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
    int p[2];
    OK(pipe(p));
    pid_t pid = fork();
    if (pid == 0) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
            int signal_set = 0;
            prctl(PR_GET_PDEATHSIG, &signal_set);
            EXPECT(signal_set == SIGUSR1 && write(p[1], "x", 1) == 1);
            for (;;)
                pause();
        }
        char b;
        EXPECT(read(p[0], &b, 1) == 1);
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
    int status;
    CHECK(wait(&status) > 0);
    CHECK_EQ(status, SIGUSR1);
    close(p[0]);
    close(p[1]);
    OK(prctl(PR_SET_CHILD_SUBREAPER, 0));
}

TEST(usage_of_children)
{
    struct rusage before, after, one;
    getrusage(RUSAGE_CHILDREN, &before);
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec t;
        do
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        while (t.tv_nsec < 50000000 && t.tv_sec == 0);
        _exit(0);
    }
    int status;
    CHECK_EQ(wait4(pid, &status, 0, &one), pid);
    getrusage(RUSAGE_CHILDREN, &after);
    long used = (one.ru_utime.tv_sec + one.ru_stime.tv_sec) * 1000000 + one.ru_utime.tv_usec + one.ru_stime.tv_usec;
    CHECK(used > 30000);
    CHECK(one.ru_maxrss > 0);
    CHECK((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec - before.ru_utime.tv_usec
        + (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 + after.ru_stime.tv_usec - before.ru_stime.tv_usec >= used - 20000);
    struct tms t;
    times(&t);
    CHECK(t.tms_cutime + t.tms_cstime >= 3);
}

static int pidfd_open_(pid_t pid, unsigned flags) { return syscall(SYS_pidfd_open, pid, flags); }

#include <poll.h>

TEST(pidfds)
{
    CHECK_ERR(pidfd_open_(-1, 0), EINVAL);
    CHECK_ERR(pidfd_open_(0, 0), EINVAL);
    CHECK_ERR(pidfd_open_(getpid(), 1), EINVAL);
    CHECK_ERR(pidfd_open_(1 << 21, 0), ESRCH);
    pid_t pid = sleeper();
    int fd = OK(pidfd_open_(pid, 0));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), 0);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 100, NULL, 0), EINVAL);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0), EBADF);
    char b;
    CHECK_ERR(read(fd, &b, 1), EINVAL);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), 0);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(p.revents, POLLIN);
    siginfo_t info = {0};
    CHECK_EQ(waitid(P_PIDFD, fd, &info, WEXITED | WNOWAIT), 0);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), 0);
    CHECK_EQ(waitid(P_PIDFD, fd, &info, WEXITED), 0);
    CHECK(info.si_pid == pid && info.si_code == CLD_KILLED && info.si_status == SIGTERM);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
    CHECK_ERR(waitid(P_PIDFD, fd, &info, WEXITED), ECHILD);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLHUP);
    close(fd);
}

TEST(nonblocking_pidfd)
{
    pid_t pid = sleeper();
    int fd = OK(pidfd_open_(pid, O_NONBLOCK));
    siginfo_t info = {0};
    CHECK_ERR(waitid(P_PIDFD, fd, &info, WEXITED), EAGAIN);
    CHECK_EQ(waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG), 0);
    CHECK_EQ(info.si_pid, 0);
    close(fd);
    put_down(pid);
}

TEST(pidfd_getfd)
{
    int p[2];
    OK(pipe(p));
    pid_t pid = sleeper();
    int fd = OK(pidfd_open_(pid, 0));
    int got = OK(syscall(SYS_pidfd_getfd, fd, p[1], 0));
    CHECK_EQ(fcntl(got, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(got, "z", 1), 1);
    char b;
    CHECK_EQ(read(p[0], &b, 1), 1);
    CHECK_EQ(b, 'z');
    CHECK_ERR(syscall(SYS_pidfd_getfd, fd, 200, 0), EBADF);
    CHECK_ERR(syscall(SYS_pidfd_getfd, fd, p[1], 1), EINVAL);
    CHECK_ERR(syscall(SYS_pidfd_getfd, 0, p[1], 0), EBADF);
    close(got), close(fd), close(p[0]), close(p[1]);
    put_down(pid);
}

TEST(kill_all_but_oneself)
{
    OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
    pid_t pid = sleeper(), other = sleeper();
    CHECK_EQ(setpgid(pid, 0), 0);
    CHECK_EQ(setpgid(other, pid), 0);
    pid_t killer = fork();
    if (killer == 0) {
        EXPECT(setpgid(0, pid) == 0);
        signal(SIGTERM, SIG_IGN);
        EXPECT(kill(0, SIGTERM) == 0);
        _exit(0);
    }
    CHECK_EQ(wait_for(killer), 0);
    CHECK_EQ(wait_for(pid), SIGTERM);
    CHECK_EQ(wait_for(other), SIGTERM);
    OK(prctl(PR_SET_CHILD_SUBREAPER, 0));
}

TEST(background_groups_without_a_parent_are_hung_up)
{
    OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
    int p[2];
    OK(pipe(p));
    pid_t shell = fork();
    if (shell == 0) {
        EXPECT(setsid() > 0);
        pid_t job = fork();
        if (job == 0) {
            setpgid(0, 0);
            raise(SIGSTOP);
            _exit(0);
        }
        int status;
        EXPECT(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status));
        _exit(0);
    }
    CHECK_EQ(wait_for(shell), 0);
    int status;
    CHECK(wait(&status) > 0);
    CHECK_EQ(status, SIGHUP);
    close(p[0]), close(p[1]);
    OK(prctl(PR_SET_CHILD_SUBREAPER, 0));
}

TEST(tstp_does_not_stop_an_orphaned_group)
{
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        raise(SIGTSTP);
        _exit(3);
    }
    CHECK_EQ(wait_for(pid), 3 << 8);
}

TEST(wnothread)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(2);
    int status;
    CHECK_EQ(waitpid(pid, &status, __WNOTHREAD), pid);
    CHECK_EQ(status, 2 << 8);
}

TEST(a_zombie_in_proc)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    siginfo_t info;
    CHECK_EQ(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = OK(open(path, O_RDONLY));
    CHECK(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    char *state = strrchr(text, ')');
    CHECK(state && state[2] == 'Z');
    CHECK_EQ(atoi(state + 4), getpid());
    CHECK_EQ(wait_for(pid), 0);
    CHECK_ERR(open(path, O_RDONLY), ENOENT);
}

TEST(a_signal_through_the_directory_in_proc)
{
    pid_t pid = sleeper();
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", pid);
    int fd = OK(open(path, O_RDONLY | O_DIRECTORY));
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), 0);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), 0);
    CHECK_EQ(wait_for(pid), SIGTERM);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
    close(fd);
}
