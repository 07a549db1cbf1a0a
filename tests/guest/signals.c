// Dispositions, masks, queues, waiting for signals and what they carry.
#include "moat_test.h"
#include <poll.h>

static atomic_int count;
static siginfo_t last;
static sigset_t mask_inside;
static int order[64];

static void counts(int signo)
{
    order[atomic_fetch_add(&count, 1) % 64] = signo;
    pthread_sigmask(SIG_SETMASK, NULL, &mask_inside);
}

static void keeps_info(int signo, siginfo_t *info, void *uc)
{
    (void)uc;
    order[atomic_fetch_add(&count, 1) % 64] = signo;
    last = *info;
}

static void on(int signo, int flags)
{
    struct sigaction act = {.sa_flags = flags};
    if (flags & SA_SIGINFO)
        act.sa_sigaction = keeps_info;
    else
        act.sa_handler = counts;
    OK(sigaction(signo, &act, NULL));
    atomic_store(&count, 0);
    memset(&last, 0, sizeof last);
}

static sigset_t set_of(int a, int b)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, a);
    if (b)
        sigaddset(&s, b);
    return s;
}

static void block(int signo)
{
    sigset_t s = set_of(signo, 0);
    OK0(pthread_sigmask(SIG_BLOCK, &s, NULL));
}

static void unblock(int signo)
{
    sigset_t s = set_of(signo, 0);
    OK0(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
}

static bool pending(int signo)
{
    sigset_t s;
    OK(sigpending(&s));
    return sigismember(&s, signo);
}

static void send(int signo) { OK(syscall(SYS_tgkill, getpid(), gettid(), signo)); }

TEST(raise_runs_the_handler)
{
    on(SIGUSR1, 0);
    OK(raise(SIGUSR1));
    CHECK_EQ(count, 1);
    CHECK_EQ(order[0], SIGUSR1);
    OK(kill(getpid(), SIGUSR1)); // delivered before kill returns: no other thread takes it
    CHECK_EQ(count, 2);
}

TEST(sigaction_gives_back_what_was_set)
{
    struct sigaction act = {.sa_sigaction = keeps_info, .sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER | SA_ONSTACK}, old;
    sigemptyset(&act.sa_mask);
    sigaddset(&act.sa_mask, SIGHUP);
    sigaddset(&act.sa_mask, SIGRTMAX);
    OK(sigaction(SIGUSR2, &act, &old));
    CHECK(old.sa_handler == SIG_DFL);
    OK(sigaction(SIGUSR2, NULL, &old));
    CHECK(old.sa_sigaction == keeps_info);
    CHECK_EQ(old.sa_flags & ~0x04000000, act.sa_flags);
    for (int s = 1; s <= 64; s++)
        if (s != 32 && s != 33)
            CHECK_EQ(sigismember(&old.sa_mask, s), s == SIGHUP || s == SIGRTMAX);
}

struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

TEST(rt_sigaction_errors)
{
    struct kernel_sigaction act = {.handler = SIG_IGN}, old;
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, &act, &old, 4), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, &act, &old, 16), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, 0, &act, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, 65, &act, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, -1, &act, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGKILL, &act, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGSTOP, &act, NULL, 8), EINVAL);
    OK(syscall(SYS_rt_sigaction, SIGKILL, NULL, &old, 8));
    CHECK(old.handler == SIG_DFL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8), EFAULT);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, 8, 8), EFAULT);
}

TEST(kill_and_stop_leave_the_masks)
{
    struct kernel_sigaction act = {.handler = SIG_IGN, .mask = ~0ull}, old;
    OK(syscall(SYS_rt_sigaction, SIGUSR1, &act, NULL, 8));
    OK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
    CHECK_EQ(old.mask, ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1)));
    uint64_t all = ~0ull, now;
    OK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8));
    OK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &now, 8));
    CHECK_EQ(now, ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1)));
}

TEST(unknown_flags_are_dropped)
{
    struct kernel_sigaction act = {.handler = SIG_IGN, .flags = 0x100 | 0x80000000}, old;
    OK(syscall(SYS_rt_sigaction, SIGUSR1, &act, NULL, 8));
    OK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
    CHECK_EQ(old.flags, 0x80000000);
}

TEST(sigprocmask_errors)
{
    uint64_t m = 0;
    CHECK_ERR(syscall(SYS_rt_sigprocmask, 3, &m, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &m, NULL, 4), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, NULL, 8), EFAULT);
    CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, 8, 8), EFAULT);
    OK(syscall(SYS_rt_sigprocmask, 99, NULL, &m, 8)); // how is not looked at without a set
    CHECK_ERR(syscall(SYS_rt_sigpending, &m, 9), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigpending, 8, 8), EFAULT);
}

TEST(mask_inside_the_handler)
{
    struct sigaction act = {.sa_handler = counts};
    sigaddset(&act.sa_mask, SIGHUP);
    OK(sigaction(SIGUSR1, &act, NULL));
    block(SIGALRM);
    OK(raise(SIGUSR1));
    CHECK(sigismember(&mask_inside, SIGUSR1));
    CHECK(sigismember(&mask_inside, SIGHUP));
    CHECK(sigismember(&mask_inside, SIGALRM));
    CHECK(!sigismember(&mask_inside, SIGUSR2));
    sigset_t now;
    OK0(pthread_sigmask(SIG_SETMASK, NULL, &now));
    CHECK(!sigismember(&now, SIGUSR1));
    CHECK(!sigismember(&now, SIGHUP));
    CHECK(sigismember(&now, SIGALRM));
    on(SIGUSR1, SA_NODEFER);
    OK(raise(SIGUSR1));
    CHECK(!sigismember(&mask_inside, SIGUSR1));
}

TEST(resethand)
{
    on(SIGUSR1, SA_RESETHAND);
    OK(raise(SIGUSR1));
    CHECK_EQ(count, 1);
    struct sigaction now;
    OK(sigaction(SIGUSR1, NULL, &now));
    CHECK(now.sa_handler == SIG_DFL);
}

TEST(blocked_stays_pending)
{
    on(SIGUSR1, 0);
    block(SIGUSR1);
    CHECK(!pending(SIGUSR1));
    for (int i = 0; i < 3; i++)
        send(SIGUSR1);
    CHECK(pending(SIGUSR1));
    CHECK_EQ(count, 0);
    unblock(SIGUSR1);
    CHECK_EQ(count, 1); // standard signals do not queue
    CHECK(!pending(SIGUSR1));
}

TEST(process_and_thread_queues_are_two)
{
    on(SIGUSR1, 0);
    block(SIGUSR1);
    send(SIGUSR1);
    OK(kill(getpid(), SIGUSR1));
    unblock(SIGUSR1);
    CHECK_EQ(count, 2);
}

TEST(realtime_signals_queue_in_order)
{
    on(SIGRTMIN, SA_SIGINFO);
    block(SIGRTMIN);
    for (int i = 0; i < 20; i++)
        OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}));
    sigset_t s = set_of(SIGRTMIN, 0);
    for (int i = 0; i < 10; i++) {
        siginfo_t info;
        CHECK_EQ(sigwaitinfo(&s, &info), SIGRTMIN);
        CHECK_EQ(info.si_code, SI_QUEUE);
        CHECK_EQ(info.si_value.sival_int, i);
    }
    unblock(SIGRTMIN);
    CHECK_EQ(count, 10);
    CHECK_EQ(last.si_value.sival_int, 19);
}

TEST(lower_numbers_come_first)
{
    // sigwaitinfo takes the lowest; synchronous numbers (SIGSEGV, SIGBUS ...) before all others.
    const int sent[] = {SIGRTMIN + 3, SIGUSR2, SIGRTMIN, SIGHUP, SIGUSR1, SIGSEGV};
    const int got[] = {SIGSEGV, SIGHUP, SIGUSR1, SIGUSR2, SIGRTMIN, SIGRTMIN + 3};
    sigset_t s;
    sigemptyset(&s);
    for (unsigned i = 0; i < countof(sent); i++)
        sigaddset(&s, sent[i]);
    OK0(pthread_sigmask(SIG_BLOCK, &s, NULL));
    for (unsigned i = 0; i < countof(sent); i++)
        send(sent[i]);
    siginfo_t info;
    for (unsigned i = 0; i < countof(got); i++)
        CHECK_EQ(sigwaitinfo(&s, &info), got[i]);
}

TEST(delivery_of_several)
{
    // Handlers nest: the first dequeued is entered first and, interrupted at once by the next, finishes last.
    on(SIGHUP, 0);
    on(SIGUSR1, 0);
    on(SIGUSR2, 0);
    sigset_t s = set_of(SIGHUP, SIGUSR1);
    sigaddset(&s, SIGUSR2);
    OK0(pthread_sigmask(SIG_BLOCK, &s, NULL));
    send(SIGUSR2);
    send(SIGHUP);
    send(SIGUSR1);
    OK0(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
    CHECK_EQ(count, 3);
    CHECK_EQ(order[0], SIGUSR2);
    CHECK_EQ(order[1], SIGUSR1);
    CHECK_EQ(order[2], SIGHUP);
}

TEST(info_of_senders)
{
    on(SIGUSR1, SA_SIGINFO);
    OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(last.si_code, SI_USER);
    CHECK_EQ(last.si_pid, getpid());
    CHECK_EQ(last.si_uid, getuid());
    CHECK_EQ(last.si_errno, 0);
    send(SIGUSR1);
    CHECK_EQ(last.si_code, SI_TKILL);
    CHECK_EQ(last.si_pid, getpid());
    OK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_ptr = (void *)0x1122334455667788}));
    CHECK_EQ(last.si_code, SI_QUEUE);
    CHECK_EQ(last.si_pid, getpid());
    CHECK_EQ((uintptr_t)last.si_value.sival_ptr, 0x1122334455667788);
    siginfo_t info = {.si_signo = SIGHUP, .si_code = -20, .si_errno = 3};
    info.si_pid = 42;
    OK(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &info));
    CHECK_EQ(last.si_signo, SIGUSR1);
    CHECK_EQ(last.si_code, -20);
    CHECK_EQ(last.si_errno, 3);
    CHECK_EQ(last.si_pid, 42);
    CHECK_EQ(count, 4);
}

TEST(kill_errors)
{
    CHECK_ERR(kill(getpid(), 65), EINVAL);
    CHECK_ERR(kill(getpid(), -1), EINVAL);
    OK(kill(getpid(), 0));
    CHECK_ERR(kill(0x7ffffff0, 0), ESRCH);
    CHECK_ERR(kill(INT_MIN, 0), ESRCH);
    CHECK_ERR(syscall(SYS_tkill, 0, SIGUSR1), EINVAL);
    CHECK_ERR(syscall(SYS_tgkill, 0, gettid(), SIGUSR1), EINVAL);
    CHECK_ERR(syscall(SYS_tgkill, getpid() + 1, gettid(), 0), ESRCH);
    siginfo_t info = {.si_code = SI_QUEUE};
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &info), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, 8), EFAULT);
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, 0x7ffffff0, SIGUSR1, &info), ESRCH);
}

TEST(ignored_signals_vanish)
{
    block(SIGUSR1);
    send(SIGUSR1);
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_IGN}, NULL)); // takes the pending one with it
    CHECK(!pending(SIGUSR1));
    on(SIGUSR1, 0);
    unblock(SIGUSR1);
    CHECK_EQ(count, 0);
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    send(SIGUSR1);
    OK(kill(getpid(), SIGUSR1));
    block(SIGUSR1);
    send(SIGUSR1); // blocked and ignored: it stays, sigwait could want it
    CHECK(pending(SIGUSR1));
    sigset_t s = set_of(SIGUSR1, 0);
    CHECK_EQ(sigwaitinfo(&s, NULL), SIGUSR1);
}

TEST(default_ignored)
{
    const int none[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
    for (unsigned i = 0; i < countof(none); i++)
        send(none[i]);
}

static void *sends_soon(void *arg)
{
    mt_sleep_us(5000);
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
    return NULL;
}

// Sends SIGUSR1 again and again until told that it was enough.
static struct kicker {
    pthread_t target, thread;
    atomic_bool stop;
} kicker;

static void *kicks(void *arg)
{
    for (; !atomic_load(&kicker.stop); mt_sleep_us(1000))
        pthread_kill(kicker.target, SIGUSR1);
    return arg;
}

static void start_kicking(void)
{
    kicker.target = pthread_self();
    atomic_store(&kicker.stop, false);
    kicker.thread = mt_thread(kicks, NULL);
}

static void stop_kicking(void)
{
    atomic_store(&kicker.stop, true);
    OK0(pthread_join(kicker.thread, NULL));
}

TEST(sigsuspend_waits)
{
    on(SIGUSR1, 0);
    block(SIGUSR1);
    sigset_t none, now;
    sigemptyset(&none);
    send(SIGUSR1); // pending already: returns at once
    CHECK_ERR(sigsuspend(&none), EINTR);
    CHECK_EQ(count, 1);
    pthread_t self = pthread_self(), t = mt_thread(sends_soon, &self);
    CHECK_ERR(sigsuspend(&none), EINTR);
    OK0(pthread_join(t, NULL));
    CHECK_EQ(count, 2);
    CHECK(!sigismember(&mask_inside, SIGALRM));
    CHECK(sigismember(&mask_inside, SIGUSR1));
    OK0(pthread_sigmask(SIG_SETMASK, NULL, &now));
    CHECK(sigismember(&now, SIGUSR1)); // the old mask is back
    CHECK_ERR(syscall(SYS_rt_sigsuspend, &now, 4), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigsuspend, 8, 8), EFAULT);
}

TEST(ppoll_swaps_the_mask)
{
    on(SIGUSR1, SA_RESTART);
    block(SIGUSR1);
    pthread_t self = pthread_self(), t = mt_thread(sends_soon, &self);
    sigset_t none;
    sigemptyset(&none);
    struct timespec ts = {60, 0};
    CHECK_ERR(ppoll(NULL, 0, &ts, &none), EINTR);
    OK0(pthread_join(t, NULL));
    CHECK_EQ(count, 1);
}

TEST(sigtimedwait_times_out)
{
    sigset_t s = set_of(SIGUSR1, 0);
    block(SIGUSR1);
    struct timespec ts = {0, 3000000}, bad = {0, 1000000000}, zero = {0, 0};
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    CHECK_ERR(sigtimedwait(&s, NULL, &ts), EAGAIN);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 3000000);
    CHECK_ERR(sigtimedwait(&s, NULL, &zero), EAGAIN);
    CHECK_ERR(sigtimedwait(&s, NULL, &bad), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigtimedwait, &s, NULL, &ts, 4), EINVAL);
    send(SIGUSR1);
    siginfo_t info;
    CHECK_EQ(syscall(SYS_rt_sigtimedwait, &s, &info, &zero, 8), SIGUSR1); // libc would change the code
    CHECK_EQ(info.si_code, SI_TKILL);
}

TEST(sigwaitinfo_is_woken_and_interrupted)
{
    sigset_t s = set_of(SIGUSR1, 0), other = set_of(SIGUSR2, 0);
    block(SIGUSR1);
    block(SIGUSR2);
    pthread_t self = pthread_self(), t = mt_thread(sends_soon, &self);
    siginfo_t info;
    CHECK_EQ(sigwaitinfo(&s, &info), SIGUSR1);
    CHECK_EQ(info.si_signo, SIGUSR1);
    OK0(pthread_join(t, NULL));
    on(SIGUSR1, SA_RESTART);
    unblock(SIGUSR1);
    atomic_store(&count, 0);
    start_kicking();
    int r = sigwaitinfo(&other, &info);
    int e = errno;
    stop_kicking();
    CHECK_EQ(r, -1);
    CHECK_EQ(e, EINTR); // a handler ran in between, with SA_RESTART or not
    CHECK(count > 0);
}

struct reader {
    int fd, done, error;
    long result;
    char c;
    pthread_t thread;
};

static void *reads(void *arg)
{
    struct reader *r = arg;
    r->result = read(r->fd, &r->c, 1);
    r->error = errno;
    __atomic_store_n(&r->done, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void interrupt_read(int flags)
{
    int p[2];
    OK(pipe(p));
    on(SIGUSR1, flags);
    struct reader r = {.fd = p[0]};
    r.thread = mt_thread(reads, &r);
    if (flags & SA_RESTART) {
        for (int i = 0; i < 20; i++) {
            OK0(pthread_kill(r.thread, SIGUSR1));
            mt_sleep_us(1000);
        }
        CHECK_EQ(__atomic_load_n(&r.done, __ATOMIC_SEQ_CST), 0);
        CHECK_EQ(write(p[1], "x", 1), 1);
    } else {
        while (!__atomic_load_n(&r.done, __ATOMIC_SEQ_CST)) {
            OK0(pthread_kill(r.thread, SIGUSR1));
            mt_sleep_us(1000);
        }
    }
    OK0(pthread_join(r.thread, NULL));
    CHECK(count > 0);
    if (flags & SA_RESTART) {
        CHECK_EQ(r.result, 1);
        CHECK_EQ(r.c, 'x');
    } else {
        CHECK_EQ(r.result, -1);
        CHECK_EQ(r.error, EINTR);
    }
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(read_eintr) { interrupt_read(0); }
TEST(read_restarted) { interrupt_read(SA_RESTART); }
TEST(read_restarted_siginfo) { interrupt_read(SA_RESTART | SA_SIGINFO); }

static void *writes_much(void *arg)
{
    struct reader *r = arg;
    static char big[1 << 20];
    r->result = write(r->fd, big, sizeof big);
    r->error = errno;
    __atomic_store_n(&r->done, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

TEST(interrupted_write_is_short)
{
    int p[2];
    OK(pipe(p));
    on(SIGUSR1, 0);
    struct reader r = {.fd = p[1]};
    r.thread = mt_thread(writes_much, &r);
    struct pollfd full = {.fd = p[1], .events = POLLOUT};
    UNTIL(poll(&full, 1, 0) == 0); // the pipe is full, so the write has begun
    while (!__atomic_load_n(&r.done, __ATOMIC_SEQ_CST)) {
        OK0(pthread_kill(r.thread, SIGUSR1));
        mt_sleep_us(1000);
    }
    OK0(pthread_join(r.thread, NULL));
    CHECK_EQ(r.result, 65536);
    OK(close(p[0]));
    OK(close(p[1]));
}

static void *polls(void *arg)
{
    struct reader *r = arg;
    struct pollfd in = {.fd = r->fd, .events = POLLIN};
    r->result = poll(&in, 1, -1);
    r->error = errno;
    __atomic_store_n(&r->done, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

TEST(poll_is_never_restarted)
{
    int p[2];
    OK(pipe(p));
    on(SIGUSR1, SA_RESTART);
    struct reader r = {.fd = p[0]};
    r.thread = mt_thread(polls, &r);
    while (!__atomic_load_n(&r.done, __ATOMIC_SEQ_CST)) {
        OK0(pthread_kill(r.thread, SIGUSR1));
        mt_sleep_us(1000);
    }
    OK0(pthread_join(r.thread, NULL));
    CHECK_EQ(r.result, -1);
    CHECK_EQ(r.error, EINTR);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(ignored_signals_do_not_interrupt)
{
    int p[2];
    OK(pipe(p));
    struct reader r = {.fd = p[0]};
    r.thread = mt_thread(reads, &r);
    for (int i = 0; i < 20; i++) {
        OK0(pthread_kill(r.thread, SIGWINCH)); // ignored by default
        mt_sleep_us(500);
    }
    CHECK_EQ(__atomic_load_n(&r.done, __ATOMIC_SEQ_CST), 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    OK0(pthread_join(r.thread, NULL));
    CHECK_EQ(r.result, 1);
    OK(close(p[0]));
    OK(close(p[1]));
}

static _Atomic pid_t handled_by;

static void tells_thread(int signo)
{
    (void)signo;
    atomic_store(&handled_by, gettid());
}

static void *idles(void *arg)
{
    atomic_store((_Atomic pid_t *)arg, gettid());
    while (!atomic_load(&handled_by))
        mt_sleep_us(500);
    return NULL;
}

TEST(process_signals_find_a_willing_thread)
{
    // The subtests' own thread and the watchdog block it: only the new thread can take it.
    OK(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = tells_thread}, NULL));
    _Atomic pid_t tid = 0;
    atomic_store(&handled_by, 0);
    pthread_t t = mt_thread(idles, &tid); // created before the block, so it does not inherit it
    block(SIGUSR2);
    UNTIL(atomic_load(&tid));
    OK(kill(getpid(), SIGUSR2));
    OK0(pthread_join(t, NULL));
    CHECK_EQ(handled_by, tid);
    CHECK(!pending(SIGUSR2));
}

TEST(thread_directed_signals_stay_there)
{
    OK(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = tells_thread}, NULL));
    _Atomic pid_t tid = 0;
    atomic_store(&handled_by, 0);
    pthread_t t = mt_thread(idles, &tid);
    UNTIL(atomic_load(&tid));
    OK0(pthread_kill(t, SIGUSR2));
    OK0(pthread_join(t, NULL));
    CHECK_EQ(handled_by, tid);
}

static void *waits_for_usr1(void *arg)
{
    sigset_t s = set_of(SIGUSR1, 0);
    *(int *)arg = sigwaitinfo(&s, NULL);
    return NULL;
}

TEST(blocked_everywhere_then_waited_for)
{
    block(SIGUSR1);
    OK(kill(getpid(), SIGUSR1));
    int got = 0;
    OK0(pthread_join(mt_thread(waits_for_usr1, &got), NULL)); // threads inherit the mask
    CHECK_EQ(got, SIGUSR1);
    CHECK(!pending(SIGUSR1));
}

TEST(new_threads_have_no_pending_signals)
{
    block(SIGUSR1);
    send(SIGUSR1);
    CHECK(pending(SIGUSR1));
    sigset_t s = set_of(SIGUSR1, 0);
    struct timespec zero = {0, 0};
    CHECK_EQ(sigtimedwait(&s, NULL, &zero), SIGUSR1);
    CHECK_ERR(sigtimedwait(&s, NULL, &zero), EAGAIN);
}

TEST(nanosleep_tells_the_rest)
{
    on(SIGUSR1, SA_RESTART);
    start_kicking();
    struct timespec ts = {100, 0}, rest = {0, 0};
    int r = nanosleep(&ts, &rest), e = errno;
    stop_kicking();
    CHECK_EQ(r, -1);
    CHECK_EQ(e, EINTR);
    CHECK(rest.tv_sec >= 50 && rest.tv_sec <= 100); // 100: the slack of timers
    CHECK(rest.tv_nsec >= 0 && rest.tv_nsec < 1000000000);
}

TEST(sigpipe_is_synchronous)
{
    int p[2];
    OK(pipe(p));
    OK(close(p[0]));
    on(SIGPIPE, SA_SIGINFO);
    CHECK_ERR(write(p[1], "x", 1), EPIPE);
    CHECK_EQ(count, 1);
    CHECK_EQ(last.si_code, SI_USER);
    OK(sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    CHECK_ERR(write(p[1], "x", 1), EPIPE);
    block(SIGPIPE);
    on(SIGPIPE, 0);
    CHECK_ERR(write(p[1], "x", 1), EPIPE);
    CHECK(pending(SIGPIPE));
    unblock(SIGPIPE);
    CHECK_EQ(count, 1);
    OK(close(p[1]));
}
