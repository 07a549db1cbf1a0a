// mq_notify(3) by a thread: the cookie that comes over a netlink socket; queues polled, and used by rings.
#include "uring.h"
#include <linux/netlink.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#define COOKIE 32
enum { WOKEN = 1, REMOVED = 2 };

static struct ring r;
static char cookie[COOKIE];

static mqd_t open_queue(int flags)
{
    char name[64];
    snprintf(name, sizeof name, "/moat-notify-%d", getpid());
    mq_unlink(name);
    struct mq_attr a = { .mq_maxmsg = 2, .mq_msgsize = 16 };
    mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &a);
    CHECK(q >= 0);
    CHECK_EQ(mq_unlink(name), 0);
    return q;
}

static int ask(int q, int s, const void *at)
{
    struct sigevent e = { .sigev_notify = SIGEV_THREAD, .sigev_signo = s, .sigev_value.sival_ptr = (void *)at };
    return syscall(SYS_mq_notify, q, &e);
}

static int ask_no_more(int q) { return syscall(SYS_mq_notify, q, NULL); }

// The last byte of the cookie that has come, which is the rest of what was given; 0: none.
static int come(int s)
{
    char b[64];
    struct sockaddr_nl from;
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(s, b, sizeof b, MSG_DONTWAIT, (void *)&from, &length);
    if (n < 0) {
        CHECK_EQ(errno, EAGAIN);
        return 0;
    }
    CHECK_EQ(n, COOKIE);
    CHECK_EQ(length, sizeof from);
    CHECK_EQ(from.nl_family, AF_NETLINK);
    CHECK_EQ(from.nl_pid, 0);
    CHECK_EQ(memcmp(b, cookie, COOKIE - 1), 0);
    return b[COOKIE - 1];
}

static void drain(int q)
{
    char b[16];
    CHECK(mq_receive(q, b, sizeof b, NULL) >= 0);
}

TEST(errors)
{
    mqd_t q = open_queue(0);
    int s = socket(AF_NETLINK, SOCK_RAW, 0), u = socket(AF_UNIX, SOCK_DGRAM, 0), p[2];
    CHECK_EQ(pipe(p), 0);
    CHECK_ERR(ask(q, 999, cookie), EBADF);
    CHECK_ERR(ask(q, p[0], cookie), ENOTSOCK);
    CHECK_ERR(ask(q, u, cookie), EINVAL);
    CHECK_ERR(ask(q, s, (void *)8), EFAULT);
    CHECK_ERR(ask(999, 998, (void *)8), EFAULT);
    CHECK_ERR(ask(999, s, cookie), EBADF);
    CHECK_ERR(ask(p[0], s, cookie), EBADF);
    CHECK_EQ(come(s), 0);
    close(p[0]);
    close(p[1]);
    close(u);
    close(s);
    mq_close(q);
}

TEST(cookie)
{
    memset(cookie, 7, sizeof cookie);
    mqd_t q = open_queue(0);
    int s = socket(AF_NETLINK, SOCK_RAW, 0);
    struct pollfd p = { s, POLLIN, 0 };
    CHECK_EQ(ask(q, s, cookie), 0);
    CHECK_ERR(ask(q, s, cookie), EBUSY);
    char text[128] = { 0 };
    CHECK(pread(q, text, sizeof text - 1, 0) > 0);
    int how = -1, signal = -1, pid = -1;
    CHECK_EQ(sscanf(text, "QSIZE:0 NOTIFY:%d SIGNO:%d NOTIFY_PID:%d", &how, &signal, &pid), 3);
    CHECK_EQ(how, SIGEV_THREAD);
    CHECK_EQ(signal, 0);
    CHECK_EQ(pid, getpid());
    CHECK_EQ(come(s), 0);
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(come(s), WOKEN);
    CHECK_EQ(poll(&p, 1, 0), 0);
    // Once.
    drain(q);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(come(s), 0);
    drain(q);
    CHECK_EQ(ask(q, s, cookie), 0);
    CHECK_EQ(ask_no_more(q), 0);
    CHECK_EQ(come(s), REMOVED);
    // A descriptor of the queue's closed, any of them.
    CHECK_EQ(ask(q, s, cookie), 0);
    CHECK_EQ(close(dup(q)), 0);
    CHECK_EQ(come(s), REMOVED);
    // The socket lives on by another descriptor, or not at all.
    CHECK_EQ(ask(q, s, cookie), 0);
    int t = dup(s);
    close(s);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(come(t), WOKEN);
    drain(q);
    CHECK_EQ(ask(q, t, cookie), 0);
    close(t);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    mq_close(q);
}

TEST(other_processes)
{
    memset(cookie, 9, sizeof cookie);
    mqd_t q = open_queue(0);
    int s = socket(AF_NETLINK, SOCK_DGRAM, 0), status;
    // Another's end does not take it away; one's own does.
    CHECK_EQ(ask(q, s, cookie), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(come(s), 0);
    CHECK_EQ(ask_no_more(q), 0);
    CHECK_EQ(come(s), REMOVED);
    pid = fork();
    if (pid == 0)
        _exit(ask(q, s, cookie) != 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(come(s), REMOVED);
    close(s);
    mq_close(q);
}

static void nothing(int s) { (void)s; }

TEST(room)
{
    memset(cookie, 3, sizeof cookie);
    mqd_t q = open_queue(0);
    int s = socket(AF_NETLINK, SOCK_RAW, 0), size = 1, n = 0, error = 0;
    CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    // Without room it waits; a signal ends that.
    struct sigaction sa = { .sa_handler = nothing };
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval every = { { 0, 20000 }, { 0, 20000 } }, off = { 0 };
    setitimer(ITIMER_REAL, &every, NULL);
    while (n < 1000) {
        if (ask(q, s, cookie) != 0) {
            error = errno;
            if (n > 0)
                break;
            continue;
        }
        CHECK_EQ(ask_no_more(q), 0);
        n++;
    }
    setitimer(ITIMER_REAL, &off, NULL);
    CHECK_EQ(error, EINTR);
    CHECK(n < 100);
    for (int i = 0; i < n; i++)
        CHECK_EQ(come(s), REMOVED);
    CHECK_EQ(come(s), 0);
    CHECK_EQ(ask(q, s, cookie), 0);
    close(s);
    mq_close(q);
}

static atomic_int called;
static void call(union sigval v) { atomic_store(&called, v.sival_int); }

TEST(thread)
{
    int before = 0, fd = dup(0);
    close(fd);
    mqd_t q = open_queue(0);
    struct sigevent e = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = call, .sigev_value.sival_int = 42 };
    CHECK_EQ(mq_notify(q, &e), 0);
    CHECK_ERR(mq_notify(q, &e), EBUSY);
    CHECK_EQ(mq_notify(q, NULL), 0);
    for (int i = 1; i <= 20; i++) {
        atomic_store(&called, before);
        e.sigev_value.sival_int = i;
        CHECK_EQ(mq_notify(q, &e), 0);
        CHECK_EQ(mq_send(q, "x", 1, 0), 0);
        while (atomic_load(&called) != i)
            sched_yield();
        drain(q);
    }
    mq_close(q);
    // The C library keeps its socket.
    for (int i = fd; i < fd + 3; i++)
        close(i);
}

TEST(watched)
{
    mqd_t q = open_queue(O_NONBLOCK);
    int ep = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = 5 }, out;
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, q, &e), 0);
    CHECK_EQ(epoll_wait(ep, &out, 1, 0), 1);
    CHECK_EQ(out.events, EPOLLOUT);
    CHECK_EQ(epoll_wait(ep, &out, 1, 0), 0);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(epoll_wait(ep, &out, 1, 0), 1);
    CHECK_EQ(out.events, EPOLLIN | EPOLLOUT);
    close(ep);
    mq_close(q);
}

TEST(rings)
{
    mqd_t q = open_queue(O_NONBLOCK);
    ring_init(&r, 8, 0);
    add_poll(&r, q, POLLIN, 1);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_ready(&r), 0);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(ring_result(&r, 1), POLLIN);
    CHECK_EQ(mq_send(q, "y", 1, 0), 0);
    add_poll(&r, q, POLLOUT, 2);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_ready(&r), 0);
    drain(q);
    CHECK_EQ(ring_result(&r, 2), POLLOUT);
    drain(q);
    // Reading gives the state, at a place or where the descriptor stands, but waits as for a message; so does writing, which there is not.
    char b[128] = { 0 }, c[128] = { 0 };
    ADD(&r, READ, q, b, sizeof b, 0, 3);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_ready(&r), 0);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    int n = ring_result(&r, 3);
    CHECK_EQ(n, pread(q, c, sizeof c, 0));
    CHECK_EQ(memcmp(b, "QSIZE:", 6), 0);
    ADD(&r, READ, q, b, 6, (uint64_t)-1, 4);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_result(&r, 4), 6);
    CHECK_EQ(lseek(q, 0, SEEK_CUR), 6);
    struct iovec v[2] = { { b, 3 }, { b + 3, 100 } };
    ADD(&r, READV, q, v, 2, 0, 5);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_result(&r, 5), n);
    CHECK_EQ(memcmp(b, c, n), 0);
    ADD(&r, READ, q, b, 6, 0, 6)->rw_flags = RWF_NOWAIT;
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_result(&r, 6), -EOPNOTSUPP);
    ADD(&r, WRITE, q, b, 4, 0, 7);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_result(&r, 7), -EINVAL);
    CHECK_ERR(write(q, b, 4), EINVAL);
    CHECK_EQ(mq_send(q, "y", 1, 0), 0);
    ADD(&r, WRITE, q, b, 4, 0, 8);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_ready(&r), 0);
    drain(q);
    CHECK_EQ(ring_result(&r, 8), -EINVAL);
    drain(q);
    sqe_t *s = ADD(&r, READ, q, b, sizeof b, 0, 9);
    s->flags |= IOSQE_ASYNC;
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(ring_result(&r, 9), n);
    drain(q);
    // Receiving on one as on a socket.
    ADD(&r, RECV, q, b, 4, 0, 10);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_result(&r, 10), -ENOTSOCK);
    ring_exit(&r);
    mq_close(q);
}
