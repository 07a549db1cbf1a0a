// run: 1
// run: 2
// run: 3
// run: 4
// run: 5
// run: 6
// Random use of a pair of AF_UNIX streams with urgent bytes (MSG_OOB): never blocking, with the mark, the bytes to read, poll and epoll
// asked in between.
#include "rand.h"
#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { STEPS = 8000 };
static int s[2] = {-1, -1}, ep[2] = {-1, -1};
static char data[70000];
static int sigurg;

static void on_urg(int sig) { sigurg += sig == SIGURG; }

static void make(void)
{
    for (int i = 0; i < 2; i++) {
        close(s[i]);
        close(ep[i]);
    }
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    for (int i = 0; i < 2; i++) {
        ep[i] = OK(epoll_create1(0));
        struct epoll_event e = {.events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | (odds(2) ? EPOLLET : 0)};
        OK(epoll_ctl(ep[i], EPOLL_CTL_ADD, s[i], &e));
        if (odds(2))
            OK(fcntl(s[i], F_SETOWN, getpid()));
    }
}

static void op_send(void)
{
    int i = (int)pick(2), flags = MSG_DONTWAIT | MSG_NOSIGNAL | (odds(2) ? MSG_OOB : 0);
    size_t n = odds(12) ? pick(60000) : pick(6);
    mt_pattern(data, n, rand_step);
    long r = send(s[i], odds(60) ? NULL : data, n, flags);
    SHOW(r, "send(%d, %zu, %x)", i, n, flags);
}

static void op_recv(void)
{
    int i = (int)pick(2), flags = MSG_DONTWAIT | (odds(3) ? MSG_OOB : 0) | (odds(4) ? MSG_PEEK : 0) | (odds(6) ? MSG_WAITALL : 0) | (odds(20) ? MSG_TRUNC : 0);
    size_t n = odds(8) ? pick(60000) : pick(6);
    struct iovec v[2] = {{data, n / 2}, {data + n / 2, n - n / 2}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    if (odds(60))
        v[1].iov_base = NULL;
    memset(data, 0, 8);
    long r = odds(4) ? read(s[i], data, n) : recvmsg(s[i], &m, flags);
    SHOW(r, "recv(%d, %zu, %x) %x flags %x", i, n, flags, r > 0 && r <= (long)n ? hash(data, r) : 0, m.msg_flags);
}

static void op_option(void)
{
    int i = (int)pick(2), on = (int)pick(2);
    switch (pick(12)) {
    case 0:
        on = odds(2) ? -1 : (int)pick(4);
        SHOW(setsockopt(s[i], SOL_SOCKET, SO_PEEK_OFF, &on, sizeof on), "peek_off(%d, %d)", i, on);
        break;
    case 1:
        if (!odds(3))
            break;
        on = (int)pick(3);
        SHOW(shutdown(s[i], on), "shutdown(%d, %d)", i, on);
        break;
    case 2:
        make();
        break;
    case 3:
        if (odds(2)) {
            close(s[i]);
            s[i] = -1;
            SHOW(0, "close(%d)", i);
        }
        break;
    default:
        SHOW(setsockopt(s[i], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on), "inline(%d, %d)", i, on);
    }
}

static void look(void)
{
    for (int i = 0; i < 2; i++) {
        int mark = -1, in = -1, out = -1;
        struct pollfd p = {s[i], POLLIN | POLLPRI | POLLOUT | POLLRDBAND | POLLRDHUP, 0};
        struct epoll_event e[2] = {{0}};
        long a = ioctl(s[i], SIOCATMARK, &mark), b = ioctl(s[i], SIOCINQ, &in);
        ioctl(s[i], SIOCOUTQ, &out);
        poll(&p, 1, 0);
        int n = epoll_wait(ep[i], e, 2, 0);
        printf("  %d: mark %d%s queued %d%s out %d poll %x epoll %d %x\n", i, mark, a < 0 ? "!" : "", in, b < 0 ? "!" : "", out, p.revents, n, n > 0 ? e[0].events : 0);
    }
    printf("  urgent %d\n", sigurg);
}

int main(int argc, char **argv)
{
    rand_start(argc, argv);
    signal(SIGURG, on_urg);
    make();
    for (rand_step = 0; rand_step < STEPS; rand_step++) {
        uint32_t what = pick(20);
        if (s[0] < 0 || s[1] < 0 ? odds(10) : odds(400))
            make();
        if (what < 9)
            op_send();
        else if (what < 18)
            op_recv();
        else
            op_option();
        look();
    }
    for (int i = 0; i < 2; i++) {
        close(s[i]);
        close(ep[i]);
    }
    return rand_end();
}
