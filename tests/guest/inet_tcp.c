// TCP over loopback: connecting, data, ends of connections, readiness, options.
#include "moat_test.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

static struct sockaddr_in local(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    OK(getsockname(fd, (void *)&a, &n));
    CHECK_EQ(n, sizeof a);
    CHECK_EQ(a.sin_family, AF_INET);
    return ntohs(a.sin_port);
}

static int listener(int backlog)
{
    int s = OK(socket(AF_INET, SOCK_STREAM, 0)), one = 1;
    OK(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    struct sockaddr_in a = local(0);
    OK(bind(s, (void *)&a, sizeof a));
    OK(listen(s, backlog));
    return s;
}

static void pair(int p[2])
{
    int l = listener(1);
    struct sockaddr_in a = local(port_of(l));
    p[0] = OK(socket(AF_INET, SOCK_STREAM, 0));
    OK(connect(p[0], (void *)&a, sizeof a));
    p[1] = OK(accept(l, NULL, NULL));
    OK(close(l));
}

static void drop(const int p[2])
{
    OK(close(p[0]));
    OK(close(p[1]));
}

static void nonblock(int fd) { OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)); }

static int ready(int fd, int events, int timeout)
{
    struct pollfd p = { fd, events, 0 };
    OK(poll(&p, 1, timeout));
    return p.revents;
}

static int option(int fd, int level, int name)
{
    int v = -1;
    socklen_t n = sizeof v;
    OK(getsockopt(fd, level, name, &v, &n));
    CHECK_EQ(n, sizeof v);
    return v;
}

TEST(create)
{
    CHECK_ERR(socket(AF_INET, 77, 0), EINVAL);
    CHECK_ERR(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_ERR(socket(AF_INET, SOCK_STREAM | 0x40000, 0), EINVAL);
    int s = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    CHECK_EQ(fcntl(s, F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_EQ(fcntl(s, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(option(s, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    CHECK_EQ(option(s, SOL_SOCKET, SO_DOMAIN), AF_INET);
    CHECK_EQ(option(s, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    CHECK_EQ(option(s, SOL_SOCKET, SO_ACCEPTCONN), 0);
    struct stat st;
    OK(fstat(s, &st));
    CHECK_EQ(st.st_mode & S_IFMT, S_IFSOCK);
    char b[1];
    CHECK_ERR(recv(s, b, 1, 0), ENOTCONN);
    CHECK_ERR(send(s, b, 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERR(lseek(s, 0, SEEK_SET), ESPIPE);
    CHECK_ERR(pread(s, b, 1, 0), ESPIPE);
    CHECK_ERR(shutdown(s, SHUT_RD), ENOTCONN);
    CHECK_ERR(shutdown(s, 3), EINVAL);
    CHECK_ERR(accept(s, NULL, NULL), EINVAL);
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    CHECK_ERR(getpeername(s, (void *)&a, &n), ENOTCONN);
    CHECK_EQ(ready(s, POLLIN | POLLOUT, 0), POLLIN | POLLOUT | POLLHUP);
    OK(close(s));
}

TEST(connect_accept)
{
    int l = listener(8);
    struct sockaddr_in a = local(port_of(l)), b;
    int c = OK(socket(AF_INET, SOCK_STREAM, 0));
    OK(connect(c, (void *)&a, sizeof a));
    socklen_t n = sizeof b;
    int s = OK(accept4(l, (void *)&b, &n, SOCK_NONBLOCK | SOCK_CLOEXEC));
    CHECK_EQ(n, sizeof b);
    CHECK_EQ(ntohs(b.sin_port), port_of(c));
    CHECK_EQ(fcntl(s, F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_EQ(fcntl(s, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), EISCONN);
    CHECK_ERR(accept4(l, NULL, NULL, 1), EINVAL);
    char buf[64];
    CHECK_ERR(recv(s, buf, sizeof buf, 0), EAGAIN);
    CHECK_EQ(write(c, "hello", 5), 5);
    CHECK_EQ(ready(s, POLLIN, 5000), POLLIN);
    int q = 0;
    OK(ioctl(s, FIONREAD, &q));
    CHECK_EQ(q, 5);
    CHECK_EQ(recv(s, buf, 2, MSG_PEEK), 2);
    CHECK_EQ(recv(s, buf, sizeof buf, 0), 5);
    CHECK_EQ(memcmp(buf, "hello", 5), 0);
    OK(close(c));
    OK(close(s));
    OK(close(l));
}

TEST(refused)
{
    int l = listener(1), port = port_of(l);
    OK(close(l));
    struct sockaddr_in a = local(port);
    int c = OK(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_ERR(connect(c, (void *)&a, sizeof a), ECONNREFUSED);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), ECONNREFUSED);
    OK(close(c));
    c = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    int r = connect(c, (void *)&a, sizeof a);
    CHECK(r == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED));
    if (errno == EINPROGRESS) {
        CHECK(ready(c, POLLOUT, 5000) & POLLERR);
        CHECK_EQ(option(c, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    }
    CHECK_EQ(option(c, SOL_SOCKET, SO_ERROR), 0);
    OK(close(c));
    CHECK_ERR(connect(0, (void *)&a, sizeof a), ENOTSOCK);
}

TEST(nonblocking_connect)
{
    int l = listener(8);
    struct sockaddr_in a = local(port_of(l));
    int c = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    int r = connect(c, (void *)&a, sizeof a);
    CHECK(r == 0 || errno == EINPROGRESS);
    CHECK_EQ(ready(c, POLLOUT, 5000), POLLOUT);
    CHECK_EQ(option(c, SOL_SOCKET, SO_ERROR), 0);
    if (r < 0)
        OK(connect(c, (void *)&a, sizeof a));
    CHECK_ERR(connect(c, (void *)&a, sizeof a), EISCONN);
    int s = OK(accept(l, NULL, NULL));
    OK(close(s));
    OK(close(c));
    OK(close(l));
}

TEST(addresses)
{
    int s = OK(socket(AF_INET, SOCK_STREAM, 0)), l = listener(1);
    struct sockaddr_in a = local(port_of(l));
    CHECK_ERR(bind(s, (void *)&a, sizeof a), EADDRINUSE);
    CHECK_ERR(bind(s, (void *)&a, 4), EINVAL);
    CHECK_ERR(bind(s, (void *)&a, 200), EINVAL);
    CHECK_ERR(bind(s, (void *)8, sizeof a), EFAULT);
    a.sin_family = AF_INET6;
    CHECK_ERR(bind(s, (void *)&a, sizeof a), EAFNOSUPPORT);
    a = local(0);
    a.sin_addr.s_addr = htonl(0x01020304);
    CHECK_ERR(bind(s, (void *)&a, sizeof a), EADDRNOTAVAIL);
    a = local(0);
    OK(bind(s, (void *)&a, sizeof a));
    CHECK_ERR(bind(s, (void *)&a, sizeof a), EINVAL);
    char small[4];
    socklen_t n = sizeof small;
    OK(getsockname(s, (void *)small, &n));
    CHECK_EQ(n, sizeof a);
    n = -1;
    CHECK_ERR(getsockname(s, (void *)small, &n), EINVAL);
    CHECK_ERR(getsockname(s, (void *)small, (void *)8), EFAULT);
    OK(close(s));
    OK(close(l));
}

TEST(half_close)
{
    int p[2];
    char b[8];
    pair(p);
    CHECK_EQ(send(p[0], "end", 3, 0), 3);
    OK(shutdown(p[0], SHUT_WR));
    CHECK_ERR(send(p[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(recv(p[1], b, 8, MSG_WAITALL), 3);
    CHECK_EQ(recv(p[1], b, 8, 0), 0);
    CHECK_EQ(ready(p[1], POLLIN | POLLRDHUP | POLLOUT, 0), POLLIN | POLLRDHUP | POLLOUT);
    CHECK_EQ(send(p[1], "back", 4, 0), 4);
    CHECK_EQ(recv(p[0], b, 8, 0), 4);
    OK(shutdown(p[1], SHUT_WR));
    CHECK_EQ(recv(p[0], b, 8, 0), 0);
    CHECK_EQ(ready(p[0], POLLIN, 0) & POLLHUP, POLLHUP);
    drop(p);
}

TEST(reset)
{
    int p[2];
    char b[8];
    struct linger hard = { 1, 0 };
    pair(p);
    OK(setsockopt(p[0], SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
    OK(close(p[0]));
    CHECK_EQ(ready(p[1], POLLIN, 5000), POLLIN | POLLERR | POLLHUP);
    CHECK_ERR(recv(p[1], b, 8, 0), ECONNRESET);
    CHECK_EQ(recv(p[1], b, 8, 0), 0);
    CHECK_ERR(send(p[1], b, 1, MSG_NOSIGNAL), EPIPE);
    OK(close(p[1]));
}

static atomic_int pipes;

static void on_pipe(int n MT_UNUSED) { atomic_fetch_add(&pipes, 1); }

TEST(sigpipe)
{
    int p[2];
    pair(p);
    signal(SIGPIPE, on_pipe);
    pipes = 0;
    OK(shutdown(p[0], SHUT_WR));
    CHECK_ERR(send(p[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(pipes, 0);
    CHECK_ERR(send(p[0], "x", 1, 0), EPIPE);
    CHECK_EQ(pipes, 1);
    CHECK_ERR(write(p[0], "x", 1), EPIPE);
    CHECK_EQ(pipes, 2);
    drop(p);
}

static void *send_later(void *arg)
{
    int fd = *(int *)arg;
    usleep(30000);
    CHECK_EQ(send(fd, "ab", 2, 0), 2);
    usleep(30000);
    CHECK_EQ(send(fd, "cdef", 4, 0), 4);
    return NULL;
}

TEST(blocking_receive)
{
    int p[2];
    char b[16];
    pthread_t t;
    pair(p);
    pthread_create(&t, NULL, send_later, &p[0]);
    CHECK_EQ(recv(p[1], b, 16, 0), 2);
    pthread_join(t, NULL);
    CHECK_EQ(recv(p[1], b, 16, 0), 4);
    pthread_create(&t, NULL, send_later, &p[0]);
    CHECK_EQ(recv(p[1], b, 6, MSG_WAITALL), 6);
    CHECK_EQ(memcmp(b, "abcdef", 6), 0);
    pthread_join(t, NULL);
    drop(p);
}

static void *connect_later(void *arg)
{
    struct sockaddr_in a = local(*(int *)arg);
    usleep(30000);
    int c = OK(socket(AF_INET, SOCK_STREAM, 0));
    OK(connect(c, (void *)&a, sizeof a));
    OK(close(c));
    return NULL;
}

TEST(blocking_accept)
{
    int l = listener(4), port = port_of(l);
    pthread_t t;
    pthread_create(&t, NULL, connect_later, &port);
    int s = OK(accept(l, NULL, NULL));
    pthread_join(t, NULL);
    OK(close(s));
    nonblock(l);
    CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
    OK(close(l));
}

TEST(timeouts)
{
    int p[2];
    char b[8];
    struct timeval t = { 0, 50000 }, got;
    struct timespec t0, t1;
    socklen_t n = sizeof got;
    pair(p);
    OK(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    OK(getsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &got, &n));
    CHECK_EQ(n, sizeof got);
    CHECK_EQ(got.tv_sec, 0);
    CHECK(got.tv_usec >= 50000 && got.tv_usec < 60000);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    CHECK_ERR(recv(p[0], b, 8, 0), EAGAIN);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    CHECK((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000 >= 45);
    CHECK_ERR(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, 4), EINVAL);
    t.tv_usec = 2000000;
    CHECK_ERR(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), EDOM);
    drop(p);
}

static char big[1 << 20];

static void *drain(void *arg)
{
    int fd = *(int *)arg;
    long all = 0;
    static char b[65536];
    for (long n; (n = recv(fd, b, sizeof b, 0)) > 0;) {
        for (long i = 0; i < n; i++)
            if (b[i] != (char)((all + i) * 7))
                return (void *)-1;
        all += n;
    }
    return (void *)all;
}

TEST(bulk)
{
    int p[2];
    void *all;
    pthread_t t;
    pair(p);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7);
    pthread_create(&t, NULL, drain, &p[1]);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(send(p[0], big, sizeof big, 0), sizeof big);
    OK(shutdown(p[0], SHUT_WR));
    pthread_join(t, &all);
    CHECK_EQ((long)all, 8L * sizeof big);
    drop(p);
}

TEST(full_and_writable)
{
    int p[2];
    long n, sent = 0, got = 0;
    pair(p);
    nonblock(p[0]);
    nonblock(p[1]);
    while ((n = send(p[0], big, sizeof big, 0)) > 0)
        sent += n;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(ready(p[0], POLLOUT, 0), 0);
    int e = OK(epoll_create1(0));
    struct epoll_event ev = { .events = EPOLLOUT | EPOLLET, .data.u32 = 5 };
    OK(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev));
    CHECK_EQ(epoll_wait(e, &ev, 1, 0), 0);
    while (got < sent) {
        OK(ready(p[1], POLLIN, 5000));
        if ((n = recv(p[1], big, sizeof big, 0)) > 0)
            got += n;
    }
    CHECK_EQ(epoll_wait(e, &ev, 1, 5000), 1);
    CHECK_EQ(ev.events, EPOLLOUT);
    CHECK_EQ(ev.data.u32, 5);
    OK(close(e));
    drop(p);
}

TEST(epoll_level_edge_oneshot)
{
    int p[2], e = OK(epoll_create1(0));
    char b[8];
    struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 0x1234567890 }, got[4];
    pair(p);
    OK(epoll_ctl(e, EPOLL_CTL_ADD, p[1], &ev));
    CHECK_ERR(epoll_ctl(e, EPOLL_CTL_ADD, p[1], &ev), EEXIST);
    CHECK_EQ(epoll_wait(e, got, 4, 0), 0);
    CHECK_EQ(write(p[0], "abcd", 4), 4);
    CHECK_EQ(epoll_wait(e, got, 4, 0), 1); // loopback delivers at once
    CHECK_EQ(got[0].events, EPOLLIN);
    CHECK_EQ(got[0].data.u64, 0x1234567890);
    CHECK_EQ(epoll_wait(e, got, 4, 0), 1);
    CHECK_EQ(read(p[1], b, 8), 4);
    CHECK_EQ(epoll_wait(e, got, 4, 0), 0);

    ev.events = EPOLLIN | EPOLLET;
    OK(epoll_ctl(e, EPOLL_CTL_MOD, p[1], &ev));
    CHECK_EQ(write(p[0], "abcd", 4), 4);
    CHECK_EQ(epoll_wait(e, got, 4, 0), 1);
    CHECK_EQ(epoll_wait(e, got, 4, 0), 0);
    CHECK_EQ(write(p[0], "abcd", 4), 4);
    CHECK_EQ(epoll_wait(e, got, 4, 0), 1);
    CHECK_EQ(read(p[1], b, 8), 8);

    ev.events = EPOLLIN | EPOLLONESHOT;
    OK(epoll_ctl(e, EPOLL_CTL_MOD, p[1], &ev));
    CHECK_EQ(write(p[0], "abcd", 4), 4);
    CHECK_EQ(epoll_wait(e, got, 4, 0), 1);
    CHECK_EQ(epoll_wait(e, got, 4, 0), 0);
    OK(epoll_ctl(e, EPOLL_CTL_MOD, p[1], &ev));
    CHECK_EQ(epoll_wait(e, got, 4, 0), 1);

    int d = OK(dup(p[1]));
    ev.events = EPOLLIN;
    ev.data.u64 = 7;
    OK(epoll_ctl(e, EPOLL_CTL_ADD, d, &ev));
    CHECK_EQ(epoll_wait(e, got, 4, 0), 1);
    CHECK_EQ(got[0].data.u64, 7);
    OK(close(p[1])); // the description lives on
    CHECK_EQ(epoll_wait(e, got, 4, 0), 1);
    OK(epoll_ctl(e, EPOLL_CTL_DEL, d, NULL));
    CHECK_EQ(epoll_wait(e, got, 4, 0), 0);
    OK(close(d));
    OK(close(p[0]));
    OK(close(e));
}

TEST(epoll_nested_and_mixed)
{
    int p[2], in = OK(epoll_create1(0)), out = OK(epoll_create1(0)), pi[2];
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 1 }, got[4];
    char b[8];
    pair(p);
    OK(pipe(pi));
    OK(epoll_ctl(out, EPOLL_CTL_ADD, in, &ev));
    ev.data.u32 = 2;
    OK(epoll_ctl(in, EPOLL_CTL_ADD, p[1], &ev));
    ev.data.u32 = 3;
    OK(epoll_ctl(in, EPOLL_CTL_ADD, pi[0], &ev));
    CHECK_EQ(epoll_wait(out, got, 4, 0), 0);
    CHECK_EQ(ready(out, POLLIN, 0), 0);
    CHECK_EQ(write(p[0], "x", 1), 1);
    CHECK_EQ(ready(in, POLLIN, 0), POLLIN);
    CHECK_EQ(ready(out, POLLIN, 0), POLLIN);
    CHECK_EQ(epoll_wait(out, got, 4, 0), 1);
    CHECK_EQ(got[0].data.u32, 1);
    CHECK_EQ(epoll_wait(in, got, 4, 0), 1);
    CHECK_EQ(got[0].data.u32, 2);
    CHECK_EQ(write(pi[1], "y", 1), 1);
    CHECK_EQ(epoll_wait(in, got, 4, 0), 2);
    CHECK_EQ(epoll_wait(in, got, 1, 0), 1);
    uint32_t first = got[0].data.u32;
    CHECK_EQ(epoll_wait(in, got, 1, 0), 1);
    CHECK(got[0].data.u32 != first);
    CHECK_EQ(read(p[1], b, 8), 1);
    CHECK_EQ(read(pi[0], b, 8), 1);
    CHECK_EQ(epoll_wait(in, got, 4, 0), 0);
    CHECK_EQ(epoll_wait(out, got, 4, 0), 0);
    drop(p);
    drop(pi);
    OK(close(in));
    OK(close(out));
}

static void *write_later(void *arg)
{
    usleep(30000);
    CHECK_EQ(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

TEST(waiting_in_epoll)
{
    int p[2], pi[2], e = OK(epoll_create1(0));
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 1 }, got;
    pthread_t t;
    char b[8];
    pair(p);
    OK(pipe(pi));
    OK(epoll_ctl(e, EPOLL_CTL_ADD, p[1], &ev));
    ev.data.u32 = 2;
    OK(epoll_ctl(e, EPOLL_CTL_ADD, pi[0], &ev));
    for (int i = 0; i < 4; i++) {
        int *to = i % 2 ? &pi[1] : &p[0];
        pthread_create(&t, NULL, write_later, to);
        CHECK_EQ(epoll_wait(e, &got, 1, 5000), 1);
        CHECK_EQ(got.data.u32, i % 2 ? 2u : 1u);
        pthread_join(t, NULL);
        CHECK_EQ(read(i % 2 ? pi[0] : p[1], b, 8), 1);
        pthread_create(&t, NULL, write_later, to);
        struct pollfd fds[2] = { { p[1], POLLIN, 0 }, { pi[0], POLLIN, 0 } };
        CHECK_EQ(poll(fds, 2, 5000), 1);
        CHECK_EQ(fds[i % 2].revents, POLLIN);
        pthread_join(t, NULL);
        CHECK_EQ(read(i % 2 ? pi[0] : p[1], b, 8), 1);
    }
    CHECK_EQ(epoll_wait(e, &got, 1, 20), 0);
    drop(p);
    drop(pi);
    OK(close(e));
}

static void on_alarm(int n MT_UNUSED) {}

TEST(signals_interrupt)
{
    int p[2], e = OK(epoll_create1(0));
    char b[8];
    struct epoll_event ev = { .events = EPOLLIN };
    struct sigaction sa = { .sa_handler = on_alarm };
    struct timeval none = { 1, 0 };
    pair(p);
    OK(epoll_ctl(e, EPOLL_CTL_ADD, p[1], &ev));
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = { .it_value = { 0, 30000 } };
    setitimer(ITIMER_REAL, &it, NULL);
    CHECK_ERR(recv(p[1], b, 8, 0), EINTR);
    setitimer(ITIMER_REAL, &it, NULL);
    CHECK_ERR(epoll_wait(e, &ev, 1, 5000), EINTR);
    sa.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &sa, NULL);
    OK(setsockopt(p[1], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none));
    setitimer(ITIMER_REAL, &it, NULL);
    CHECK_ERR(recv(p[1], b, 8, 0), EINTR); // a time-out forbids restarting
    drop(p);
    OK(close(e));
}

TEST(vectors)
{
    int p[2];
    char a[4], b[4], c[8];
    struct iovec out[3] = { { "ab", 2 }, { NULL, 0 }, { "cdefgh", 6 } }, in[3] = { { a, 3 }, { b, 4 }, { c, 8 } };
    pair(p);
    CHECK_EQ(writev(p[0], out, 3), 8);
    CHECK_EQ(readv(p[1], in, 3), 8);
    CHECK_EQ(memcmp(a, "abc", 3), 0);
    CHECK_EQ(memcmp(b, "defg", 4), 0);
    CHECK_EQ(c[0], 'h');
    struct msghdr m = { .msg_iov = out, .msg_iovlen = 3 };
    CHECK_EQ(sendmsg(p[0], &m, 0), 8);
    m.msg_iov = in;
    m.msg_flags = -1;
    CHECK_EQ(recvmsg(p[1], &m, 0), 8);
    CHECK_EQ(m.msg_flags, 0);
    out[0].iov_base = (void *)8;
    m.msg_iov = out;
    CHECK_ERR(sendmsg(p[0], &m, 0), EFAULT);
    m.msg_iovlen = 1025;
    CHECK_ERR(sendmsg(p[0], &m, 0), EMSGSIZE);
    drop(p);
}

#ifndef OWN_LOOPBACK // which has no urgent data
TEST(urgent)
{
    int p[2], at = -1;
    char b[8];
    pair(p);
    CHECK_EQ(send(p[0], "ab!", 3, MSG_OOB), 3);
    CHECK_EQ(ready(p[1], POLLPRI | POLLIN, 5000), POLLPRI | POLLIN);
    CHECK_EQ(recv(p[1], b, 8, 0), 2);
    OK(ioctl(p[1], 0x8905 /* SIOCATMARK */, &at));
    CHECK_EQ(at, 1);
    CHECK_EQ(recv(p[1], b, 8, MSG_OOB), 1);
    CHECK_EQ(b[0], '!');
    CHECK_ERR(recv(p[1], b, 8, MSG_OOB), EINVAL);
    drop(p);
}
#endif

TEST(options)
{
    int s = OK(socket(AF_INET, SOCK_STREAM, 0)), v = 1;
    char text[16] = { 0 };
    socklen_t n;
    static const int on_off[][2] = { { SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_KEEPALIVE }, { SOL_SOCKET, SO_REUSEPORT },
        { SOL_SOCKET, SO_OOBINLINE }, { IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_TCP, TCP_CORK }, { IPPROTO_IP, IP_RECVTTL } };
    for (size_t i = 0; i < countof(on_off); i++) {
        CHECK_EQ(option(s, on_off[i][0], on_off[i][1]), 0);
        OK(setsockopt(s, on_off[i][0], on_off[i][1], &v, sizeof v));
        CHECK(option(s, on_off[i][0], on_off[i][1]) != 0);
    }
    v = 100000;
    OK(setsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, sizeof v));
    CHECK_EQ(option(s, SOL_SOCKET, SO_SNDBUF), 200000);
    v = 77;
    OK(setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, &v, sizeof v));
    CHECK_EQ(option(s, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    CHECK_EQ(option(s, SOL_SOCKET, SO_RCVLOWAT), 1);
    n = sizeof text;
    OK(getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, text, &n));
    CHECK(text[0] != 0);
    struct tcp_info info;
    n = sizeof info;
    OK(getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &n));
    CHECK_EQ(info.tcpi_state, TCP_CLOSE);
    n = 2;
    OK(getsockopt(s, SOL_SOCKET, SO_TYPE, text, &n));
    CHECK_EQ(n, 2);
    CHECK_ERR(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &v, 2), EINVAL);
    CHECK_ERR(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, (void *)8, 4), EFAULT);
    CHECK_ERR(setsockopt(s, SOL_SOCKET, 9999, &v, sizeof v), ENOPROTOOPT);
    CHECK_ERR(setsockopt(s, 9999, 1, &v, sizeof v), ENOPROTOOPT);
    n = sizeof v;
    CHECK_ERR(getsockopt(s, SOL_SOCKET, 9999, &v, &n), ENOPROTOOPT);
    CHECK_ERR(getsockopt(s, IPPROTO_TCP, 9999, &v, &n), ENOPROTOOPT);
    n = -1;
    CHECK_ERR(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &n), EINVAL);
    OK(close(s));
}

TEST(send_file)
{
    int p[2], f = OK(open("data", O_RDWR | O_CREAT, 0600)), pi[2];
    static char b[70000];
    pair(p);
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (char)(i * 13);
    CHECK_EQ(write(f, b, sizeof b), sizeof b);
    off_t at = 100;
    CHECK_EQ(sendfile(p[0], f, &at, 50000), 50000);
    CHECK_EQ(at, 50100);
    memset(b, 0, sizeof b);
    CHECK_EQ(recv(p[1], b, 50000, MSG_WAITALL), 50000);
    for (int i = 0; i < 50000; i++)
        if (b[i] != (char)((i + 100) * 13))
            FAIL("wrong byte %d", i);
    OK(pipe(pi));
    CHECK_EQ(write(p[0], "spliced", 7), 7);
    CHECK_EQ(splice(p[1], NULL, pi[1], NULL, 100, 0), 7);
    CHECK_EQ(splice(pi[0], NULL, p[1], NULL, 100, 0), 7);
    CHECK_EQ(recv(p[0], b, 100, 0), 7);
    CHECK_EQ(memcmp(b, "spliced", 7), 0);
    drop(pi);
    OK(close(f));
    // A file of the system, which may be sent by the host itself.
    f = OK(open("/etc/passwd", O_RDONLY));
    struct stat st;
    OK(fstat(f, &st));
    CHECK_EQ(sendfile(p[0], f, NULL, st.st_size + 100), st.st_size);
    CHECK_EQ(lseek(f, 0, SEEK_CUR), st.st_size);
    CHECK_EQ(recv(p[1], b, st.st_size, MSG_WAITALL), st.st_size);
    char *c = malloc(st.st_size);
    CHECK_EQ(pread(f, c, st.st_size, 0), st.st_size);
    CHECK_EQ(memcmp(b, c, st.st_size), 0);
    free(c);
    OK(close(f));
    drop(p);
}

static void *accept_all(void *arg)
{
    int l = *(int *)arg, n = 0;
    for (;;) {
        int s = accept(l, NULL, NULL);
        char b[1];
        if (s < 0)
            return (void *)-1L;
        long r = recv(s, b, 1, 0);
        close(s);
        if (r == 0)
            return (void *)(long)n;
        n++;
    }
}

TEST(many_connections)
{
    int l = listener(64), port = port_of(l);
    pthread_t t[3];
    long all = 0;
    struct sockaddr_in a = local(port);
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, accept_all, &l);
    for (int i = 0; i < 203; i++) {
        int c = OK(socket(AF_INET, SOCK_STREAM, 0));
        OK(connect(c, (void *)&a, sizeof a));
        if (i < 200)
            CHECK_EQ(send(c, "x", 1, 0), 1);
        OK(close(c));
    }
    for (int i = 0; i < 3; i++) {
        void *n;
        pthread_join(t[i], &n);
        CHECK((long)n >= 0);
        all += (long)n;
    }
    CHECK_EQ(all, 200);
    OK(close(l));
}

TEST(listed_in_proc)
{
    int l = listener(3), found = 0;
    struct stat st;
    char line[512];
    OK(fstat(l, &st));
    FILE *f = fopen("/proc/net/tcp", "r");
    CHECK(f != NULL);
    CHECK(fgets(line, sizeof line, f) != NULL);
    CHECK(strstr(line, "local_address rem_address   st tx_queue") != NULL);
    while (fgets(line, sizeof line, f)) {
        unsigned address, port, state;
        unsigned long inode;
        if (sscanf(line, " %*d: %x:%x %*x:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", &address, &port, &state, &inode) == 4 && inode == st.st_ino) {
            found++;
            CHECK_EQ(address, htonl(INADDR_LOOPBACK));
            CHECK_EQ((int)port, port_of(l));
            CHECK_EQ(state, TCP_LISTEN);
        }
    }
    fclose(f);
    CHECK_EQ(found, 1);
    f = fopen("/proc/self/net/dev", "r");
    CHECK(f != NULL);
    found = 0;
    while (fgets(line, sizeof line, f))
        found += strstr(line, "lo:") != NULL;
    fclose(f);
    CHECK_EQ(found, 1);
    OK(close(l));
}
