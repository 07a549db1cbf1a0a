// io_uring on sockets: SOCKET, BIND, LISTEN, ACCEPT, CONNECT, SEND, RECV, SENDMSG, RECVMSG, SHUTDOWN.
#include "uring_net.h"

// proves: IORING_OP_SEND, IORING_OP_RECV
TEST(send_recv)
{
    struct ring r;
    int s[2];
    char b[64];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    ADD(&r, SEND, s[0], "hello", 5, 0, 1);
    CHECK_EQ(ring_result(&r, 1), 5);
    ADD(&r, RECV, s[1], b, 3, 0, 2);
    cqe_t c = one(&r, 2);
    CHECK_EQ(c.res, 3);
    CHECK_EQ(c.flags, U_CQE_NONEMPTY);
    ADD(&r, RECV, s[1], b, 64, 0, 2);
    c = one(&r, 2);
    CHECK_EQ(c.res, 2);
    CHECK_EQ(c.flags, 0);
    // Nothing there: it waits.
    ADD(&r, RECV, s[1], b, 64, 0, 3);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(s[0], "later", 5), 5);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 3);
    CHECK_EQ(c.res, 5);
    ADD(&r, RECV, s[1], b, 64, 0, 4)->msg_flags = MSG_DONTWAIT;
    CHECK_EQ(ring_result(&r, 4), -EAGAIN);
    // O_NONBLOCK does not keep a request from waiting.
    OK(fcntl(s[1], F_SETFL, O_NONBLOCK));
    ADD(&r, RECV, s[1], b, 64, 0, 5)->ioprio = U_POLL_FIRST;
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(s[0], "x", 1), 1);
    CHECK_EQ(ring_wait(&r).res, 1);
    CHECK_EQ(write(s[0], "abc", 3), 3);
    ADD(&r, RECV, s[1], b, 2, 0, 6)->msg_flags = MSG_PEEK;
    CHECK_EQ(ring_result(&r, 6), 2);
    ADD(&r, RECV, s[1], b, 64, 0, 6)->flags = IOSQE_ASYNC;
    CHECK_EQ(ring_result(&r, 6), 3);
    ADD(&r, SEND, s[0], b, 64, 0, 7)->flags = IOSQE_ASYNC;
    CHECK_EQ(ring_result(&r, 7), 64);
    ADD(&r, RECV, s[1], b, 64, 0, 8);
    CHECK_EQ(ring_result(&r, 8), 64);
    OK(shutdown(s[0], SHUT_WR));
    ADD(&r, RECV, s[1], b, 64, 0, 9);
    c = one(&r, 9);
    CHECK_EQ(c.res, 0);
    CHECK_EQ(c.flags, 0);
    ADD(&r, SEND, s[0], b, 64, 0, 9);
    CHECK_EQ(ring_result(&r, 9), -EPIPE); // no signal
    drop(s);
    ring_exit(&r);
}

TEST(mistakes)
{
    struct ring r;
    int s[2], f = OK(open("file", O_CREAT | O_RDWR, 0600));
    char b[64];
    ring_init(&r, 32, 0);
    pair_of(SOCK_STREAM, s);
#define EXPECT(line, want)                                                                                                     \
    do {                                                                                                                        \
        line;                                                                                                                   \
        CHECK_EQ(ring_result(&r, 1), want);                                                                                     \
    } while (0)
    EXPECT(ADD(&r, SEND, f, b, 1, 0, 1), -ENOTSOCK);
    EXPECT(ADD(&r, RECV, f, b, 1, 0, 1), -ENOTSOCK);
    EXPECT(ADD(&r, RECV, 999, b, 1, 0, 1), -EBADF);
    EXPECT(ADD(&r, ACCEPT, f, NULL, 0, 0, 1), -ENOTSOCK);
    EXPECT(ADD(&r, CONNECT, f, NULL, 0, 0, 1), -ENOTSOCK);
    EXPECT(ADD(&r, SHUTDOWN, f, NULL, 0, 0, 1), -ENOTSOCK);
    EXPECT(ADD(&r, URING_CMD, f, NULL, 0, 0, 1), -EOPNOTSUPP);
    EXPECT(ADD(&r, SEND, s[0], b, 1, 0, 1)->ioprio = 64, -EINVAL);
    EXPECT(ADD(&r, SEND, s[0], b, 1, 0, 1)->ioprio = U_RECV_MULTISHOT, -EINVAL);
    EXPECT(ADD(&r, SEND, s[0], b, 1, 0, 1)->ioprio = U_FIXED_BUF, -EINVAL);
    EXPECT(ADD(&r, SEND, s[0], b, 1, 0, 1)->splice_fd_in = 0x10000, -EINVAL);
    EXPECT(ADD(&r, SEND, s[0], (void *)8, 1, 0, 1), -EFAULT);
    EXPECT(ADD(&r, SEND, s[0], (void *)(~0ul - 9), 1, 0, 1), -EFAULT);
    EXPECT(ADD(&r, RECV, s[0], b, 1, 1, 1), -EINVAL);
    EXPECT(ADD(&r, RECV, s[0], b, 1, 0, 1)->splice_fd_in = 1, -EINVAL);
    EXPECT(ADD(&r, RECV, s[0], b, 1, 0, 1)->ioprio = U_RECV_MULTISHOT, -EINVAL);
    EXPECT(ADD(&r, RECV, s[0], b, 1, 0, 1)->ioprio = U_VECTORIZED, -EINVAL);
    EXPECT(ADD(&r, RECV, s[0], b, 1, 0, 1)->ioprio = U_FIXED_BUF, -EINVAL);
    EXPECT(ADD(&r, RECVMSG, s[0], (void *)8, 1, 0, 1), -EFAULT);
    EXPECT(ADD(&r, SENDMSG, s[0], (void *)8, 1, 0, 1), -EFAULT);
    EXPECT(ADD(&r, SENDMSG, s[0], (void *)8, 1, 0, 1)->ioprio = U_BUNDLE, -EINVAL);
    EXPECT(ADD(&r, RECVMSG, s[0], (void *)8, 1, 0, 1)->ioprio = U_BUNDLE, -EINVAL);
    EXPECT(ADD(&r, SENDMSG, s[0], (void *)8, 1, 1, 1), -EINVAL);
    EXPECT(ADD(&r, ACCEPT, s[0], NULL, 0, 0, 1), -EINVAL); // does not listen
    EXPECT(ADD(&r, ACCEPT, s[0], NULL, 1, 0, 1), -EINVAL);
    EXPECT(ADD(&r, ACCEPT, s[0], NULL, 0, 0, 1)->ioprio = 8, -EINVAL);
    EXPECT(ADD(&r, ACCEPT, s[0], NULL, 0, 0, 1)->accept_flags = 1, -EINVAL);
    EXPECT(ADD(&r, CONNECT, s[0], NULL, 1, 0, 1), -EINVAL);
    EXPECT(ADD(&r, CONNECT, s[0], b, 0, 200, 1), -EINVAL);
    EXPECT(ADD(&r, CONNECT, s[0], (void *)8, 0, 16, 1), -EFAULT);
    EXPECT(ADD(&r, SHUTDOWN, s[0], NULL, 3, 0, 1), -EINVAL);
    EXPECT(ADD(&r, SHUTDOWN, s[0], NULL, 0, 1, 1), -EINVAL);
    EXPECT(ADD(&r, SOCKET, AF_UNIX, b, 0, SOCK_STREAM, 1), -EINVAL);
    EXPECT(ADD(&r, SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM | 0x100, 1), -EINVAL);
    EXPECT(ADD(&r, SOCKET, 77, NULL, 0, SOCK_STREAM, 1), -EAFNOSUPPORT);
    EXPECT(ADD(&r, SOCKET, AF_UNIX, NULL, 99, SOCK_STREAM, 1), -EPROTONOSUPPORT);
    EXPECT(ADD(&r, SEND_ZC, s[0], b, 1, 0, 1)->addr3 = 1, -EINVAL);
    OK(close(f));
    drop(s);
    ring_exit(&r);
}

// proves: IORING_OP_SHUTDOWN, IORING_OP_SOCKET, IORING_OP_BIND, IORING_OP_LISTEN
TEST(connection)
{
    struct ring r;
    struct sockaddr_un a, from;
    socklen_t n = abstract_name(&a, "connection"), l = sizeof from;
    ring_init(&r, 8, 0);
    ADD(&r, SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM | SOCK_CLOEXEC, 1);
    int s = ring_result(&r, 1);
    CHECK_EQ(fcntl(s, F_GETFD), FD_CLOEXEC);
    prep(ring_sqe(&r), U_OP_BIND, s, &a, 0, n, 2);
    CHECK_EQ(ring_result(&r, 2), 0);
    prep(ring_sqe(&r), U_OP_LISTEN, s, NULL, 5, 0, 3);
    CHECK_EQ(ring_result(&r, 3), 0);
    ADD(&r, ACCEPT, s, &from, 0, (uintptr_t)&l, 4)->accept_flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    ring_submit(&r);
    ring_quiet(&r);
    ADD(&r, SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM | SOCK_NONBLOCK, 5);
    int c = ring_result(&r, 5);
    ADD(&r, CONNECT, c, &a, 0, n, 6);
    ring_submit(&r);
    cqe_t q[2];
    q[0] = ring_wait(&r);
    q[1] = ring_wait(&r);
    int at = q[0].user_data == 4 ? 0 : 1;
    CHECK_EQ(q[1 - at].user_data, 6);
    CHECK_EQ(q[1 - at].res, 0);
    int d = q[at].res;
    CHECK(d > 0);
    CHECK_EQ(l, 2);
    CHECK_EQ(fcntl(d, F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_EQ(fcntl(d, F_GETFD), FD_CLOEXEC);
    ADD(&r, CONNECT, c, &a, 0, n, 7);
    CHECK_EQ(ring_result(&r, 7), -EISCONN);
    ADD(&r, ACCEPT, s, NULL, 0, 0, 8)->ioprio = U_ACCEPT_DONTWAIT;
    CHECK_EQ(ring_result(&r, 8), -EAGAIN);
    ADD(&r, SHUTDOWN, c, NULL, SHUT_WR, 0, 9);
    CHECK_EQ(ring_result(&r, 9), 0);
    CHECK_EQ(read(d, &from, 1), 0);
    OK(close(s));
    OK(close(c));
    OK(close(d));
    ring_exit(&r);
}

TEST(direct)
{
    struct ring r;
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "direct");
    int files[6] = { -1, -1, -1, -1, -1, -1 };
    char b[8];
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, files, 6));
    ADD(&r, SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM, 1)->file_index = 1; // place 0
    CHECK_EQ(ring_result(&r, 1), 0);
    ADD(&r, SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM | SOCK_CLOEXEC, 1)->file_index = 1;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    ADD(&r, SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM, 1)->file_index = 9;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    prep(ring_sqe(&r), U_OP_BIND, 0, &a, 0, n, 2)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 2), 0);
    prep(ring_sqe(&r), U_OP_LISTEN, 0, NULL, 5, 0, 3)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 3), 0);
    ADD(&r, SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM, 4)->file_index = U_ALLOC;
    int c = ring_result(&r, 4);
    CHECK_EQ(c, 1);
    ADD(&r, CONNECT, c, &a, 0, n, 5)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 5), 0);
    sqe_t *s = ADD(&r, ACCEPT, 0, NULL, 0, 0, 6);
    s->flags = IOSQE_FIXED_FILE;
    s->file_index = U_ALLOC;
    int d = ring_result(&r, 6);
    CHECK_EQ(d, 2);
    ADD(&r, SEND, c, "hello", 5, 0, 7)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 7), 5);
    ADD(&r, RECV, d, b, 8, 0, 8)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 8), 5);
    // Multishot into places.
    s = ADD(&r, ACCEPT, 0, NULL, 0, 0, 9);
    s->flags = IOSQE_FIXED_FILE;
    s->ioprio = U_ACCEPT_MULTISHOT;
    s->file_index = 4;
    CHECK_EQ(ring_result(&r, 9), -EINVAL);
    s = ADD(&r, ACCEPT, 0, NULL, 0, 0, 9);
    s->flags = IOSQE_FIXED_FILE;
    s->ioprio = U_ACCEPT_MULTISHOT;
    s->file_index = U_ALLOC;
    ring_submit(&r);
    int k[4];
    for (int i = 0; i < 4; i++) {
        k[i] = OK(socket(AF_UNIX, SOCK_STREAM, 0));
        OK(connect(k[i], (struct sockaddr *)&a, n));
        cqe_t q = ring_wait(&r);
        CHECK_EQ(q.user_data, 9);
        CHECK_EQ(q.res, i < 3 ? 3 + i : -ENFILE);
        CHECK_EQ(q.flags, i < 3 ? IORING_CQE_F_MORE : 0);
    }
    for (int i = 0; i < 4; i++)
        OK(close(k[i]));
    ring_exit(&r);
}

// proves: IORING_OP_ACCEPT
TEST(accept_multishot)
{
    struct ring r;
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "multi");
    int c[20], s = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    ring_init(&r, 64, 0);
    OK(bind(s, (struct sockaddr *)&a, n));
    OK(listen(s, 64));
    for (int i = 0; i < 5; i++) {
        c[i] = OK(socket(AF_UNIX, SOCK_STREAM, 0));
        OK(connect(c[i], (struct sockaddr *)&a, n));
    }
    ADD(&r, ACCEPT, s, NULL, 0, 0, 1)->ioprio = U_ACCEPT_MULTISHOT;
    ring_submit(&r);
    for (int i = 0; i < 20; i++) {
        if (i >= 5) {
            c[i] = OK(socket(AF_UNIX, SOCK_STREAM, 0));
            OK(connect(c[i], (struct sockaddr *)&a, n));
        }
        cqe_t q = ring_wait(&r);
        CHECK_EQ(q.user_data, 1);
        CHECK_EQ(q.flags, IORING_CQE_F_MORE);
        CHECK(q.res > 0);
        CHECK_EQ(write(q.res, "x", 1), 1);
        OK(close(q.res));
    }
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    cqe_t q[2];
    q[0] = ring_wait(&r);
    q[1] = ring_wait(&r);
    int at = q[0].user_data == 1 ? 0 : 1;
    CHECK_EQ(q[at].res, -ECANCELED);
    CHECK_EQ(q[at].flags, 0);
    CHECK_EQ(q[1 - at].res, 0);
    for (int i = 0; i < 20; i++)
        OK(close(c[i]));
    OK(close(s));
    ring_exit(&r);
}

// proves: IORING_OP_SENDMSG, IORING_OP_RECVMSG
TEST(messages)
{
    struct ring r;
    int s[2], p[2];
    char b[64], c[64];
    ring_init(&r, 8, 0);
    pair_of(SOCK_DGRAM, s);
    OK(pipe(p));
    struct iovec v[2] = { { "hello ", 6 }, { "world", 5 } };
    struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
    char rights[CMSG_SPACE(4)] = { 0 };
    m.msg_control = rights;
    m.msg_controllen = sizeof rights;
    *CMSG_FIRSTHDR(&m) = (struct cmsghdr){ CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS };
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &p[1], 4);
    ADD(&r, SENDMSG, s[0], &m, 1, 0, 1);
    CHECK_EQ(ring_result(&r, 1), 11);
    OK(close(p[1]));
    struct iovec w = { b, 7 };
    struct msghdr g = { .msg_iov = &w, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
    ADD(&r, RECVMSG, s[1], &g, 1, 0, 2);
    CHECK_EQ(ring_result(&r, 2), 7);
    CHECK_EQ(g.msg_flags, MSG_TRUNC);
    CHECK_EQ(g.msg_controllen, CMSG_SPACE(4));
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&g)), 4);
    CHECK_EQ(write(fd, "x", 1), 1);
    OK(close(fd));
    CHECK_EQ(read(p[0], b, 2), 1);
    OK(close(p[0]));
    // Waiting; what the header says is read when the request is submitted.
    memset(&g, 0, sizeof g);
    g.msg_iov = &w;
    g.msg_iovlen = 1;
    ADD(&r, RECVMSG, s[1], &g, 1, 0, 3);
    ring_submit(&r);
    w.iov_len = 1;
    CHECK_EQ(write(s[0], "abcdef", 6), 6);
    CHECK_EQ(ring_wait(&r).res, 6);
    m.msg_iovlen = 2000;
    ADD(&r, SENDMSG, s[0], &m, 1, 0, 4);
    CHECK_EQ(ring_result(&r, 4), -EMSGSIZE);
    drop(s);
    ring_exit(&r);
}

TEST(addresses)
{
    struct ring r;
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "to");
    int s = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), t = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    char b[8];
    ring_init(&r, 8, 0);
    OK(bind(s, (struct sockaddr *)&a, n));
    sqe_t *q = ADD(&r, SEND, t, "hi", 2, (uintptr_t)&a, 1);
    q->addr_len = n;
    CHECK_EQ(ring_result(&r, 1), 2);
    CHECK_EQ(read(s, b, 8), 2);
    ADD(&r, SEND, t, "hi", 2, 0, 1);
    CHECK_EQ(ring_result(&r, 1), -ENOTCONN);
    // A full queue: the send waits.
    for (int i = 0; i < 11; i++)
        CHECK_EQ(sendto(t, "x", 1, 0, (struct sockaddr *)&a, n), 1);
    OK(connect(t, (struct sockaddr *)&a, n));
    ADD(&r, SEND, t, "hi", 2, 0, 2);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(read(s, b, 8), 1);
    CHECK(ring_wait(&r).res >= 0); // Linux forgets the data, and sends none
    OK(close(s));
    OK(close(t));
    ring_exit(&r);
}

TEST(waitall)
{
    struct ring r;
    int s[2];
    static char room[1 << 20];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    // A short send without it.
    ADD(&r, SEND, s[0], big, sizeof big, 0, 1);
    CHECK_EQ(ring_result(&r, 1), 6 * 36544);
    ADD(&r, RECV, s[1], room, sizeof room, 0, 2);
    CHECK_EQ(ring_result(&r, 2), 6 * 36544);
    ADD(&r, SEND, s[0], big, sizeof big, 0, 3)->msg_flags = MSG_WAITALL;
    ring_submit(&r);
    ring_quiet(&r);
    ADD(&r, RECV, s[1], room, sizeof room, 0, 4)->msg_flags = MSG_WAITALL;
    ring_submit(&r);
    cqe_t q[2];
    for (int i = 0; i < 2; i++) {
        q[i] = ring_wait(&r);
        CHECK_EQ(q[i].res, (int)sizeof big);
    }
    // A part, then the end.
    ADD(&r, RECV, s[1], room, 100, 0, 5)->msg_flags = MSG_WAITALL;
    ring_submit(&r);
    CHECK_EQ(write(s[0], "abc", 3), 3);
    ring_quiet(&r);
    OK(shutdown(s[0], SHUT_WR));
    CHECK_EQ(ring_wait(&r).res, 3);
    drop(s);
    // Cancelled after a part: the part counts.
    pair_of(SOCK_STREAM, s);
    ADD(&r, RECV, s[1], room, 100, 0, 6)->msg_flags = MSG_WAITALL;
    ring_submit(&r);
    CHECK_EQ(write(s[0], "abc", 3), 3);
    ring_quiet(&r);
    add_cancel(&r, 6, 0, 7);
    ring_submit(&r);
    for (int i = 0; i < 2; i++) {
        q[i] = ring_wait(&r);
        CHECK_EQ(q[i].res, q[i].user_data == 6 ? 3 : 0);
    }
    drop(s);
    ring_exit(&r);
}

TEST(links)
{
    struct ring r;
    int s[2];
    char b[64];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    ADD(&r, SEND, s[0], "hello", 5, 0, 1)->flags = IOSQE_IO_LINK;
    ADD(&r, RECV, s[1], b, 64, 0, 2)->flags = IOSQE_IO_LINK;
    ADD(&r, SEND, s[1], "back", 4, 0, 3)->flags = IOSQE_IO_LINK;
    ADD(&r, RECV, s[0], b, 64, 0, 4);
    ring_submit(&r);
    cqe_t q[4];
    ring_collect(&r, q, 4);
    CHECK_EQ(q[0].res, 5);
    CHECK_EQ(q[1].res, 5);
    CHECK_EQ(q[2].res, 4);
    CHECK_EQ(q[3].res, 4);
    // Time is up.
    struct __kernel_timespec t = { 0, 10000000 };
    ADD(&r, RECV, s[1], b, 64, 0, 1)->flags = IOSQE_IO_LINK;
    ADD(&r, LINK_TIMEOUT, -1, &t, 1, 0, 2);
    ring_submit(&r);
    ring_collect(&r, q, 2);
    CHECK_EQ(q[0].res, -ECANCELED);
    CHECK_EQ(q[1].res, -ETIME);
    // A short receive with MSG_WAITALL breaks the chain, one without does not.
    CHECK_EQ(write(s[0], "abc", 3), 3);
    ADD(&r, RECV, s[1], b, 64, 0, 1)->flags = IOSQE_IO_LINK;
    add_nop(&r, 2);
    ring_submit(&r);
    ring_collect(&r, q, 2);
    CHECK_EQ(q[0].res, 3);
    CHECK_EQ(q[1].res, 0);
    CHECK_EQ(write(s[0], "abc", 3), 3);
    OK(shutdown(s[0], SHUT_WR));
    sqe_t *e = ADD(&r, RECV, s[1], b, 64, 0, 1);
    e->flags = IOSQE_IO_LINK;
    e->msg_flags = MSG_WAITALL;
    add_nop(&r, 2);
    ring_submit(&r);
    ring_collect(&r, q, 2);
    CHECK_EQ(q[0].res, 3);
    CHECK_EQ(q[1].res, -ECANCELED);
    // A wrong direction of SHUTDOWN does not.
    ADD(&r, SHUTDOWN, s[1], NULL, 7, 0, 1)->flags = IOSQE_IO_LINK;
    add_nop(&r, 2);
    ring_submit(&r);
    ring_collect(&r, q, 2);
    CHECK_EQ(q[0].res, -EINVAL);
    CHECK_EQ(q[1].res, 0);
    drop(s);
    ring_exit(&r);
}

TEST(vectorized)
{
    struct ring r;
    int s[2];
    char b[64];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    struct iovec v[3] = { { "one ", 4 }, { "two ", 4 }, { "three", 5 } };
    ADD(&r, SEND, s[0], v, 3, 0, 1)->ioprio = U_VECTORIZED;
    CHECK_EQ(ring_result(&r, 1), 13);
    CHECK_EQ(read(s[1], b, 64), 13);
    CHECK_EQ(memcmp(b, "one two three", 13), 0);
    ADD(&r, SEND, s[0], v, 1025, 0, 1)->ioprio = U_VECTORIZED;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    ADD(&r, SEND, s[0], (void *)8, 1, 0, 1)->ioprio = U_VECTORIZED;
    CHECK_EQ(ring_result(&r, 1), -EFAULT);
    drop(s);
    ring_exit(&r);
}
