// AF_UNIX sockets: streams, datagrams, packets; names; what is passed besides bytes; readiness; how the end is told.
#include "sockets.h"

TEST(arguments)
{
    int s[2];
    CHECK_ERR(socket(AF_UNIX, 99, 0), EINVAL);
    CHECK_ERR(socket(AF_UNIX, SOCK_STREAM, 6), EPROTONOSUPPORT);
    CHECK_ERR(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
    CHECK_ERR(socket(AF_UNIX, SOCK_STREAM | 0x10000, 0), EINVAL);
    CHECK_ERR(socket(4711, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERR(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8), EFAULT);
    s[0] = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, AF_UNIX));
    CHECK_EQ(fcntl(s[0], F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_EQ(fcntl(s[0], F_GETFD), FD_CLOEXEC);
    CHECK_ERR(bind(1000, NULL, 0), EBADF);
    s[1] = OK(eventfd(0, 0));
    CHECK_ERR(bind(s[1], NULL, 0), ENOTSOCK);
    CHECK_ERR(send(s[1], "x", 1, 0), ENOTSOCK);
    CHECK_ERR(listen(s[1], 1), ENOTSOCK);
    CHECK_ERR(shutdown(s[1], 7), ENOTSOCK);
    CHECK_ERR(shutdown(s[0], 7), EINVAL);
    struct stat st;
    OK(fstat(s[0], &st));
    CHECK_EQ(st.st_mode, S_IFSOCK | 0777);
    CHECK_ERR(lseek(s[0], 0, SEEK_CUR), ESPIPE);
    char link[64], path[64], want[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", s[0]);
    ssize_t n = OK(readlink(path, link, sizeof link - 1));
    link[n] = 0;
    snprintf(want, sizeof want, "socket:[%lu]", (unsigned long)st.st_ino);
    CHECK_EQ(strcmp(link, want), 0);
    CHECK_ERR(open(path, O_RDWR), ENXIO);
    drop(s);
}

TEST(stream)
{
    int s[2];
    char b[64];
    pair_of(SOCK_STREAM, s);
    CHECK_EQ(write(s[0], "hello", 5), 5);
    CHECK_EQ(send(s[0], "world", 5, 0), 5);
    int n = -1;
    OK(ioctl(s[1], FIONREAD, &n));
    CHECK_EQ(n, 10);
    OK(ioctl(s[0], SIOCOUTQ, &n));
    CHECK_EQ(n, 1536);
    CHECK_EQ(recv(s[1], b, 3, MSG_PEEK), 3);
    CHECK_EQ(recv(s[1], b, 7, 0), 7);
    CHECK_EQ(memcmp(b, "hellowo", 7), 0);
    CHECK_EQ(read(s[1], b, sizeof b), 3);
    OK(ioctl(s[0], SIOCOUTQ, &n));
    CHECK_EQ(n, 0);
    CHECK_ERR(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(read(s[1], b, 0), 0);
    CHECK_EQ(send(s[1], b, 0, 0), 0);
    struct iovec v[3] = { { "ab", 2 }, { "", 0 }, { "cdef", 4 } };
    CHECK_EQ(writev(s[1], v, 3), 6);
    CHECK_EQ(recv(s[0], b, 64, MSG_TRUNC), 6);
    CHECK_ERR(sendto(s[0], "x", 1, 0, (struct sockaddr *)b, 4), EISCONN);
    drop(s);
}

// The end of a stream needs no memory to be told.
TEST(end_with_bad_buffer)
{
    int s[2];
    char b[4];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(write(s[1], "abc", 3), 3);
    CHECK_ERR(recv(s[0], (void *)1, 4, 0), EFAULT);
    CHECK_EQ(close(s[1]), 0);
    CHECK_ERR(recv(s[0], (void *)1, 4, 0), EFAULT);
    CHECK_EQ(read(s[0], b, 4), 3);
    CHECK_EQ(recv(s[0], (void *)1, 4, 0), 0);
    CHECK_EQ(close(s[0]), 0);
}

TEST(dgram_borders)
{
    int s[2];
    char b[64];
    pair_of(SOCK_DGRAM, s);
    CHECK_EQ(send(s[0], "hello", 5, 0), 5);
    CHECK_EQ(send(s[0], "", 0, 0), 0);
    CHECK_EQ(send(s[0], "world!", 6, 0), 6);
    int n = -1;
    OK(ioctl(s[1], FIONREAD, &n));
    CHECK_EQ(n, 5);
    CHECK_EQ(recv(s[1], b, 3, MSG_PEEK | MSG_TRUNC), 5);
    CHECK_EQ(recv(s[1], b, 3, 0), 3);
    CHECK_EQ(recv(s[1], b, 3, 0), 0);
    struct iovec v = { b, 2 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_flags = -1 };
    CHECK_EQ(recvmsg(s[1], &m, 0), 2);
    CHECK_EQ(m.msg_flags, MSG_TRUNC);
    CHECK_EQ(m.msg_namelen, 0);
    CHECK_ERR(recv(s[1], b, 3, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(send(s[0], big, 212992, 0), EMSGSIZE);
    CHECK_EQ(send(s[0], big, 212960, 0), 212960);
    CHECK_EQ(recv(s[1], big, sizeof big, 0), 212960);
    CHECK_EQ(write(s[0], b, 0), 0);
    CHECK_EQ(recv(s[1], b, 3, MSG_DONTWAIT), 0);
    drop(s);
}

TEST(seqpacket)
{
    int s[2];
    char b[64];
    pair_of(SOCK_SEQPACKET, s);
    CHECK_EQ(send(s[0], "hello", 5, 0), 5);
    CHECK_EQ(send(s[0], "world!", 6, MSG_EOR), 6);
    struct iovec v = { b, 64 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
    CHECK_EQ(recvmsg(s[1], &m, 0), 5);
    CHECK_EQ(m.msg_flags, 0);
    OK(close(s[0]));
    CHECK_EQ(recv(s[1], b, 64, 0), 6);
    CHECK_EQ(recv(s[1], b, 64, MSG_DONTWAIT), 0);
    CHECK_ERR(send(s[1], b, 1, 0), EPIPE); // without a signal
    OK(close(s[1]));
}

TEST(fill)
{
    int s[2];
    for (int t = 0; t < 3; t++) {
        int type = (int[]){ SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET }[t];
        long n = 0, w;
        int q;
        pair_of(type, s);
        CHECK_EQ(ready(s[0], ANY), WRITABLE);
        while ((w = send(s[0], big, 1000, MSG_DONTWAIT)) > 0)
            n += w;
        CHECK_EQ(errno, EAGAIN);
        CHECK_EQ(n, 93000);
        OK(ioctl(s[0], SIOCOUTQ, &q));
        CHECK_EQ(q, 93 * 2304);
        CHECK_EQ(ready(s[0], ANY), 0);
        // Writable again once three quarters are read.
        long left = n;
        while (ready(s[0], POLLOUT) == 0)
            left -= OK(read(s[1], big, 1000));
        CHECK_EQ(left, 23000);
        drop(s);
    }
}

TEST(buffer_sizes)
{
    int s[2], v;
    socklen_t l = sizeof v;
    pair_of(SOCK_STREAM, s);
    OK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &l));
    CHECK_EQ(v, 212992);
    v = 1;
    OK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof v));
    OK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &l));
    CHECK_EQ(v, 4608);
    v = 1;
    OK(setsockopt(s[0], SOL_SOCKET, SO_RCVBUF, &v, sizeof v));
    OK(getsockopt(s[0], SOL_SOCKET, SO_RCVBUF, &v, &l));
    CHECK_EQ(v, 2304);
    v = 50000;
    OK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof v));
    OK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &l));
    CHECK_EQ(v, 100000);
    CHECK_EQ(send(s[0], big, sizeof big, MSG_DONTWAIT), 3 * 36544);
    drop(s);
    for (int t = 0; t < 2; t++) {
        int size[] = { 0, 1, 192, 193, 704, 705, 1728, 1729, 3776, 3777, 5000, 16000, 20000, 32768, 40000, 100000 };
        for (int i = 0; i < (int)countof(size); i++) {
            int want[2][16] = {
                { 0, 768, 768, 1280, 1280, 2304, 2304, 4352, 4352, 4864, 6400, 16640, 20736, 33536, 41472, 103168 },
                { 768, 768, 768, 1280, 1280, 2304, 2304, 4352, 4352, 8448, 8448, 16640, 20736, 37120, 41216, 102656 }
            };
            pair_of(t ? SOCK_DGRAM : SOCK_STREAM, s);
            CHECK_EQ(send(s[0], big, size[i], 0), size[i]);
            OK(ioctl(s[0], SIOCOUTQ, &v));
            CHECK_EQ(v, want[t][i]);
            drop(s);
        }
    }
}

TEST(options)
{
    int s[2], v;
    socklen_t l = sizeof v;
    pair_of(SOCK_STREAM, s);
#define GET(o) ({ l = sizeof v; v = -99; getsockopt(s[0], SOL_SOCKET, o, &v, &l) ? -errno : v; })
    CHECK_EQ(GET(SO_TYPE), SOCK_STREAM);
    CHECK_EQ(GET(SO_DOMAIN), AF_UNIX);
    CHECK_EQ(GET(SO_PROTOCOL), 0);
    CHECK_EQ(GET(SO_ERROR), 0);
    CHECK_EQ(GET(SO_ACCEPTCONN), 0);
    CHECK_EQ(GET(SO_REUSEADDR), 0);
    CHECK_EQ(GET(SO_PASSCRED), 0);
    CHECK_EQ(GET(SO_PEEK_OFF), -1);
    CHECK_EQ(GET(SO_RCVLOWAT), 1);
    CHECK_EQ(GET(SO_SNDLOWAT), 1);
    CHECK_EQ(GET(4711), -ENOPROTOOPT);
    v = 7;
    OK(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &v, sizeof v));
    CHECK_EQ(GET(SO_REUSEADDR), 1);
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &v, 3), EINVAL);
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, sizeof v), ENOPROTOOPT);
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_REUSEPORT, &v, sizeof v), EOPNOTSUPP);
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &v, -1), EINVAL);
    CHECK_ERR(setsockopt(s[0], 6, 1, &v, sizeof v), EOPNOTSUPP);
    CHECK_ERR(getsockopt(s[0], 6, 1, &v, &l), EOPNOTSUPP);
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, NULL, sizeof v), EFAULT);
    l = -1;
    CHECK_ERR(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &l), EINVAL);
    l = 2;
    v = -1;
    OK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &l));
    CHECK_EQ(l, 2);
    CHECK_EQ(v, (int)0xffff0001);
    struct linger g = { 5, 3 };
    OK(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &g, sizeof g));
    l = sizeof g;
    OK(getsockopt(s[0], SOL_SOCKET, SO_LINGER, &g, &l));
    CHECK_EQ(g.l_onoff, 1);
    CHECK_EQ(g.l_linger, 3);
    struct timeval t = { 1, 250000 };
    OK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    memset(&t, 0, sizeof t);
    l = sizeof t;
    OK(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, &l));
    CHECK_EQ(t.tv_sec, 1);
    t.tv_usec = 1000000;
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), EDOM);
    t = (struct timeval){ 0, 20000 };
    OK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    CHECK_ERR(recv(s[0], &v, 4, 0), EAGAIN);
    CHECK_ERR(read(s[0], &v, 4), EAGAIN);
    OK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t));
    long n = 0, w;
    while ((w = send(s[0], big, 100000, 0)) > 0)
        n += w;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(n, 236544);
    drop(s);
}

TEST(connection)
{
    struct sockaddr_un a, b;
    socklen_t n = path_name(&a, "sock"), l;
    int v;
    int listener = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_EQ(ready(listener, ANY), WRITABLE | POLLHUP);
    CHECK_ERR(listen(listener, 1), EINVAL);
    CHECK_ERR(accept(listener, NULL, NULL), EINVAL);
    CHECK_ERR(bind(listener, (struct sockaddr *)&a, 1), EINVAL);
    CHECK_ERR(bind(listener, (struct sockaddr *)&a, 111), EINVAL);
    CHECK_ERR(bind(listener, (struct sockaddr *)8, n), EFAULT);
    OK(bind(listener, (struct sockaddr *)&a, n));
    CHECK_ERR(bind(listener, (struct sockaddr *)&a, n), EADDRINUSE);
    n = path_name(&a, "another");
    CHECK_ERR(bind(listener, (struct sockaddr *)&a, n), EINVAL);
    CHECK_ERR(access("another", F_OK), ENOENT);
    n = path_name(&a, "sock");
    int other = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERR(bind(other, (struct sockaddr *)&a, n), EADDRINUSE);
    CHECK_ERR(connect(other, (struct sockaddr *)&a, n), ECONNREFUSED);
    CHECK_ERR(read(other, big, 1), EINVAL);
    CHECK_ERR(send(other, big, 1, 0), ENOTCONN);
    CHECK_ERR(sendto(other, big, 1, 0, (struct sockaddr *)&a, n), EOPNOTSUPP);
    OK(listen(listener, 1));
    CHECK_EQ(ready(listener, ANY), 0);
    struct stat st;
    OK(stat("sock", &st));
    CHECK_EQ(st.st_mode & S_IFMT, S_IFSOCK);
    CHECK_ERR(open("sock", O_RDONLY), ENXIO);
    OK(connect(other, (struct sockaddr *)&a, n));
    CHECK_ERR(connect(other, (struct sockaddr *)&a, n), EISCONN);
    CHECK_EQ(ready(listener, ANY), READABLE);
    CHECK_EQ(write(other, "early", 5), 5);
    CHECK_ERR(connect(listener, (struct sockaddr *)&a, n), EINVAL);
    memset(&b, 0xff, sizeof b);
    l = sizeof b;
    int c = OK(accept4(listener, (struct sockaddr *)&b, &l, SOCK_NONBLOCK | SOCK_CLOEXEC));
    CHECK_EQ(l, 2);
    CHECK_EQ(b.sun_family, AF_UNIX);
    CHECK_EQ(fcntl(c, F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_EQ(fcntl(c, F_GETFD), FD_CLOEXEC);
    l = sizeof b;
    OK(getsockname(c, (struct sockaddr *)&b, &l));
    CHECK_EQ(l, n);
    CHECK_EQ(strcmp(b.sun_path, "sock"), 0);
    l = sizeof b;
    OK(getpeername(other, (struct sockaddr *)&b, &l));
    CHECK_EQ(l, n);
    l = 4;
    memset(&b, 0, sizeof b);
    OK(getpeername(other, (struct sockaddr *)&b, &l));
    CHECK_EQ(l, n);
    CHECK_EQ(memcmp(b.sun_path, "so\0", 3), 0);
    CHECK_ERR(getpeername(listener, (struct sockaddr *)&b, &l), ENOTCONN);
    l = -1;
    CHECK_ERR(getsockname(c, (struct sockaddr *)&b, &l), EINVAL);
    CHECK_EQ(read(c, big, 10), 5);
    CHECK_ERR(accept4(listener, NULL, NULL, 1), EINVAL);
    l = sizeof v;
    OK(getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &v, &l));
    CHECK_EQ(v, 1);
    CHECK_ERR(ioctl(listener, FIONREAD, &v), EINVAL);
    OK(unlink("sock"));
    int third = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERR(connect(third, (struct sockaddr *)&a, n), ENOENT);
    CHECK_EQ(write(other, "still", 5), 5);
    OK(close(listener));
    OK(close(other));
    OK(close(third));
    OK(close(c));
}

TEST(backlog)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "backlog");
    int s = OK(socket(AF_UNIX, SOCK_STREAM, 0)), c[4];
    OK(bind(s, (struct sockaddr *)&a, n));
    OK(listen(s, 1));
    for (int i = 0; i < 4; i++)
        c[i] = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    OK(connect(c[0], (struct sockaddr *)&a, n));
    OK(connect(c[1], (struct sockaddr *)&a, n));
    CHECK_ERR(connect(c[2], (struct sockaddr *)&a, n), EAGAIN);
    struct timeval t = { 0, 20000 };
    OK(setsockopt(c[3], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t));
    OK(fcntl(c[3], F_SETFL, 0));
    CHECK_ERR(connect(c[3], (struct sockaddr *)&a, n), EAGAIN);
    int d = OK(accept(s, NULL, NULL));
    OK(connect(c[2], (struct sockaddr *)&a, n));
    // Those that were never accepted are reset.
    OK(close(s));
    CHECK_EQ(ready(c[1], ANY), READABLE | WRITABLE | POLLHUP | POLLRDHUP | POLLERR);
    CHECK_ERR(read(c[1], big, 1), ECONNRESET);
    CHECK_EQ(read(c[1], big, 1), 0);
    CHECK_EQ(ready(c[0], ANY), WRITABLE);
    for (int i = 0; i < 4; i++)
        OK(close(c[i]));
    OK(close(d));
}

static void *connector(void *arg)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "waits");
    return (void *)(long)connect((int)(long)arg, (struct sockaddr *)&a, n);
}

TEST(connect_waits)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "waits");
    int s = OK(socket(AF_UNIX, SOCK_STREAM, 0)), c = OK(socket(AF_UNIX, SOCK_STREAM, 0)), e = OK(socket(AF_UNIX, SOCK_STREAM, 0)), d;
    OK(bind(s, (struct sockaddr *)&a, n));
    OK(listen(s, 0));
    OK(connect(c, (struct sockaddr *)&a, n));
    pthread_t t;
    void *r;
    pthread_create(&t, NULL, connector, (void *)(long)e);
    usleep(20000);
    d = OK(accept(s, NULL, NULL));
    int f = OK(accept(s, NULL, NULL));
    pthread_join(t, &r);
    CHECK_EQ((long)r, 0);
    CHECK_EQ(write(e, "abc", 3), 3);
    CHECK_EQ(read(f, big, 9), 3);
    OK(close(s));
    OK(close(c));
    OK(close(d));
    OK(close(e));
    OK(close(f));
}

TEST(abstract)
{
    struct sockaddr_un a, b;
    socklen_t n = abstract_name(&a, "name"), l = sizeof b;
    int s = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), t = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), u = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    OK(bind(s, (struct sockaddr *)&a, n));
    CHECK_ERR(bind(t, (struct sockaddr *)&a, n), EADDRINUSE);
    CHECK_ERR(bind(s, (struct sockaddr *)&a, n), EINVAL);
    OK(bind(u, (struct sockaddr *)&a, n)); // names are by type
    CHECK_ERR(connect(u, (struct sockaddr *)&a, n), ECONNREFUSED);
    OK(bind(t, (struct sockaddr *)&a, n - 1));
    OK(getsockname(t, (struct sockaddr *)&b, &l));
    CHECK_EQ(l, n - 1);
    CHECK_EQ(memcmp(&a, &b, n - 1), 0);
    OK(close(s));
    s = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    OK(bind(s, (struct sockaddr *)&a, n));
    OK(close(s));
    OK(close(t));
    // A name of one's own.
    s = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    OK(bind(s, (struct sockaddr *)&a, 2));
    OK(bind(s, (struct sockaddr *)&a, 2));
    l = sizeof b;
    OK(getsockname(s, (struct sockaddr *)&b, &l));
    CHECK_EQ(l, 8);
    CHECK_EQ(b.sun_path[0], 0);
    CHECK_ERR(bind(s, (struct sockaddr *)&a, n), EINVAL);
    OK(close(s));
    OK(close(u));
}

TEST(path_names)
{
    struct sockaddr_un a, b;
    socklen_t n = path_name(&a, "dir/none"), l;
    int s = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), t = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERR(bind(s, (struct sockaddr *)&a, n), ENOENT);
    close(OK(open("file", O_CREAT | O_RDWR, 0600)));
    n = path_name(&a, "file");
    CHECK_ERR(bind(s, (struct sockaddr *)&a, n), EADDRINUSE);
    CHECK_ERR(connect(s, (struct sockaddr *)&a, n), ECONNREFUSED);
    n = path_name(&a, "file/x");
    CHECK_ERR(connect(s, (struct sockaddr *)&a, n), ENOTDIR);
    n = path_name(&a, "d");
    umask(027);
    OK(bind(s, (struct sockaddr *)&a, n + 20)); // zeroes behind the name do not count
    umask(022);
    l = sizeof b;
    OK(getsockname(s, (struct sockaddr *)&b, &l));
    CHECK_EQ(l, n);
    struct stat st;
    OK(stat("d", &st));
    CHECK_EQ(st.st_mode, S_IFSOCK | 0750);
    CHECK_ERR(connect(t, (struct sockaddr *)&a, n), EPROTOTYPE);
    OK(symlink("d", "link"));
    OK(rename("d", "e"));
    n = path_name(&a, "link");
    int u = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_ERR(connect(u, (struct sockaddr *)&a, n), ENOENT);
    OK(link("e", "d"));
    OK(connect(u, (struct sockaddr *)&a, n));
    CHECK_EQ(send(u, "x", 1, 0), 1);
    CHECK_EQ(recv(s, big, 9, 0), 1);
    OK(close(s));
    n = path_name(&a, "d");
    CHECK_ERR(connect(u, (struct sockaddr *)&a, n), ECONNREFUSED);
    // A path that fills the field has no NUL.
    memset(&a, 'x', sizeof a);
    a.sun_family = AF_UNIX;
    s = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    OK(bind(s, (struct sockaddr *)&a, sizeof a));
    char room[200];
    l = sizeof room;
    OK(getsockname(s, (struct sockaddr *)room, &l));
    CHECK_EQ(l, sizeof a + 1);
    OK(close(s));
    OK(close(t));
    OK(close(u));
    s = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    OK(fchmod(s, 0600));
    n = path_name(&a, "mode");
    OK(bind(s, (struct sockaddr *)&a, n));
    OK(stat("mode", &st));
    CHECK_EQ(st.st_mode, S_IFSOCK | 0600);
    OK(close(s));
}

TEST(dgram_addresses)
{
    struct sockaddr_un a, b, from;
    socklen_t n = abstract_name(&a, "a"), m = abstract_name(&b, "b"), l;
    int s = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), t = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), u = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    OK(bind(s, (struct sockaddr *)&a, n));
    CHECK_ERR(send(t, "x", 1, 0), ENOTCONN);
    CHECK_EQ(sendto(t, "x", 1, 0, (struct sockaddr *)&a, n), 1);
    l = sizeof from;
    CHECK_EQ(recvfrom(s, big, 9, 0, (struct sockaddr *)&from, &l), 1);
    CHECK_EQ(l, 0);
    CHECK_EQ(sendto(t, "x", 1, 0, (struct sockaddr *)&a, n), 1);
    OK(bind(t, (struct sockaddr *)&b, m)); // the name is what it is when the message is read
    l = sizeof from;
    CHECK_EQ(recvfrom(s, big, 9, 0, (struct sockaddr *)&from, &l), 1);
    CHECK_EQ(l, m);
    CHECK_EQ(memcmp(&from, &b, m), 0);
    CHECK_ERR(sendto(t, "x", 1, 0, (struct sockaddr *)&a, n - 1), ECONNREFUSED);
    CHECK_ERR(sendto(t, "x", 1, 0, (struct sockaddr *)&a, 2), EINVAL);
    CHECK_ERR(sendto(t, "x", 1, 0, (struct sockaddr *)&a, 200), EINVAL);
    OK(connect(s, (struct sockaddr *)&b, m));
    CHECK_ERR(sendto(u, "x", 1, 0, (struct sockaddr *)&a, n), EPERM);
    CHECK_ERR(connect(u, (struct sockaddr *)&a, n), EPERM);
    CHECK_EQ(sendto(t, "x", 1, 0, (struct sockaddr *)&a, n), 1);
    from.sun_family = AF_UNSPEC;
    OK(connect(s, (struct sockaddr *)&from, sizeof from));
    CHECK_ERR(recv(s, big, 1, MSG_DONTWAIT), EAGAIN); // what the former peer had sent is gone
    OK(connect(u, (struct sockaddr *)&a, n));
    CHECK_EQ(send(u, "y", 1, 0), 1);
    CHECK_EQ(recv(s, big, 1, MSG_DONTWAIT), 1);
    OK(close(s));
    CHECK_ERR(send(u, "y", 1, 0), ECONNREFUSED);
    CHECK_ERR(send(u, "y", 1, 0), ENOTCONN);
    OK(close(t));
    OK(close(u));
}

TEST(dgram_queue)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "queue");
    int s = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), t = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), i;
    OK(bind(s, (struct sockaddr *)&a, n));
    OK(connect(t, (struct sockaddr *)&a, n));
    for (i = 0; i < 100 && send(t, "x", 1, MSG_DONTWAIT) == 1; i++)
        ;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(i, 11);
    CHECK_EQ(ready(t, ANY), 0);
    int e = OK(epoll_create1(0));
    struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
    OK(epoll_ctl(e, EPOLL_CTL_ADD, t, &ev));
    CHECK_EQ(epoll_wait(e, &ev, 1, 0), 0);
    CHECK_EQ(recv(s, big, 1, 0), 1);
    CHECK_EQ(epoll_wait(e, &ev, 1, 1000), 1);
    CHECK_EQ(ready(t, ANY), WRITABLE);
    struct timeval tv = { 0, 20000 };
    OK(setsockopt(t, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv));
    CHECK_EQ(send(t, "x", 1, 0), 1);
    CHECK_ERR(send(t, "x", 1, 0), EAGAIN);
    OK(close(s));
    CHECK_ERR(send(t, "x", 1, 0), ECONNREFUSED);
    OK(close(e));
    OK(close(t));
}

static void *late_reader(void *arg)
{
    usleep(20000);
    return (void *)(long)recv((int)(long)arg, big, 1, 0);
}

TEST(dgram_sender_waits)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "sender");
    int s = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), t = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    OK(bind(s, (struct sockaddr *)&a, n));
    for (int i = 0; i < 11; i++)
        CHECK_EQ(sendto(t, "x", 1, 0, (struct sockaddr *)&a, n), 1);
    pthread_t r;
    pthread_create(&r, NULL, late_reader, (void *)(long)s);
    CHECK_EQ(sendto(t, "x", 1, 0, (struct sockaddr *)&a, n), 1);
    pthread_join(r, NULL);
    OK(close(s));
    OK(close(t));
}

TEST(ends)
{
    int s[2], v;
    socklen_t l = sizeof v;
    pair_of(SOCK_STREAM, s);
    CHECK_EQ(write(s[0], "ab", 2), 2);
    OK(shutdown(s[0], SHUT_WR));
    CHECK_EQ(ready(s[0], ANY), WRITABLE);
    CHECK_EQ(ready(s[1], ANY), READABLE | WRITABLE | POLLRDHUP);
    CHECK_EQ(read(s[1], big, 9), 2);
    CHECK_EQ(read(s[1], big, 9), 0);
    CHECK_EQ(write(s[1], "cd", 2), 2);
    CHECK_EQ(read(s[0], big, 9), 2);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(write(s[0], "x", 1), EPIPE);
    OK(shutdown(s[0], SHUT_RD));
    CHECK_EQ(ready(s[0], ANY), READABLE | WRITABLE | POLLRDHUP | POLLHUP);
    CHECK_EQ(ready(s[1], ANY), READABLE | WRITABLE | POLLRDHUP | POLLHUP);
    CHECK_ERR(write(s[1], "x", 1), EPIPE);
    drop(s);
    pair_of(SOCK_STREAM, s);
    CHECK_EQ(write(s[1], "ab", 2), 2);
    CHECK_EQ(write(s[0], "ab", 2), 2);
    OK(close(s[1]));
    // Its own data not read by the other side, then the end.
    CHECK_EQ(ready(s[0], ANY), READABLE | WRITABLE | POLLRDHUP | POLLHUP | POLLERR);
    CHECK_EQ(read(s[0], big, 9), 2);
    CHECK_ERR(read(s[0], big, 9), ECONNRESET);
    CHECK_EQ(read(s[0], big, 9), 0);
    CHECK_ERR(write(s[0], "x", 1), EPIPE);
    OK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &v, &l));
    CHECK_EQ(v, 0);
    OK(close(s[0]));
    pair_of(SOCK_DGRAM, s);
    OK(close(s[1]));
    CHECK_EQ(ready(s[0], ANY), WRITABLE);
    CHECK_ERR(recv(s[0], big, 9, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(send(s[0], "x", 1, 0), ECONNREFUSED);
    CHECK_ERR(send(s[0], "x", 1, 0), ENOTCONN);
    OK(close(s[0]));
    pair_of(SOCK_DGRAM, s);
    OK(shutdown(s[0], SHUT_RD));
    CHECK_EQ(recv(s[0], big, 9, 0), 0);
    CHECK_ERR(recv(s[0], big, 9, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(send(s[1], "x", 1, 0), EPIPE);
    OK(shutdown(s[1], SHUT_WR));
    CHECK_EQ(ready(s[0], ANY), READABLE | WRITABLE | POLLRDHUP);
    drop(s);
    pair_of(SOCK_SEQPACKET, s);
    CHECK_EQ(send(s[0], "a", 1, 0), 1);
    OK(close(s[1]));
    CHECK_ERR(send(s[0], "a", 1, 0), ECONNRESET);
    CHECK_EQ(recv(s[0], big, 9, 0), 0);
    OK(close(s[0]));
}

static volatile int pipes;
static void on_pipe(int sig) { pipes++; (void)sig; }

TEST(sigpipe)
{
    int s[2];
    signal(SIGPIPE, on_pipe);
    pipes = 0;
    pair_of(SOCK_STREAM, s);
    OK(close(s[1]));
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(pipes, 0);
    CHECK_ERR(send(s[0], "x", 1, 0), EPIPE);
    CHECK_EQ(pipes, 1);
    CHECK_ERR(write(s[0], "x", 1), EPIPE);
    CHECK_EQ(pipes, 2);
    OK(close(s[0]));
    pair_of(SOCK_SEQPACKET, s);
    OK(close(s[1]));
    CHECK_ERR(send(s[0], "x", 1, 0), EPIPE);
    CHECK_EQ(pipes, 2);
    OK(close(s[0]));
    signal(SIGPIPE, SIG_DFL);
}

static void *slow_writer(void *arg)
{
    int fd = (int)(long)arg;
    for (int i = 0; i < 5; i++) {
        usleep(5000);
        if (write(fd, "abcdefgh", 8) != 8)
            return NULL;
    }
    return arg;
}

TEST(waitall)
{
    int s[2];
    pthread_t t;
    pair_of(SOCK_STREAM, s);
    pthread_create(&t, NULL, slow_writer, (void *)(long)s[0]);
    CHECK_EQ(recv(s[1], big, 40, MSG_WAITALL), 40);
    pthread_join(t, NULL);
    int v = 16;
    OK(setsockopt(s[1], SOL_SOCKET, SO_RCVLOWAT, &v, sizeof v));
    pthread_create(&t, NULL, slow_writer, (void *)(long)s[0]);
    long n = recv(s[1], big, 40, 0);
    CHECK(n >= 16);
    pthread_join(t, NULL);
    CHECK_EQ(recv(s[1], big, 40, MSG_WAITALL | MSG_DONTWAIT) + n, 40);
    CHECK_EQ(write(s[0], "abc", 3), 3);
    CHECK_EQ(recv(s[1], big, 40, MSG_WAITALL | MSG_DONTWAIT), 3);
    CHECK_EQ(write(s[0], "abc", 3), 3);
    OK(shutdown(s[0], SHUT_WR));
    CHECK_EQ(recv(s[1], big, 40, MSG_WAITALL), 3);
    drop(s);
}

TEST(large_write)
{
    int s[2];
    pthread_t t;
    void *r;
    pair_of(SOCK_STREAM, s);
    pthread_create(&t, NULL, drain, (void *)(long)s[1]);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(write(s[0], big, sizeof big), (long)sizeof big);
    OK(shutdown(s[0], SHUT_WR));
    pthread_join(t, &r);
    CHECK_EQ((long)r, 20 * (long)sizeof big);
    drop(s);
}

TEST(peek_offset)
{
    int s[2], v = 0;
    char b[16];
    socklen_t l = sizeof v;
    pair_of(SOCK_STREAM, s);
    OK(setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &v, sizeof v));
    CHECK_EQ(write(s[0], "abcd", 4), 4);
    CHECK_EQ(write(s[0], "efgh", 4), 4);
    CHECK_EQ(recv(s[1], b, 3, MSG_PEEK), 3);
    CHECK_EQ(recv(s[1], b, 3, MSG_PEEK), 3);
    CHECK_EQ(memcmp(b, "def", 3), 0);
    OK(getsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &v, &l));
    CHECK_EQ(v, 6);
    CHECK_EQ(recv(s[1], b, 2, 0), 2);
    OK(getsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &v, &l));
    CHECK_EQ(v, 4);
    CHECK_EQ(recv(s[1], b, 16, MSG_PEEK), 2);
    CHECK_ERR(recv(s[1], b, 16, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(recv(s[1], b, 16, 0), 6);
    drop(s);
    pair_of(SOCK_DGRAM, s);
    v = 0;
    OK(setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &v, sizeof v));
    CHECK_EQ(write(s[0], "abcd", 4), 4);
    CHECK_EQ(write(s[0], "ef", 2), 2);
    CHECK_EQ(recv(s[1], b, 2, MSG_PEEK), 2);
    CHECK_EQ(recv(s[1], b, 9, MSG_PEEK), 2);
    CHECK_EQ(recv(s[1], b, 9, MSG_PEEK), 2);
    CHECK_EQ(memcmp(b, "ef", 2), 0);
    CHECK_EQ(recv(s[1], b, 9, 0), 4);
    drop(s);
}
