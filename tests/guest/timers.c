// timerfd and signalfd.
#include "moat_test.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#define MS 1000000l

static struct itimerspec spec(long first_ns, long every_ns)
{
    return (struct itimerspec){{every_ns / 1000000000, every_ns % 1000000000}, {first_ns / 1000000000, first_ns % 1000000000}};
}

static void set(int fd, long first_ns, long every_ns)
{
    struct itimerspec s = spec(first_ns, every_ns);
    OK(timerfd_settime(fd, 0, &s, NULL));
}

static uint64_t expirations(int fd)
{
    uint64_t n;
    CHECK_EQ(read(fd, &n, 8), 8);
    return n;
}

TEST(one_shot)
{
    const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
    for (unsigned i = 0; i < countof(clocks); i++) {
        int fd = OK(timerfd_create(clocks[i], 0));
        uint64_t start = mt_now_ns(CLOCK_MONOTONIC), n;
        set(fd, 10 * MS, 0);
        CHECK_EQ(expirations(fd), 1); // waits for it
        CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 10 * MS);
        OK(fcntl(fd, F_SETFL, O_NONBLOCK));
        CHECK_ERR(read(fd, &n, 8), EAGAIN);
        OK(close(fd));
    }
}

TEST(disarmed)
{
    int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    uint64_t n;
    struct itimerspec s;
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_ERR(read(fd, &n, 8), EAGAIN);
    OK(timerfd_gettime(fd, &s));
    CHECK(s.it_value.tv_sec == 0 && s.it_value.tv_nsec == 0 && s.it_interval.tv_sec == 0 && s.it_interval.tv_nsec == 0);
    set(fd, 1 * MS, 0);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, -1), 1);
    set(fd, 0, 5 * MS); // no first time: off, and what had expired is forgotten
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_ERR(read(fd, &n, 8), EAGAIN);
    OK(close(fd));
}

TEST(intervals)
{
    int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC), total = 0;
    set(fd, 2 * MS, 3 * MS);
    while (total < 5)
        total += expirations(fd);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= (2 + 4 * 3) * MS);
    mt_sleep_us(20000);
    uint64_t n = expirations(fd); // all those missed, in one read
    CHECK(n >= 5);
    CHECK(total + n <= (mt_now_ns(CLOCK_MONOTONIC) - start) / (3 * MS) + 1);
    OK(close(fd));
}

TEST(gettime_and_old_value)
{
    int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
    struct itimerspec s = spec(500000 * MS, 7 * MS), old, now;
    OK(timerfd_settime(fd, 0, &s, &old));
    CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_nsec == 0);
    OK(timerfd_gettime(fd, &now));
    CHECK(now.it_value.tv_sec >= 400 && now.it_value.tv_sec <= 500);
    CHECK_EQ(now.it_interval.tv_nsec, 7 * MS);
    s = spec(100000 * MS, 0);
    OK(timerfd_settime(fd, 0, &s, &old));
    CHECK(old.it_value.tv_sec >= 400 && old.it_value.tv_sec <= 500);
    CHECK_EQ(old.it_interval.tv_nsec, 7 * MS);
    OK(close(fd));
}

TEST(absolute)
{
    int fd = OK(timerfd_create(CLOCK_REALTIME, 0));
    uint64_t until = mt_now_ns(CLOCK_REALTIME) + 10 * MS;
    struct itimerspec s = spec(until, 0);
    OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
    CHECK_EQ(expirations(fd), 1);
    CHECK(mt_now_ns(CLOCK_REALTIME) >= until);
    s = spec(1, 0); // long past
    OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
    CHECK_EQ(expirations(fd), 1);
    OK(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &s, NULL));
    CHECK_EQ(expirations(fd), 1);
    OK(close(fd));
    fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
    until = mt_now_ns(CLOCK_MONOTONIC) - 50 * MS;
    s = spec(until, 10 * MS); // in the past with an interval: it counts what was missed
    OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
    CHECK(expirations(fd) >= 6);
    OK(close(fd));
}

TEST(waiting_with_epoll)
{
    int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)), ep = OK(epoll_create1(0));
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 5};
    OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
    CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
    set(fd, 5 * MS, 0);
    CHECK_EQ(epoll_wait(ep, &e, 1, -1), 1);
    CHECK_EQ(e.events, EPOLLIN);
    CHECK_EQ(expirations(fd), 1);
    CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
    OK(close(fd));
    OK(close(ep));
}

static void *reads_timer(void *arg)
{
    uint64_t n = 0;
    return read(*(int *)arg, &n, 8) == 8 ? (void *)n : (void *)-1l;
}

TEST(setting_while_another_waits)
{
    int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
    set(fd, 1000000 * MS, 0);
    pthread_t t = mt_thread(reads_timer, &fd);
    mt_sleep_us(5000);
    set(fd, 1 * MS, 0);
    void *ret;
    OK0(pthread_join(t, &ret));
    CHECK_EQ((long)ret, 1);
    OK(close(fd));
}

TEST(timer_errors)
{
    int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)), other = OK(open("/dev/null", O_RDWR));
    struct itimerspec s = spec(1, 0);
    uint64_t n;
    CHECK_ERR(timerfd_create(99, 0), EINVAL);
    CHECK_ERR(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    CHECK_ERR(timerfd_create(CLOCK_MONOTONIC, 0x1000), EINVAL);
    CHECK_ERR(timerfd_settime(other, 0, &s, NULL), EINVAL);
    CHECK_ERR(timerfd_gettime(other, &s), EINVAL);
    CHECK_ERR(timerfd_settime(fd, 16, &s, NULL), EINVAL);
    s.it_value.tv_nsec = 1000000000;
    CHECK_ERR(timerfd_settime(fd, 0, &s, NULL), EINVAL);
    s = spec(1, 0);
    s.it_interval.tv_nsec = -1;
    CHECK_ERR(timerfd_settime(fd, 0, &s, NULL), EINVAL);
    s = spec(0, 0);
    s.it_value.tv_sec = -1;
    CHECK_ERR(timerfd_settime(fd, 0, &s, NULL), EINVAL);
    CHECK_ERR(timerfd_settime(fd, 0, (void *)8, NULL), EFAULT);
    CHECK_ERR(read(fd, &n, 7), EINVAL);
    CHECK_ERR(write(fd, &n, 8), EINVAL);
    s = spec(1, 0);
    OK(timerfd_settime(fd, 0, &s, NULL));
    struct pollfd p = {fd, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_ERR(read(fd, (void *)8, 8), EFAULT);
    OK(close(fd));
    OK(close(other));
}

static sigset_t blocked(int a, int b)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, a);
    if (b)
        sigaddset(&s, b);
    OK0(pthread_sigmask(SIG_BLOCK, &s, NULL));
    return s;
}

TEST(signalfd_reads)
{
    sigset_t s = blocked(SIGUSR1, SIGRTMIN);
    int fd = OK(signalfd(-1, &s, SFD_NONBLOCK | SFD_CLOEXEC));
    struct signalfd_siginfo i[4];
    CHECK_EQ(sizeof i[0], 128);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(read(fd, i, sizeof i), EAGAIN);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, 0), 0);
    OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(read(fd, i, sizeof i), 128);
    CHECK_EQ(i[0].ssi_signo, SIGUSR1);
    CHECK_EQ(i[0].ssi_code, SI_USER);
    CHECK_EQ(i[0].ssi_pid, getpid());
    CHECK_EQ(i[0].ssi_uid, getuid());
    CHECK_EQ(poll(&p, 1, 0), 0); // taken
    for (int n = 0; n < 3; n++)
        OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 50 + n}));
    CHECK_EQ(read(fd, i, 2 * 128 + 50), 256); // whole ones only
    CHECK_EQ(i[0].ssi_int, 50);
    CHECK_EQ(i[1].ssi_int, 51);
    CHECK_EQ(i[1].ssi_code, SI_QUEUE);
    CHECK_EQ(read(fd, i, sizeof i), 128);
    CHECK_EQ(i[0].ssi_int, 52);
    CHECK_ERR(read(fd, i, 127), EINVAL);
    OK(close(fd));
}

TEST(signalfd_changes_its_mask)
{
    sigset_t s = blocked(SIGUSR1, SIGUSR2), two;
    sigemptyset(&two);
    sigaddset(&two, SIGUSR2);
    int fd = OK(signalfd(-1, &s, SFD_NONBLOCK));
    CHECK_EQ(signalfd(fd, &two, 0), fd);
    struct signalfd_siginfo i;
    OK(raise(SIGUSR1));
    CHECK_ERR(read(fd, &i, sizeof i), EAGAIN);
    OK(raise(SIGUSR2));
    CHECK_EQ(read(fd, &i, sizeof i), 128);
    CHECK_EQ(i.ssi_signo, SIGUSR2);
    CHECK_EQ(signalfd(fd, &s, 0), fd);
    CHECK_EQ(read(fd, &i, sizeof i), 128); // it had stayed pending
    CHECK_EQ(i.ssi_signo, SIGUSR1);
    CHECK_ERR(signalfd(fd, &s, 1), EINVAL);
    CHECK_ERR(signalfd(0x7fff, &s, 0), EBADF);
    int other = OK(open("/dev/null", O_RDWR));
    CHECK_ERR(signalfd(other, &s, 0), EINVAL);
    CHECK_ERR(syscall(SYS_signalfd4, -1, &s, 4, 0), EINVAL);
    OK(close(other));
    OK(close(fd));
}

static void *reads_signal(void *arg)
{
    struct signalfd_siginfo i;
    return read(*(int *)arg, &i, sizeof i) == sizeof i ? (void *)(uintptr_t)i.ssi_signo : NULL;
}

TEST(signalfd_blocks)
{
    sigset_t s = blocked(SIGUSR1, 0);
    int fd = OK(signalfd(-1, &s, 0));
    pthread_t t = mt_thread(reads_signal, &fd);
    mt_sleep_us(5000);
    OK(kill(getpid(), SIGUSR1)); // of the process: any thread's read may have it
    void *ret;
    OK0(pthread_join(t, &ret));
    CHECK_EQ((intptr_t)ret, SIGUSR1);
    t = mt_thread(reads_signal, &fd);
    mt_sleep_us(5000);
    OK0(pthread_kill(t, SIGUSR1)); // of that thread
    OK0(pthread_join(t, &ret));
    CHECK_EQ((intptr_t)ret, SIGUSR1);
    OK(close(fd));
}

TEST(signalfd_in_epoll)
{
    sigset_t s = blocked(SIGUSR1, 0);
    int fd = OK(signalfd(-1, &s, SFD_NONBLOCK)), ep = OK(epoll_create1(0));
    struct epoll_event e = {.events = EPOLLIN};
    OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
    CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
    OK(raise(SIGUSR1));
    CHECK_EQ(epoll_wait(ep, &e, 1, -1), 1);
    struct signalfd_siginfo i;
    CHECK_EQ(read(fd, &i, sizeof i), 128);
    CHECK_EQ(i.ssi_code, SI_TKILL);
    CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
    OK(close(fd));
    OK(close(ep));
}
