// Timers that send signals (alarm, setitimer, timer_create), queued real-time signals and their limit, and calls that go on after
// a signal.
#include "moat_test.h"
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile sig_atomic_t count;
static siginfo_t last;

static void note(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    last = *info;
    count++;
}

static void handle(int signo, int flags)
{
    struct sigaction act = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | flags};
    OK(sigaction(signo, &act, NULL));
    count = 0;
}

static void block(int signo)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    OK(sigprocmask(SIG_BLOCK, &set, NULL));
}

static int wait_for(int signo, siginfo_t *info)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    struct timespec t = {10, 0};
    return sigtimedwait(&set, info, &t);
}

TEST(alarms)
{
    handle(SIGALRM, 0);
    CHECK_EQ(alarm(100), 0);
    CHECK_EQ(alarm(50), 100);
    CHECK_EQ(alarm(0), 50);
    CHECK_EQ(alarm(0), 0);
    alarm(1);
    UNTIL(count);
    CHECK_EQ(last.si_code, SI_KERNEL);
    CHECK_EQ(last.si_signo, SIGALRM);
}

TEST(real_interval)
{
    handle(SIGALRM, 0);
    struct itimerval it = {{0, 3000}, {0, 5000}}, old;
    OK(setitimer(ITIMER_REAL, &it, NULL));
    UNTIL(count >= 5);
    OK(getitimer(ITIMER_REAL, &old));
    CHECK_EQ(old.it_interval.tv_usec, 3000);
    CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 3000 && old.it_value.tv_usec > 0);
    it = (struct itimerval){};
    OK(setitimer(ITIMER_REAL, &it, &old));
    CHECK_EQ(old.it_interval.tv_usec, 3000);
    OK(getitimer(ITIMER_REAL, &old));
    CHECK_EQ(old.it_value.tv_usec, 0);
    CHECK_EQ(old.it_interval.tv_usec, 0);
    it.it_value.tv_usec = 1000000;
    CHECK_ERR(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
    CHECK_ERR(setitimer(3, &it, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_getitimer, 0, NULL), EFAULT);
}

TEST(processor_time_intervals)
{
    for (int which = ITIMER_VIRTUAL; which <= ITIMER_PROF; which++) {
        handle(which == ITIMER_VIRTUAL ? SIGVTALRM : SIGPROF, 0);
        struct itimerval it = {{0, 10000}, {0, 10000}};
        OK(setitimer(which, &it, NULL));
        while (count < 3)
            ;
        OK(setitimer(which, &(struct itimerval){}, NULL));
    }
}

TEST(posix_timer)
{
    timer_t t;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 77};
    handle(SIGRTMIN + 1, 0);
    OK(timer_create(CLOCK_MONOTONIC, &e, &t));
    struct itimerspec its = {{0, 0}, {0, 3000000}}, old;
    OK(timer_settime(t, 0, &its, NULL));
    UNTIL(count);
    CHECK_EQ(last.si_code, SI_TIMER);
    CHECK_EQ(last.si_value.sival_int, 77);
    CHECK_EQ(last.si_overrun, 0);
    OK(timer_gettime(t, &old));
    CHECK_EQ(old.it_value.tv_nsec, 0);
    its.it_value = (struct timespec){1000, 0};
    OK(timer_settime(t, 0, &its, NULL));
    OK(timer_gettime(t, &old));
    CHECK(old.it_value.tv_sec >= 990);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    its.it_value = (struct timespec){now.tv_sec - 1, 0}; // long ago
    OK(timer_settime(t, TIMER_ABSTIME, &its, &old));
    CHECK(old.it_value.tv_sec >= 990);
    UNTIL(count == 2);
    OK(timer_delete(t));
    CHECK_ERR(syscall(SYS_timer_delete, 12345), EINVAL);
    CHECK_ERR(syscall(SYS_timer_settime, 12345, 0, &its, NULL), EINVAL);
    e.sigev_signo = 65;
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &t), EINVAL);
    CHECK_ERR(syscall(SYS_timer_create, 77, NULL, &t), EINVAL);
}

TEST(overruns)
{
    int signo = SIGRTMIN + 2;
    block(signo);
    timer_t t;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signo};
    OK(timer_create(CLOCK_MONOTONIC, &e, &t));
    struct itimerspec its = {{0, 1000000}, {0, 1000000}};
    OK(timer_settime(t, 0, &its, NULL));
    mt_sleep_us(50000);
    siginfo_t info;
    CHECK_EQ(wait_for(signo, &info), signo);
    CHECK(info.si_overrun >= 40);
    CHECK_EQ(timer_getoverrun(t), info.si_overrun);
    sigset_t pending;
    its = (struct itimerspec){};
    OK(timer_settime(t, 0, &its, NULL));
    OK(sigpending(&pending));
    OK(timer_delete(t));
}

static atomic_int target;
static atomic_bool stop;

static void *other_thread(void *arg)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    target = (int)syscall(SYS_gettid);
    siginfo_t info;
    CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN + 3);
    CHECK_EQ(info.si_code, SI_TIMER);
    return arg;
}

TEST(to_one_thread)
{
    block(SIGRTMIN + 3);
    target = 0;
    pthread_t thread = mt_thread(other_thread, NULL);
    UNTIL(target);
    timer_t t;
    struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 3};
    e._sigev_un._tid = target;
    OK(timer_create(CLOCK_REALTIME, &e, &t));
    struct itimerspec its = {{0, 0}, {0, 2000000}};
    OK(timer_settime(t, 0, &its, NULL));
    OK0(pthread_join(thread, NULL));
    OK(timer_delete(t));
    e._sigev_un._tid = 1 << 22;
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_REALTIME, &e, &t), EINVAL);
}

TEST(silent)
{
    timer_t t;
    struct sigevent e = {.sigev_notify = SIGEV_NONE};
    OK(timer_create(CLOCK_MONOTONIC, &e, &t));
    struct itimerspec its = {{0, 0}, {0, 5000000}}, now;
    OK(timer_settime(t, 0, &its, NULL));
    do
        OK(timer_gettime(t, &now));
    while (now.it_value.tv_nsec);
    OK(timer_delete(t));
}

TEST(processor_clock)
{
    timer_t t;
    handle(SIGUSR1, 0);
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    OK(timer_create(CLOCK_THREAD_CPUTIME_ID, &e, &t));
    struct itimerspec its = {{0, 0}, {0, 20000000}};
    OK(timer_settime(t, 0, &its, NULL));
    while (!count)
        ;
    OK(timer_delete(t));
}

static void in_child(void (*body)(void))
{
    pid_t pid = OK(fork());
    if (pid == 0) {
        mt.thread = pthread_self();
        if (sigsetjmp(mt.out, 1) == 0) {
            body();
            _exit(0);
        }
        mt_put("# %s\n", mt.why);
        _exit(1);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static void not_inherited(void)
{
    struct itimerval it;
    OK(getitimer(ITIMER_REAL, &it));
    CHECK_EQ(it.it_value.tv_sec, 0);
    CHECK_ERR(syscall(SYS_timer_gettime, 0, &it), EINVAL);
}

TEST(children_have_no_timers)
{
    timer_t t;
    struct sigevent e = {.sigev_notify = SIGEV_NONE};
    OK(timer_create(CLOCK_MONOTONIC, &e, &t));
    alarm(1000);
    in_child(not_inherited);
    CHECK(alarm(0) > 990);
    OK(timer_delete(t));
}

static void queue_limit(void)
{
    OK(setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){3, 3}));
    block(SIGRTMIN + 4);
    block(SIGUSR2);
    union sigval v = {.sival_int = 1};
    int sent = 0;
    while (sent < 10 && sigqueue(getpid(), SIGRTMIN + 4, v) == 0)
        sent++;
    CHECK(sent <= 3);
    CHECK_EQ(errno, EAGAIN);
    OK(kill(getpid(), SIGUSR2)); // a plain one comes all the same
    siginfo_t info;
    CHECK_EQ(wait_for(SIGUSR2, &info), SIGUSR2);
    for (int i = 0; i < sent; i++)
        CHECK_EQ(wait_for(SIGRTMIN + 4, &info), SIGRTMIN + 4);
    struct timespec none = {0, 0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 4);
    CHECK_ERR(sigtimedwait(&set, NULL, &none), EAGAIN);
}

TEST(pending_signals_are_limited)
{
    if (geteuid() != 0)
        SKIP("counts are per user");
    in_child(queue_limit);
}

TEST(values_in_order)
{
    block(SIGRTMIN + 5);
    block(SIGRTMIN + 6);
    for (int i = 0; i < 20; i++) {
        union sigval v = {.sival_int = i};
        OK(sigqueue(getpid(), SIGRTMIN + 6 - i % 2, v));
    }
    siginfo_t info;
    for (int i = 0; i < 20; i++) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN + 5);
        sigaddset(&set, SIGRTMIN + 6);
        int signo = OK(sigwaitinfo(&set, &info));
        CHECK_EQ(signo, i < 10 ? SIGRTMIN + 5 : SIGRTMIN + 6);
        CHECK_EQ(info.si_value.sival_int, i < 10 ? 2 * i + 1 : 2 * (i - 10));
        CHECK_EQ(info.si_code, SI_QUEUE);
        CHECK_EQ(info.si_pid, getpid());
        CHECK_EQ(info.si_uid, getuid());
    }
}

static void *stopper(void *arg)
{
    int tid = *(int *)arg;
    for (int i = 0; i < 5 && !stop; i++) {
        mt_sleep_us(3000);
        OK(syscall(SYS_tgkill, getpid(), tid, SIGSTOP));
    }
    return NULL;
}

// The child stops itself now and then; the parent continues it. Sleeping goes on where it was.
TEST(stops_do_not_end_waits)
{
    pid_t pid = OK(fork());
    if (pid == 0) {
        int tid = (int)syscall(SYS_gettid), p[2];
        pthread_t t;
        if (pipe(p) != 0 || pthread_create(&t, NULL, stopper, &tid) != 0)
            _exit(1);
        struct timespec time = {0, 30000000}, rest = {0, 0};
        uint64_t begin = mt_now_ns(CLOCK_MONOTONIC);
        if (nanosleep(&time, &rest) != 0 || mt_now_ns(CLOCK_MONOTONIC) - begin < 30000000)
            _exit(2);
        struct pollfd f = {p[0], POLLIN, 0};
        begin = mt_now_ns(CLOCK_MONOTONIC);
        if (poll(&f, 1, 30) != 0 || mt_now_ns(CLOCK_MONOTONIC) - begin < 30000000)
            _exit(3);
        uint32_t word = 0;
        if (syscall(SYS_futex, &word, 0, 0, &time, NULL, 0) != -1 || errno != ETIMEDOUT)
            _exit(4);
        stop = true;
        _exit(0);
    }
    int status;
    for (;;) {
        CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
        if (!WIFSTOPPED(status))
            break;
        OK(kill(pid, SIGCONT));
    }
    CHECK_EQ(status, 0);
}

TEST(who_sent_it)
{
    handle(SIGUSR1, 0);
    OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(last.si_code, SI_USER);
    OK(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1));
    CHECK_EQ(last.si_code, SI_TKILL);
    CHECK_EQ(last.si_pid, getpid());
    handle(SIGCHLD, 0);
    pid_t pid = OK(fork());
    if (pid == 0)
        _exit(9);
    UNTIL(count);
    CHECK_EQ(last.si_code, CLD_EXITED);
    CHECK_EQ(last.si_status, 9);
    CHECK_EQ(last.si_pid, pid);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    handle(SIGPIPE, 0);
    int p[2];
    OK(pipe(p));
    close(p[0]);
    CHECK_ERR(write(p[1], "x", 1), EPIPE);
    CHECK_EQ(last.si_code, SI_USER);
    close(p[1]);
}
