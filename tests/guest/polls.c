// poll, ppoll, select, pselect: what each kind of file answers, waiting, time-outs, signals, errors.
#include "moat_test.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>

#define ALL (POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM)

static short ready(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n = OK(poll(&p, 1, 0));
    CHECK_EQ(n, p.revents != 0);
    return p.revents;
}

TEST(pipes_answer)
{
    int p[2];
    static char big[65536];
    OK(pipe2(p, O_NONBLOCK));
    CHECK_EQ(ready(p[0], ALL), 0);
    CHECK_EQ(ready(p[1], ALL), POLLOUT | POLLWRNORM);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(ready(p[0], ALL), POLLIN | POLLRDNORM);
    CHECK_EQ(ready(p[0], 0), 0);
    CHECK_EQ(ready(p[0], POLLOUT), 0);
    CHECK_EQ(write(p[1], big, 65536), 65535 - 4095); // what is left after the first page is used by one byte
    CHECK_EQ(ready(p[1], ALL), 0);
    CHECK_EQ(read(p[0], big, 1), 1);
    CHECK_EQ(ready(p[1], ALL), POLLOUT | POLLWRNORM); // the page of that byte is free
    OK(close(p[1]));
    CHECK_EQ(ready(p[0], ALL), POLLIN | POLLRDNORM | POLLHUP);
    while (read(p[0], big, sizeof big) > 0) {}
    CHECK_EQ(ready(p[0], ALL), POLLHUP);
    CHECK_EQ(ready(p[0], 0), POLLHUP); // reported without being asked
    OK(close(p[0]));
    OK(pipe(p));
    OK(close(p[0]));
    CHECK_EQ(ready(p[1], ALL), POLLOUT | POLLWRNORM | POLLERR);
    OK(close(p[1]));
}

TEST(other_files_answer)
{
    int fd = mt_file("f", 10), dir = OK(open(".", O_RDONLY)), null = OK(open("/dev/null", O_RDWR));
    CHECK_EQ(ready(fd, ALL), POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
    CHECK_EQ(ready(dir, ALL), POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
    CHECK_EQ(ready(null, POLLIN | POLLOUT), POLLIN | POLLOUT);
    OK(close(fd));
    CHECK_EQ(ready(fd, ALL), POLLNVAL);
    CHECK_EQ(ready(fd, 0), POLLNVAL);
    CHECK_EQ(ready(-1, ALL), 0); // a negative one is left out
    int path = OK(open(".", O_PATH));
    CHECK_EQ(ready(path, POLLIN), POLLNVAL);
    OK(close(path));
    OK(close(dir));
    OK(close(null));
}

TEST(eventfd_answers)
{
    int fd = OK(eventfd(0, EFD_NONBLOCK));
    uint64_t v = 1;
    CHECK_EQ(ready(fd, ALL), POLLOUT);
    CHECK_EQ(write(fd, &v, 8), 8);
    CHECK_EQ(ready(fd, ALL), POLLIN | POLLOUT);
    v = UINT64_MAX - 2;
    CHECK_EQ(write(fd, &v, 8), 8);
    CHECK_EQ(ready(fd, ALL), POLLIN);
    OK(close(fd));
}

TEST(several_at_once)
{
    int p[2], q[2];
    OK(pipe(p));
    OK(pipe(q));
    CHECK_EQ(write(q[1], "x", 1), 1);
    struct pollfd f[] = {{p[0], POLLIN, 99}, {q[0], POLLIN, 99}, {-5, POLLIN, 99}, {p[1], POLLOUT, 99}, {250, 0, 99}};
    CHECK_EQ(poll(f, 5, -1), 3);
    CHECK_EQ(f[0].revents, 0);
    CHECK_EQ(f[1].revents, POLLIN);
    CHECK_EQ(f[2].revents, 0);
    CHECK_EQ(f[3].revents, POLLOUT);
    CHECK_EQ(f[4].revents, POLLNVAL);
    const int fds[] = {p[0], p[1], q[0], q[1]};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

TEST(one_file_twice)
{
    int p[2];
    OK(pipe(p));
    CHECK_EQ(write(p[1], "x", 1), 1);
    struct pollfd f[] = {{p[0], POLLIN, 0}, {p[0], POLLIN, 0}, {p[0], 0, 0}};
    CHECK_EQ(poll(f, 3, 0), 2);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(many_files)
{
    enum { N = 150 };
    struct pollfd f[N];
    for (int i = 0; i < N; i++)
        f[i] = (struct pollfd){.fd = OK(eventfd(i == 77, 0)), .events = POLLIN};
    CHECK_EQ(poll(f, N, -1), 1);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(f[i].revents, i == 77 ? POLLIN : 0);
        OK(close(f[i].fd));
    }
}

static void *writes_soon(void *arg)
{
    mt_sleep_us(5000);
    CHECK_EQ(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

TEST(poll_waits)
{
    int p[2], q[2];
    OK(pipe(p));
    OK(pipe(q));
    pthread_t t = mt_thread(writes_soon, &q[1]);
    struct pollfd f[] = {{p[0], POLLIN, 0}, {q[0], POLLIN, 0}};
    CHECK_EQ(poll(f, 2, -1), 1);
    CHECK_EQ(f[0].revents, 0);
    CHECK_EQ(f[1].revents, POLLIN);
    OK0(pthread_join(t, NULL));
    const int fds[] = {p[0], p[1], q[0], q[1]};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

TEST(poll_times_out)
{
    int p[2];
    OK(pipe(p));
    struct pollfd f = {p[0], POLLIN, 99};
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    CHECK_EQ(poll(&f, 1, 20), 0);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 20000000);
    CHECK_EQ(f.revents, 0);
    CHECK_EQ(poll(NULL, 0, 1), 0);
    CHECK_EQ(poll(&f, 1, 0), 0);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(ppoll_arguments)
{
    struct timespec ts = {0, 1000000}, bad = {0, -1}, worse = {0, 1000000000};
    CHECK_EQ(ppoll(NULL, 0, &ts, NULL), 0);
    CHECK_EQ(ts.tv_nsec, 1000000); // libc hides what the call writes
    CHECK_ERR(ppoll(NULL, 0, &bad, NULL), EINVAL);
    CHECK_ERR(ppoll(NULL, 0, &worse, NULL), EINVAL);
    CHECK_EQ(syscall(SYS_ppoll, NULL, 0, &ts, NULL, 8), 0);
    CHECK_EQ(ts.tv_sec, 0);
    CHECK_EQ(ts.tv_nsec, 0); // the rest of the time
    sigset_t none;
    sigemptyset(&none);
    CHECK_ERR(syscall(SYS_ppoll, NULL, 0, &ts, &none, 4), EINVAL);
    CHECK_ERR(syscall(SYS_poll, NULL, 1, 0), EFAULT);
    struct rlimit l;
    OK(getrlimit(RLIMIT_NOFILE, &l));
    CHECK_ERR(syscall(SYS_poll, NULL, l.rlim_cur + 1, 0), EINVAL);
}

static atomic_int handled;

static void on_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&handled, 1);
}

TEST(ppoll_mask_is_atomic)
{
    sigset_t usr1, none, now;
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL));
    OK0(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
    atomic_store(&handled, 0);
    OK(raise(SIGUSR1));
    CHECK_EQ(handled, 0);
    CHECK_ERR(ppoll(NULL, 0, NULL, &none), EINTR); // pending and let in
    CHECK_EQ(handled, 1);
    OK0(pthread_sigmask(SIG_SETMASK, NULL, &now));
    CHECK(sigismember(&now, SIGUSR1));
    int p[2];
    OK(pipe(p));
    CHECK_EQ(write(p[1], "x", 1), 1);
    OK(raise(SIGUSR1));
    struct pollfd f = {p[0], POLLIN, 0};
    CHECK_EQ(ppoll(&f, 1, NULL, &none), 1); // an event wins, and the signal stays pending
    CHECK_EQ(handled, 1);
    OK0(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
    CHECK_EQ(handled, 2);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(selects)
{
    int p[2], q[2];
    OK(pipe(p));
    OK(pipe(q));
    CHECK_EQ(write(p[1], "x", 1), 1);
    fd_set in, out, ex;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&ex);
    FD_SET(p[0], &in);
    FD_SET(q[0], &in);
    FD_SET(q[1], &out);
    FD_SET(p[0], &ex);
    CHECK_EQ(select(q[1] + 1, &in, &out, &ex, NULL), 2);
    CHECK(FD_ISSET(p[0], &in));
    CHECK(!FD_ISSET(q[0], &in));
    CHECK(FD_ISSET(q[1], &out));
    CHECK(!FD_ISSET(p[0], &ex));
    OK(close(q[1])); // hang-up makes it readable
    FD_ZERO(&in);
    FD_SET(q[0], &in);
    CHECK_EQ(select(q[0] + 1, &in, NULL, NULL, NULL), 1);
    FD_ZERO(&in);
    FD_SET(q[1], &in);
    CHECK_ERR(select(q[1] + 1, &in, NULL, NULL, NULL), EBADF);
    CHECK_ERR(select(-1, NULL, NULL, NULL, NULL), EINVAL);
    CHECK_EQ(select(0, NULL, NULL, NULL, &(struct timeval){0, 1000}), 0);
    FD_ZERO(&in);
    FD_SET(q[0], &in);
    CHECK_EQ(select(q[0], &in, NULL, NULL, &(struct timeval){0, 0}), 0); // below the count only
    OK(close(p[0]));
    OK(close(p[1]));
    OK(close(q[0]));
}

TEST(select_times)
{
    int p[2];
    OK(pipe(p));
    fd_set in;
    FD_ZERO(&in);
    FD_SET(p[0], &in);
    struct timeval tv = {0, 10000};
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    CHECK_EQ(select(p[0] + 1, &in, NULL, NULL, &tv), 0);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 10000000);
    CHECK_EQ(tv.tv_sec, 0);
    CHECK_EQ(tv.tv_usec, 0); // Linux tells the rest
    CHECK(!FD_ISSET(p[0], &in));
    CHECK_EQ(write(p[1], "x", 1), 1);
    FD_SET(p[0], &in);
    tv = (struct timeval){100, 0};
    CHECK_EQ(select(p[0] + 1, &in, NULL, NULL, &tv), 1);
    CHECK(tv.tv_sec >= 50 && tv.tv_sec <= 100);
    struct timeval bad = {-1, 0}, carried = {0, 1500000};
    CHECK_ERR(select(p[0] + 1, &in, NULL, NULL, &bad), EINVAL);
    CHECK_EQ(select(p[0] + 1, &in, NULL, NULL, &carried), 1); // more than a second in microseconds is accepted
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(pselect_masks)
{
    sigset_t usr1, none;
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL));
    OK0(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
    atomic_store(&handled, 0);
    OK(raise(SIGUSR1));
    CHECK_ERR(pselect(0, NULL, NULL, NULL, NULL, &none), EINTR);
    CHECK_EQ(handled, 1);
    struct timespec ts = {0, 1000};
    CHECK_EQ(pselect(0, NULL, NULL, NULL, &ts, &none), 0);
    ts.tv_nsec = 1000000000;
    CHECK_ERR(pselect(0, NULL, NULL, NULL, &ts, NULL), EINVAL);
    OK0(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
}

TEST(select_with_high_descriptors)
{
    int fd = OK(eventfd(1, 0)), high = OK(fcntl(fd, F_DUPFD, 900));
    fd_set in;
    FD_ZERO(&in);
    FD_SET(high, &in);
    FD_SET(fd, &in);
    CHECK_EQ(select(high + 1, &in, NULL, NULL, NULL), 2);
    CHECK(FD_ISSET(high, &in));
    OK(close(high));
    OK(close(fd));
}

static void *writes_and_reads(void *arg)
{
    int *fds = arg; // read from fds[0], answer on fds[1]
    char c;
    for (int i = 0; i < 1000; i++) {
        struct pollfd f = {fds[0], POLLIN, 0};
        if (poll(&f, 1, -1) != 1 || read(fds[0], &c, 1) != 1 || write(fds[1], &c, 1) != 1)
            return (void *)1;
    }
    return NULL;
}

TEST(no_event_is_lost)
{
    int a[2], b[2];
    OK(pipe(a));
    OK(pipe(b));
    int other[2] = {a[0], b[1]};
    pthread_t t = mt_thread(writes_and_reads, other);
    char c = 'x';
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(write(a[1], &c, 1), 1);
        struct pollfd f = {b[0], POLLIN, 0};
        CHECK_EQ(poll(&f, 1, -1), 1);
        CHECK_EQ(read(b[0], &c, 1), 1);
    }
    void *ret;
    OK0(pthread_join(t, &ret));
    CHECK(ret == NULL);
    const int fds[] = {a[0], a[1], b[0], b[1]};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}
