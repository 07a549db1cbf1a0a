// epoll: level and edge, one shot and exclusive, nesting, changes, removal, errors.
#include "moat_test.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static void add(int ep, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event e = {.events = events, .data.u64 = data};
    OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
}

static void mod(int ep, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event e = {.events = events, .data.u64 = data};
    OK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e));
}

static void del(int ep, int fd) { OK(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL)); }

// The events of the one ready file, or 0 when none is; its data into *data.
static uint32_t one(int ep, uint64_t *data)
{
    struct epoll_event e[4];
    int n = OK(epoll_wait(ep, e, 4, 0));
    if (n == 0)
        return 0;
    CHECK_EQ(n, 1);
    if (data)
        *data = e[0].data.u64;
    return e[0].events;
}

static void put(int fd)
{
    uint64_t v = 1;
    CHECK_EQ(write(fd, &v, 8), 8);
}

static void take(int fd)
{
    uint64_t v;
    CHECK_EQ(read(fd, &v, 8), 8);
}

TEST(level_triggered)
{
    int ep = OK(epoll_create1(EPOLL_CLOEXEC)), fd = OK(eventfd(0, EFD_NONBLOCK));
    uint64_t data = 0;
    CHECK_EQ(fcntl(ep, F_GETFD), FD_CLOEXEC);
    add(ep, fd, EPOLLIN, 0x123456789abcdef0);
    CHECK_EQ(one(ep, &data), 0);
    put(fd);
    CHECK_EQ(one(ep, &data), EPOLLIN);
    CHECK_EQ(data, 0x123456789abcdef0);
    CHECK_EQ(one(ep, &data), EPOLLIN); // as long as it lasts
    take(fd);
    CHECK_EQ(one(ep, &data), 0);
    OK(close(fd));
    OK(close(ep));
}

TEST(edge_triggered)
{
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(0, EFD_NONBLOCK));
    put(fd);
    add(ep, fd, EPOLLIN | EPOLLET, 1);
    CHECK_EQ(one(ep, NULL), EPOLLIN); // ready when it was added
    CHECK_EQ(one(ep, NULL), 0);
    put(fd); // still not read, but something new came
    CHECK_EQ(one(ep, NULL), EPOLLIN);
    CHECK_EQ(one(ep, NULL), 0);
    take(fd);
    CHECK_EQ(one(ep, NULL), 0);
    put(fd);
    CHECK_EQ(one(ep, NULL), EPOLLIN);
    mod(ep, fd, EPOLLIN | EPOLLET, 2); // changing it looks again
    CHECK_EQ(one(ep, NULL), EPOLLIN);
    OK(close(fd));
    OK(close(ep));
}

TEST(edges_of_a_pipe)
{
    int ep = OK(epoll_create1(0)), p[2];
    char b[100];
    OK(pipe2(p, O_NONBLOCK));
    add(ep, p[0], EPOLLIN | EPOLLET | EPOLLRDHUP, 1);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    CHECK_EQ(one(ep, NULL), EPOLLIN);
    CHECK_EQ(read(p[0], b, 1), 1); // some left: no new edge
    CHECK_EQ(one(ep, NULL), 0);
    CHECK_EQ(write(p[1], "d", 1), 1);
    CHECK_EQ(one(ep, NULL), EPOLLIN);
    OK(close(p[1]));
    CHECK_EQ(one(ep, NULL), EPOLLIN | EPOLLHUP);
    CHECK_EQ(one(ep, NULL), 0);
    OK(close(p[0]));
    OK(close(ep));
}

TEST(one_shot)
{
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(1, EFD_NONBLOCK));
    add(ep, fd, EPOLLIN | EPOLLONESHOT, 1);
    CHECK_EQ(one(ep, NULL), EPOLLIN);
    CHECK_EQ(one(ep, NULL), 0);
    put(fd);
    CHECK_EQ(one(ep, NULL), 0);
    mod(ep, fd, EPOLLIN | EPOLLONESHOT, 1); // armed again
    CHECK_EQ(one(ep, NULL), EPOLLIN);
    CHECK_EQ(one(ep, NULL), 0);
    OK(close(fd));
    OK(close(ep));
}

TEST(changes)
{
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(1, EFD_NONBLOCK));
    uint64_t data;
    add(ep, fd, 0, 1);
    CHECK_EQ(one(ep, NULL), 0);
    mod(ep, fd, EPOLLIN | EPOLLOUT, 2);
    CHECK_EQ(one(ep, &data), EPOLLIN | EPOLLOUT);
    CHECK_EQ(data, 2);
    mod(ep, fd, EPOLLOUT, 3);
    CHECK_EQ(one(ep, &data), EPOLLOUT);
    del(ep, fd);
    CHECK_EQ(one(ep, NULL), 0);
    add(ep, fd, EPOLLIN, 4);
    CHECK_EQ(one(ep, &data), EPOLLIN);
    CHECK_EQ(data, 4);
    OK(close(fd));
    OK(close(ep));
}

TEST(hangups_come_unasked)
{
    int ep = OK(epoll_create1(0)), p[2];
    OK(pipe(p));
    add(ep, p[0], 0, 1);
    OK(close(p[1]));
    CHECK_EQ(one(ep, NULL), EPOLLHUP);
    OK(close(p[0]));
    OK(pipe(p));
    add(ep, p[1], 0, 1);
    OK(close(p[0]));
    CHECK_EQ(one(ep, NULL), EPOLLERR);
    OK(close(p[1]));
    OK(close(ep));
}

TEST(closing_removes)
{
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(1, 0));
    add(ep, fd, EPOLLIN, 1);
    int copy = OK(dup(fd));
    OK(close(fd));
    CHECK_EQ(one(ep, NULL), EPOLLIN); // the open file lives on
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), EBADF);
    OK(close(copy));
    CHECK_EQ(one(ep, NULL), 0); // now it is gone
    fd = OK(eventfd(1, 0)); // a new file of the same number is another one
    CHECK_EQ(one(ep, NULL), 0);
    add(ep, fd, EPOLLIN, 2);
    CHECK_EQ(one(ep, NULL), EPOLLIN);
    OK(close(fd));
    OK(close(ep));
}

TEST(duplicates_are_separate)
{
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(1, 0)), copy = OK(dup(fd));
    add(ep, fd, EPOLLIN, 1);
    add(ep, copy, EPOLLIN, 2);
    struct epoll_event e[4];
    CHECK_EQ(epoll_wait(ep, e, 4, 0), 2);
    CHECK_EQ(e[0].data.u64 + e[1].data.u64, 3);
    OK(close(fd));
    OK(close(copy));
    OK(close(ep));
}

TEST(more_ready_than_room)
{
    enum { N = 10 };
    int ep = OK(epoll_create1(0)), fds[N], seen[N] = {0};
    for (int i = 0; i < N; i++) {
        fds[i] = OK(eventfd(1, 0));
        add(ep, fds[i], EPOLLIN, i);
    }
    struct epoll_event e[3];
    for (int round = 0; round < 10; round++) { // those that were told go to the end: all get their turn
        CHECK_EQ(epoll_wait(ep, e, 3, 0), 3);
        for (int i = 0; i < 3; i++)
            seen[e[i].data.u64]++;
    }
    for (int i = 0; i < N; i++) {
        CHECK_EQ(seen[i], 3);
        OK(close(fds[i]));
    }
    OK(close(ep));
}

TEST(ctl_errors)
{
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(0, 0)), file = mt_file("f", 10), dir = OK(open(".", O_RDONLY));
    struct epoll_event e = {.events = EPOLLIN};
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, file, &e), EPERM); // always ready: not for epoll
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, dir, &e), EPERM);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
    CHECK_ERR(epoll_ctl(fd, EPOLL_CTL_ADD, fd, &e), EINVAL);
    CHECK_ERR(epoll_ctl(fd, EPOLL_CTL_ADD, ep, &e), EINVAL);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, 250, &e), EBADF);
    CHECK_ERR(epoll_ctl(250, EPOLL_CTL_ADD, fd, &e), EBADF);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e), ENOENT);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), ENOENT);
    add(ep, fd, EPOLLIN, 1);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), EEXIST);
    CHECK_ERR(epoll_ctl(ep, 99, fd, &e), EINVAL);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, fd, (void *)8), EFAULT);
    CHECK_ERR(epoll_create1(1), EINVAL);
    CHECK_ERR(epoll_create(0), EINVAL);
    OK(close(OK(epoll_create(1))));
    OK(close(ep));
    OK(close(fd));
    OK(close(file));
    OK(close(dir));
}

TEST(wait_errors)
{
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(1, 0));
    struct epoll_event e[2];
    CHECK_ERR(epoll_wait(ep, e, 0, 0), EINVAL);
    CHECK_ERR(epoll_wait(ep, e, -1, 0), EINVAL);
    CHECK_ERR(epoll_wait(ep, e, INT_MAX, 0), EINVAL);
    CHECK_ERR(epoll_wait(fd, e, 1, 0), EINVAL);
    CHECK_ERR(epoll_wait(250, e, 1, 0), EBADF);
    add(ep, fd, EPOLLIN, 1);
    CHECK_ERR(epoll_wait(ep, (void *)8, 1, 0), EFAULT);
    CHECK_EQ(epoll_wait(ep, e, 1, 0), 1); // it is not lost by that
    OK(close(fd));
    OK(close(ep));
}

TEST(nesting)
{
    int inner = OK(epoll_create1(0)), outer = OK(epoll_create1(0)), fd = OK(eventfd(0, 0));
    add(inner, fd, EPOLLIN, 1);
    add(outer, inner, EPOLLIN, 2);
    uint64_t data = 0;
    CHECK_EQ(one(outer, &data), 0);
    put(fd);
    CHECK_EQ(one(outer, &data), EPOLLIN);
    CHECK_EQ(data, 2);
    struct pollfd p = {inner, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(one(inner, &data), EPOLLIN);
    take(fd);
    CHECK_EQ(one(outer, &data), 0);
    CHECK_EQ(poll(&p, 1, 0), 0);
    struct epoll_event e = {.events = EPOLLIN};
    CHECK_ERR(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &e), ELOOP);
    CHECK_ERR(epoll_ctl(outer, EPOLL_CTL_MOD, inner, &(struct epoll_event){.events = EPOLLIN | EPOLLEXCLUSIVE}), EINVAL);
    OK(close(inner));
    OK(close(outer));
    OK(close(fd));
}

TEST(nesting_depth)
{
    int ep[8];
    for (int i = 0; i < 8; i++)
        ep[i] = OK(epoll_create1(0));
    struct epoll_event e = {.events = EPOLLIN};
    int depth = 0;
    while (depth < 7 && epoll_ctl(ep[depth + 1], EPOLL_CTL_ADD, ep[depth], &e) == 0)
        depth++;
    CHECK_EQ(depth, 4);
    CHECK_EQ(errno, ELOOP);
    for (int i = 0; i < 8; i++)
        OK(close(ep[i]));
}

TEST(exclusive_errors)
{
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(1, 0));
    add(ep, fd, EPOLLIN | EPOLLEXCLUSIVE, 1);
    CHECK_EQ(one(ep, NULL), EPOLLIN);
    struct epoll_event e = {.events = EPOLLIN};
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e), EINVAL);
    del(ep, fd);
    e.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), EINVAL);
    OK(close(fd));
    OK(close(ep));
}

struct waiter {
    int ep, n;
    atomic_int done;
};

static void *waits(void *arg)
{
    struct waiter *w = arg;
    struct epoll_event e[4];
    w->n = epoll_wait(w->ep, e, 4, -1);
    atomic_store(&w->done, 1);
    return NULL;
}

TEST(a_change_wakes_a_waiter)
{
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(0, 0));
    struct waiter w = {.ep = ep};
    pthread_t t = mt_thread(waits, &w);
    mt_sleep_us(5000);
    add(ep, fd, EPOLLIN, 1); // not ready
    mt_sleep_us(2000);
    CHECK_EQ(w.done, 0);
    mod(ep, fd, EPOLLIN | EPOLLOUT, 1); // ready now
    OK0(pthread_join(t, NULL));
    CHECK_EQ(w.n, 1);
    OK(close(fd));
    OK(close(ep));
}

TEST(two_waiters_one_edge)
{
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(0, 0));
    add(ep, fd, EPOLLIN | EPOLLET, 1);
    struct waiter w[2] = {{.ep = ep}, {.ep = ep}};
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        t[i] = mt_thread(waits, &w[i]);
    mt_sleep_us(5000);
    put(fd);
    UNTIL(w[0].done || w[1].done);
    mt_sleep_us(5000);
    CHECK_EQ(w[0].done + w[1].done, 1); // one edge, one waiter
    put(fd);
    for (int i = 0; i < 2; i++)
        OK0(pthread_join(t[i], NULL));
    CHECK_EQ(w[0].n + w[1].n, 2);
    OK(close(fd));
    OK(close(ep));
}

TEST(times_out)
{
    int ep = OK(epoll_create1(0));
    struct epoll_event e;
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    CHECK_EQ(epoll_wait(ep, &e, 1, 15), 0);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 15000000);
    struct timespec ts = {0, 5000000}, bad = {0, 1000000000};
    start = mt_now_ns(CLOCK_MONOTONIC);
    CHECK_EQ(syscall(441 /* epoll_pwait2 */, ep, &e, 1, &ts, NULL, 8), 0);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 5000000);
    CHECK_ERR(syscall(441, ep, &e, 1, &bad, NULL, 8), EINVAL);
    OK(close(ep));
}

static atomic_int handled;

static void on_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&handled, 1);
}

TEST(pwait_masks)
{
    int ep = OK(epoll_create1(0));
    struct epoll_event e;
    sigset_t usr1, none;
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART}, NULL));
    OK0(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
    atomic_store(&handled, 0);
    OK(raise(SIGUSR1));
    CHECK_EQ(epoll_wait(ep, &e, 1, 1), 0);
    CHECK_ERR(epoll_pwait(ep, &e, 1, -1, &none), EINTR);
    CHECK_EQ(handled, 1);
    CHECK_ERR(syscall(SYS_epoll_pwait, ep, &e, 1, 0, &none, 4), EINVAL);
    OK0(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
    OK(close(ep));
}

TEST(closing_while_waiting)
{
    // The wait holds the open file; the events go on.
    int ep = OK(epoll_create1(0)), fd = OK(eventfd(0, 0));
    add(ep, fd, EPOLLIN, 1);
    struct waiter w = {.ep = ep};
    pthread_t t = mt_thread(waits, &w);
    mt_sleep_us(5000);
    int copy = OK(dup(ep));
    OK(close(ep));
    put(fd);
    OK0(pthread_join(t, NULL));
    CHECK(w.n == 1 || w.n == -1); // -1: closed before it waited
    OK(close(copy));
    OK(close(fd));
}

static void *adds_and_removes(void *arg)
{
    int ep = *(int *)arg, fd = eventfd(1, 0);
    for (int i = 0; i < 500; i++) {
        struct epoll_event e = {.events = EPOLLIN | (i % 2 ? EPOLLET : 0), .data.u64 = 7};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) != 0 || epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e) != 0 ||
            epoll_ctl(ep, EPOLL_CTL_DEL, fd, &e) != 0)
            return (void *)1;
    }
    close(fd);
    return NULL;
}

TEST(changes_under_waiting)
{
    int ep = OK(epoll_create1(0));
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        t[i] = mt_thread(adds_and_removes, &ep);
    for (int i = 0; i < 500; i++) {
        struct epoll_event e[8];
        int n = OK(epoll_wait(ep, e, 8, 0));
        for (int j = 0; j < n; j++)
            CHECK(e[j].data.u64 == 7 && e[j].events == EPOLLIN);
    }
    for (int i = 0; i < 3; i++) {
        void *ret;
        OK0(pthread_join(t[i], &ret));
        CHECK(ret == NULL);
    }
    CHECK_EQ(one(ep, NULL), 0);
    OK(close(ep));
}
