// Urgent bytes of AF_UNIX streams (MSG_OOB): the byte by itself, the mark, SO_OOBINLINE, signals, readiness, descriptors that come along, rings.
#include "uring_net.h"
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>

static void send_fd(int s, const char *data, size_t n, int fd, int flags)
{
    char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec v = {(void *)data, n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    *h = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(h), &fd, sizeof fd);
    CHECK_EQ(OK(sendmsg(s, &m, flags)), n);
}

// The descriptor that came, or -1.
static int receive_fd(int s, char *data, size_t n, int flags)
{
    char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec v = {data, n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    OK(recvmsg(s, &m, flags));
    int fd = -1;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h != NULL)
        memcpy(&fd, CMSG_DATA(h), sizeof fd);
    return fd;
}

TEST(byte)
{
    int s[2], mark = -1;
    char b[16];
    pair_of(SOCK_STREAM, s);
    CHECK_EQ(OK(send(s[0], "hello", 5, MSG_OOB)), 5);
    OK(ioctl(s[1], SIOCATMARK, &mark));
    CHECK_EQ(mark, 0);
    CHECK_EQ(OK(recv(s[1], b, 16, MSG_OOB | MSG_PEEK)), 1);
    CHECK_EQ(OK(recv(s[1], b, 16, MSG_OOB)), 1);
    CHECK_EQ(b[0], 'o');
    CHECK_ERR(recv(s[1], b, 16, MSG_OOB), EINVAL);
    CHECK_EQ(OK(recv(s[1], b, 16, 0)), 4);
    CHECK(memcmp(b, "hell", 4) == 0);
    OK(ioctl(s[1], SIOCATMARK, &mark));
    CHECK_EQ(mark, 1);
    CHECK_ERR(recv(s[1], b, 16, MSG_DONTWAIT), EAGAIN);
    OK(ioctl(s[1], SIOCATMARK, &mark));
    CHECK_EQ(mark, 0);
    CHECK_ERR(send(s[0], b, 0, MSG_OOB), EOPNOTSUPP);
    drop(s);
}

TEST(mark)
{
    int s[2], mark = -1;
    char b[16];
    pair_of(SOCK_STREAM, s);
    OK(send(s[0], "abX", 3, MSG_OOB));
    OK(send(s[0], "cd", 2, 0));
    // A read ends at the mark, even one that wants more.
    CHECK_EQ(OK(recv(s[1], b, 16, MSG_WAITALL)), 2);
    OK(ioctl(s[1], SIOCATMARK, &mark));
    CHECK_EQ(mark, 1);
    // The next one loses the byte.
    CHECK_EQ(OK(recv(s[1], b, 16, 0)), 2);
    CHECK(memcmp(b, "cd", 2) == 0);
    CHECK_ERR(recv(s[1], b, 1, MSG_OOB), EINVAL);
    // Of two only the last is urgent.
    OK(send(s[0], "1", 1, MSG_OOB));
    OK(send(s[0], "2", 1, MSG_OOB));
    CHECK_EQ(OK(recv(s[1], b, 16, 0)), 1);
    CHECK_EQ(b[0], '1');
    CHECK_EQ(OK(recv(s[1], b, 16, MSG_OOB)), 1);
    CHECK_EQ(b[0], '2');
    drop(s);
}

TEST(in_line)
{
    int s[2], on = 1, mark = -1;
    char b[16];
    pair_of(SOCK_STREAM, s);
    OK(setsockopt(s[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
    OK(send(s[0], "abX", 3, MSG_OOB));
    OK(send(s[0], "cd", 2, 0));
    CHECK_ERR(recv(s[1], b, 16, MSG_OOB), EINVAL);
    CHECK_EQ(OK(recv(s[1], b, 16, 0)), 2);
    OK(ioctl(s[1], SIOCATMARK, &mark));
    CHECK_EQ(mark, 1);
    CHECK_EQ(OK(recv(s[1], b, 16, 0)), 3);
    CHECK(memcmp(b, "Xcd", 3) == 0);
    drop(s);
}

TEST(message)
{
    int s[2];
    char b[16];
    pair_of(SOCK_STREAM, s);
    OK(send(s[0], "xyz", 3, MSG_OOB));
    struct iovec v = {b, sizeof b};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    CHECK_EQ(OK(recvmsg(s[1], &m, MSG_OOB)), 1);
    CHECK_EQ(m.msg_flags, MSG_OOB);
    CHECK_EQ(b[0], 'z');
    CHECK_EQ(OK(recvmsg(s[1], &m, 0)), 2);
    CHECK_EQ(m.msg_flags, 0);
    drop(s);
}

TEST(readiness)
{
    int s[2], e = OK(epoll_create1(0));
    char b[16];
    pair_of(SOCK_STREAM, s);
    struct epoll_event ev = {.events = EPOLLPRI}, got;
    OK(epoll_ctl(e, EPOLL_CTL_ADD, s[1], &ev));
    OK(send(s[0], "a", 1, 0));
    CHECK_EQ(OK(epoll_wait(e, &got, 1, 0)), 0);
    OK(send(s[0], "b", 1, MSG_OOB));
    CHECK_EQ(OK(epoll_wait(e, &got, 1, 0)), 1);
    CHECK_EQ(got.events, EPOLLPRI);
    fd_set x;
    FD_ZERO(&x);
    FD_SET(s[1], &x);
    CHECK_EQ(OK(select(s[1] + 1, NULL, NULL, &x, NULL)), 1);
    CHECK_EQ(OK(recv(s[1], b, 1, MSG_OOB)), 1);
    CHECK_EQ(OK(epoll_wait(e, &got, 1, 0)), 0);
    OK(close(e));
    drop(s);
}

static volatile int urgent, others;
static siginfo_t told;
static void on_urgent(int sig, siginfo_t *info, void *context)
{
    (void)context;
    urgent += sig == SIGURG;
    others += sig != SIGURG;
    told = *info;
}

TEST(sigurg)
{
    int s[2];
    char b[16];
    struct sigaction a = {.sa_sigaction = on_urgent, .sa_flags = SA_SIGINFO | SA_RESTART};
    OK(sigaction(SIGURG, &a, NULL));
    OK(sigaction(SIGIO, &a, NULL));
    OK(sigaction(SIGRTMIN + 3, &a, NULL));
    urgent = others = 0;
    pair_of(SOCK_STREAM, s);
    OK(send(s[0], "a", 1, MSG_OOB));
    CHECK_EQ(urgent, 0);
    OK(fcntl(s[1], F_SETOWN, getpid()));
    OK(send(s[0], "a", 1, MSG_OOB));
    CHECK_EQ(urgent, 1);
    CHECK_EQ(told.si_code, SI_KERNEL);
    OK(send(s[0], "a", 1, 0));
    CHECK_EQ(urgent, 1);
    // The signal of F_SETSIG is about readiness, SIGURG stays.
    OK(fcntl(s[1], F_SETSIG, SIGRTMIN + 3));
    OK(fcntl(s[1], F_SETFL, O_ASYNC));
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    sigaddset(&set, SIGRTMIN + 3);
    OK(sigprocmask(SIG_BLOCK, &set, &old));
    OK(send(s[0], "b", 1, MSG_OOB));
    siginfo_t i;
    CHECK_EQ(OK(sigwaitinfo(&set, &i)), SIGURG);
    CHECK_EQ(OK(sigwaitinfo(&set, &i)), SIGRTMIN + 3);
    CHECK_EQ(i.si_code, POLL_PRI);
    CHECK_EQ(i.si_band, POLLPRI | POLLRDBAND);
    CHECK_EQ(i.si_fd, s[1]);
    CHECK_EQ(OK(sigwaitinfo(&set, &i)), SIGRTMIN + 3);
    CHECK_EQ(i.si_code, POLL_IN);
    OK(sigprocmask(SIG_SETMASK, &old, NULL));
    CHECK_EQ(others, 0);
    (void)b;
    drop(s);
}

TEST(descriptors)
{
    int s[2], p[2];
    char b[16];
    pair_of(SOCK_STREAM, s);
    OK(pipe(p));
    send_fd(s[0], "x", 1, p[1], MSG_OOB);
    OK(close(p[1]));
    // The byte by itself comes without it.
    CHECK_EQ(receive_fd(s[1], b, 16, MSG_OOB), -1);
    CHECK_ERR(recv(s[1], b, 16, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(OK(read(p[0], b, 1)), 0);
    OK(close(p[0]));
    OK(pipe(p));
    // With others before it, it goes with the first.
    send_fd(s[0], "abc", 3, p[1], MSG_OOB);
    OK(close(p[1]));
    int got = receive_fd(s[1], b, 16, 0);
    CHECK(got >= 0);
    OK(close(got));
    CHECK_EQ(OK(read(p[0], b, 1)), 0);
    OK(close(p[0]));
    drop(s);
}

TEST(end)
{
    int s[2];
    char b[16];
    // A byte that was read by itself was read: no reset.
    pair_of(SOCK_STREAM, s);
    OK(send(s[0], "x", 1, MSG_OOB));
    CHECK_EQ(OK(recv(s[1], b, 1, MSG_OOB)), 1);
    OK(close(s[1]));
    CHECK_EQ(OK(recv(s[0], b, 1, 0)), 0);
    OK(close(s[0]));
    pair_of(SOCK_STREAM, s);
    OK(send(s[0], "x", 1, MSG_OOB));
    OK(close(s[1]));
    CHECK_ERR(recv(s[0], b, 1, 0), ECONNRESET);
    OK(close(s[0]));
    // What waits behind the end can still be read.
    pair_of(SOCK_STREAM, s);
    OK(send(s[0], "x", 1, MSG_OOB));
    OK(close(s[0]));
    CHECK_EQ(OK(recv(s[1], b, 1, MSG_OOB)), 1);
    CHECK_EQ(OK(recv(s[1], b, 1, 0)), 0);
    OK(close(s[1]));
}

TEST(other_types)
{
    int s[2], mark = -1;
    char b[16];
    for (int type = SOCK_DGRAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_DGRAM) {
        pair_of(type, s);
        CHECK_ERR(send(s[0], "x", 1, MSG_OOB), EOPNOTSUPP);
        CHECK_ERR(recv(s[1], b, 1, MSG_OOB | MSG_DONTWAIT), EOPNOTSUPP);
        CHECK_ERR(ioctl(s[1], SIOCATMARK, &mark), EOPNOTSUPP);
        drop(s);
    }
}

static int receive(struct ring *r, int fd, void *at, uint32_t length, int flags)
{
    sqe_t *q = ring_sqe(r);
    q->opcode = IORING_OP_RECV;
    q->fd = fd;
    q->addr = (uintptr_t)at;
    q->len = length;
    q->msg_flags = flags;
    q->user_data = 1;
    return ring_result(r, 1);
}

TEST(rings)
{
    struct ring r;
    int s[2];
    char b[16];
    cqe_t c;
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    CHECK_EQ(receive(&r, s[1], b, 16, MSG_OOB), -EINVAL);
    sqe_t *q = ring_sqe(&r);
    q->opcode = IORING_OP_POLL_ADD;
    q->fd = s[1];
    q->poll32_events = POLLPRI | POLLRDBAND;
    q->user_data = 2;
    q = ring_sqe(&r);
    q->opcode = IORING_OP_SEND;
    q->fd = s[0];
    q->addr = (uintptr_t)"hello";
    q->len = 5;
    q->msg_flags = MSG_OOB;
    q->user_data = 3;
    ring_submit(&r);
    c = ring_wait(&r);
    cqe_t d = ring_wait(&r);
    if (c.user_data == 2) {
        cqe_t t = c;
        c = d;
        d = t;
    }
    CHECK_EQ(c.res, 5);
    CHECK_EQ(d.user_data, 2);
    CHECK(d.res & POLLPRI);
    CHECK_EQ(receive(&r, s[1], b, 16, MSG_OOB), 1);
    CHECK_EQ(b[0], 'o');
    // A request that waits for all goes on behind the mark.
    q = ring_sqe(&r);
    q->opcode = IORING_OP_RECV;
    q->fd = s[1];
    q->addr = (uintptr_t)b;
    q->len = 6;
    q->msg_flags = MSG_WAITALL;
    q->user_data = 4;
    ring_submit(&r);
    CHECK_EQ(ring_ready(&r), 0);
    OK(send(s[0], "XYZ", 3, MSG_OOB));
    c = ring_wait(&r);
    CHECK_EQ(c.res, 6);
    CHECK(memcmp(b, "hellXY", 6) == 0);
    drop(s);
    ring_exit(&r);
}

TEST(poll_pri)
{
    struct ring r;
    int s[2];
    ring_init(&r, 8, 0);
    // A poll is told what the wake says, which for sockets is input of every kind; but one that waits for urgent data alone is not told.
    for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_STREAM) {
        pair_of(type, s);
        for (int i = 0; i < 2; i++) {
            sqe_t *q = ring_sqe(&r);
            q->opcode = IORING_OP_POLL_ADD;
            q->fd = s[1];
            q->poll32_events = POLLPRI | (i ? POLLRDBAND : 0);
            q->user_data = i + 1;
        }
        ring_submit(&r);
        OK(send(s[0], "x", 1, 0));
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.user_data, 2);
        CHECK_EQ(c.res, POLLPRI | POLLRDBAND);
        CHECK_EQ(ring_ready(&r), 0);
        OK(close(s[0]));
        c = ring_wait(&r);
        CHECK_EQ(c.user_data, 1);
        CHECK_EQ(c.res, POLLHUP | POLLRDHUP);
        OK(close(s[1]));
    }
    ring_exit(&r);
}
