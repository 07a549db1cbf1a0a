// io_uring on sockets: SOCKET, BIND, LISTEN, ACCEPT, CONNECT, SEND, RECV, SENDMSG, RECVMSG, SHUTDOWN, the multishot forms, provided
// buffers and bundles, zero-copy sends, commands.
#include "uring.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

// What the header of an older kernel may lack.
#define U_OP_SENDMSG_ZC 48
#define U_OP_BIND 56
#define U_OP_LISTEN 57
#define U_POLL_FIRST 1
#define U_RECV_MULTISHOT 2
#define U_FIXED_BUF 4
#define U_REPORT_USAGE 8
#define U_BUNDLE 16
#define U_VECTORIZED 32
#define U_ACCEPT_MULTISHOT 1
#define U_ACCEPT_DONTWAIT 2
#define U_ACCEPT_POLL_FIRST 4
#define U_CQE_NONEMPTY 4
#define U_CQE_NOTIF 8
#define U_ALLOC (~0u)
#define U_FEAT_BUNDLE (1u << 14)

static char big[1 << 20];

struct pbuf_ring {
    struct io_uring_buf *e;
    uint32_t entries, tail;
    size_t size;
};

static void *aligned(size_t size)
{
    return OK(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
}

static void pbuf_init(struct ring *r, struct pbuf_ring *b, uint32_t entries, int group)
{
    b->size = entries * 16 < 4096 ? 4096 : entries * 16;
    b->e = aligned(b->size);
    b->entries = entries;
    b->tail = 0;
    struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)b->e, .ring_entries = entries, .bgid = group };
    OK(u_register(r->fd, 22, &reg, 1));
}

static void pbuf_add(struct pbuf_ring *b, void *at, uint32_t length, int id)
{
    struct io_uring_buf *e = &b->e[b->tail & (b->entries - 1)];
    e->addr = (uintptr_t)at;
    e->len = length;
    e->bid = id;
    b->tail++;
    atomic_store((_Atomic uint16_t *)((char *)b->e + 14), b->tail);
}

static void pair_of(int type, int s[2]) { OK(socketpair(AF_UNIX, type, 0, s)); }

static void drop(const int s[2])
{
    OK(close(s[0]));
    OK(close(s[1]));
}

static socklen_t abstract_name(struct sockaddr_un *a, const char *tail)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    int n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "moat-net-%d-%s", getpid(), tail);
    return offsetof(struct sockaddr_un, sun_path) + 1 + n;
}

// A connected pair over TCP.
static void tcp_pair(int s[2])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int l = OK(socket(AF_INET, SOCK_STREAM, 0));
    OK(bind(l, (struct sockaddr *)&a, n));
    OK(listen(l, 1));
    OK(getsockname(l, (struct sockaddr *)&a, &n));
    s[0] = OK(socket(AF_INET, SOCK_STREAM, 0));
    OK(connect(s[0], (struct sockaddr *)&a, n));
    s[1] = OK(accept(l, NULL, NULL));
    OK(close(l));
}

static cqe_t one(struct ring *r, uint64_t data)
{
    ring_submit(r);
    cqe_t c = ring_wait(r);
    CHECK_EQ(c.user_data, data);
    return c;
}

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

TEST(buffers)
{
    struct ring r;
    struct pbuf_ring g;
    int s[2];
    char *m = aligned(4096);
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    pbuf_init(&r, &g, 8, 3);
    for (int i = 0; i < 4; i++)
        pbuf_add(&g, m + i * 64, 64, 10 + i);
    sqe_t *e = ADD(&r, RECV, s[1], NULL, 0, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = 3;
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(s[0], "hello", 5), 5);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 5);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 10 << 16);
    CHECK_EQ(memcmp(m, "hello", 5), 0);
    // A length below the buffer's.
    CHECK_EQ(write(s[0], "hello", 5), 5);
    e = ADD(&r, RECV, s[1], NULL, 2, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = 3;
    c = one(&r, 1);
    CHECK_EQ(c.res, 2);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 11 << 16 | U_CQE_NONEMPTY);
    // RECVMSG.
    struct iovec v = { NULL, 0 };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
    e = ADD(&r, RECVMSG, s[1], &h, 1, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = 3;
    c = one(&r, 1);
    CHECK_EQ(c.res, 3);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 12 << 16);
    h.msg_iovlen = 2;
    e = ADD(&r, RECVMSG, s[1], &h, 1, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = 3;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    // SEND takes one as well.
    memcpy(m + 3 * 64, "sent from a buffer", 18);
    e = ADD(&r, SEND, s[0], NULL, 18, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = 3;
    c = one(&r, 1);
    CHECK_EQ(c.res, 18);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 13 << 16);
    // None left.
    e = ADD(&r, RECV, s[1], NULL, 0, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = 3;
    c = one(&r, 1);
    CHECK_EQ(c.res, -ENOBUFS);
    CHECK_EQ(c.flags, 0);
    // A list.
    ADD(&r, PROVIDE_BUFFERS, 2, m + 1024, 64, 40, 1)->buf_group = 7;
    CHECK_EQ(ring_result(&r, 1), 0);
    e = ADD(&r, RECV, s[1], NULL, 0, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = 7;
    c = one(&r, 1);
    CHECK_EQ(c.res, 18);
    CHECK_EQ(c.flags & 1, 1);
    // At the end none is used up.
    OK(shutdown(s[0], SHUT_WR));
    e = ADD(&r, RECV, s[1], NULL, 0, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = 7;
    c = one(&r, 1);
    CHECK_EQ(c.res, 0);
    CHECK_EQ(c.flags, 0);
    drop(s);
    ring_exit(&r);
    OK(munmap(m, 4096));
    OK(munmap(g.e, g.size));
}

TEST(recv_multishot)
{
    struct ring r;
    struct pbuf_ring g;
    int s[2];
    char *m = aligned(8192);
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    pbuf_init(&r, &g, 16, 1);
    for (int i = 0; i < 6; i++)
        pbuf_add(&g, m + i * 16, 16, i);
    sqe_t *e = ADD(&r, RECV, s[1], NULL, 0, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_RECV_MULTISHOT;
    e->buf_group = 1;
    ring_submit(&r);
    ring_quiet(&r);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(write(s[0], "abcd", 4), 4);
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, 4);
        CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE | i << 16);
    }
    // More than a buffer takes, then more than there are.
    CHECK_EQ(write(s[0], big, 64), 64);
    int total = 0;
    for (int i = 3; i < 6; i++) {
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, 16);
        CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE | U_CQE_NONEMPTY | i << 16);
        total += c.res;
    }
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, -ENOBUFS);
    CHECK_EQ(c.flags, 0);
    CHECK_EQ(total, 48);
    for (int i = 6; i < 9; i++)
        pbuf_add(&g, m + i * 16, 16, i);
    e = ADD(&r, RECV, s[1], NULL, 0, 0, 2);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_RECV_MULTISHOT;
    e->buf_group = 1;
    ring_submit(&r);
    c = ring_wait(&r);
    CHECK_EQ(c.res, 16);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE | 6 << 16);
    OK(close(s[0]));
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 2);
    CHECK_EQ(c.res, 0);
    CHECK_EQ(c.flags, 0);
    OK(close(s[1]));
    ring_exit(&r);
    OK(munmap(m, 8192));
    OK(munmap(g.e, g.size));
}

TEST(recv_multishot_many)
{
    struct ring r;
    struct pbuf_ring g;
    int s[2];
    char *m = aligned(8192);
    struct io_uring_params p = { .flags = IORING_SETUP_CQSIZE, .cq_entries = 256 };
    ring_init_params(&r, 8, &p);
    pair_of(SOCK_DGRAM, s);
    pbuf_init(&r, &g, 128, 1);
    for (int i = 0; i < 100; i++)
        pbuf_add(&g, m + i * 16, 16, i);
    for (int i = 0; i < 90; i++)
        CHECK_EQ(write(s[0], "abcd", 4), 4);
    sqe_t *e = ADD(&r, RECV, s[1], NULL, 0, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_RECV_MULTISHOT;
    e->buf_group = 1;
    ring_submit(&r);
    for (int i = 0; i < 90; i++) {
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, 4);
        CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE | i << 16);
    }
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    cqe_t q[2];
    ring_collect(&r, q, 2);
    CHECK_EQ(q[0].res, -ECANCELED);
    CHECK_EQ(q[0].flags, 0);
    drop(s);
    ring_exit(&r);
    OK(munmap(m, 8192));
    OK(munmap(g.e, g.size));
}

TEST(recv_multishot_limit)
{
    struct ring r;
    struct pbuf_ring g;
    int s[2];
    char *m = aligned(8192);
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    pbuf_init(&r, &g, 16, 1);
    for (int i = 0; i < 10; i++)
        pbuf_add(&g, m + i * 16, 16, i);
    CHECK_EQ(write(s[0], big, 100), 100);
    sqe_t *e = ADD(&r, RECV, s[1], NULL, 0, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_RECV_MULTISHOT;
    e->buf_group = 1;
    e->splice_fd_in = 40; // optlen
    ring_submit(&r);
    int want[] = { 16, 16, 16 };
    for (int i = 0; i < 3; i++) {
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, want[i]);
        CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | U_CQE_NONEMPTY | (i < 2 ? IORING_CQE_F_MORE : 0) | i << 16);
    }
    // The length of the request bounds each receive.
    e = ADD(&r, RECV, s[1], NULL, 5, 0, 2);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_RECV_MULTISHOT;
    e->buf_group = 1;
    ring_submit(&r);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 5);
    OK(close(s[0]));
    while (c.flags & IORING_CQE_F_MORE)
        c = ring_wait(&r);
    OK(close(s[1]));
    ring_exit(&r);
    OK(munmap(m, 8192));
    OK(munmap(g.e, g.size));
}

struct recvmsg_out {
    uint32_t namelen, controllen, payloadlen, flags;
};

TEST(recvmsg_multishot)
{
    struct ring r;
    struct pbuf_ring g;
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "source");
    int s[2];
    char *m = aligned(8192);
    ring_init(&r, 8, 0);
    pair_of(SOCK_DGRAM, s);
    OK(bind(s[0], (struct sockaddr *)&a, n));
    pbuf_init(&r, &g, 16, 1);
    for (int i = 0; i < 6; i++)
        pbuf_add(&g, m + i * 128, 128, i);
    struct msghdr h = { .msg_namelen = 40, .msg_controllen = 32 };
    int v = 1;
    OK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &v, sizeof v));
    sqe_t *e = ADD(&r, RECVMSG, s[1], &h, 1, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_RECV_MULTISHOT;
    e->buf_group = 1;
    ring_submit(&r);
    for (int i = 0; i < 2; i++) {
        int length = i ? 100 : 4;
        CHECK_EQ(write(s[0], big, length), length);
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, i ? 128 : 16 + 40 + 32 + 4);
        CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE | i << 16);
        struct recvmsg_out *o = (void *)(m + i * 128);
        CHECK_EQ(o->namelen, n);
        CHECK_EQ(o->controllen, 32);
        CHECK_EQ(o->payloadlen, i ? 40 : 4);
        CHECK_EQ(o->flags, i ? MSG_TRUNC : 0);
        CHECK_EQ(memcmp(o + 1, &a, n < 40 ? n : 40), 0);
        struct cmsghdr *k = (void *)((char *)(o + 1) + 40);
        CHECK_EQ(k->cmsg_type, SCM_CREDENTIALS);
    }
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    cqe_t q[2];
    ring_collect(&r, q, 2);
    CHECK_EQ(q[0].res, -ECANCELED);
    // A buffer that does not take the head.
    h.msg_namelen = 120;
    e = ADD(&r, RECVMSG, s[1], &h, 1, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_RECV_MULTISHOT;
    e->buf_group = 1;
    cqe_t c = one(&r, 1);
    CHECK_EQ(c.res, -EFAULT);
    h.msg_namelen = -1;
    h.msg_name = &a;
    e = ADD(&r, RECVMSG, s[1], &h, 1, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_RECV_MULTISHOT;
    e->buf_group = 1;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    drop(s);
    ring_exit(&r);
    OK(munmap(m, 8192));
    OK(munmap(g.e, g.size));
}

TEST(bundles)
{
    struct ring r;
    struct pbuf_ring g, h;
    int s[2];
    char *m = aligned(8192);
    ring_init(&r, 8, 0);
    if (!(r.p.features & U_FEAT_BUNDLE))
        SKIP("no bundles");
    pair_of(SOCK_STREAM, s);
    pbuf_init(&r, &g, 16, 1);
    pbuf_init(&r, &h, 16, 2);
    for (int i = 0; i < 4; i++) {
        memset(m + i * 16, 'a' + i, 16);
        pbuf_add(&g, m + i * 16, 16, i);
    }
    sqe_t *e = ADD(&r, SEND, s[0], NULL, 0, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_BUNDLE;
    e->buf_group = 1;
    cqe_t c = one(&r, 1);
    CHECK_EQ(c.res, 64);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 0 << 16);
    for (int i = 0; i < 16; i++)
        pbuf_add(&h, m + 1024 + i * 16, 16, 20 + i);
    // A length: as many buffers as it needs.
    e = ADD(&r, RECV, s[1], NULL, 40, 0, 2);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_BUNDLE;
    e->buf_group = 2;
    c = one(&r, 2);
    CHECK_EQ(c.res, 32); // whole buffers
    CHECK_EQ(c.flags & ~U_CQE_NONEMPTY, IORING_CQE_F_BUFFER | 20 << 16);
    CHECK_EQ(memcmp(m + 1024, m, 32), 0);
    // Without one: what is there.
    e = ADD(&r, RECV, s[1], NULL, 0, 0, 2);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_BUNDLE;
    e->buf_group = 2;
    c = one(&r, 2);
    CHECK_EQ(c.res, 32);
    CHECK_EQ(c.flags & ~U_CQE_NONEMPTY, IORING_CQE_F_BUFFER | 22 << 16);
    // Multishot.
    e = ADD(&r, RECV, s[1], NULL, 0, 0, 3);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_BUNDLE | U_RECV_MULTISHOT;
    e->buf_group = 2;
    ring_submit(&r);
    CHECK_EQ(write(s[0], big, 20), 20);
    c = ring_wait(&r);
    CHECK_EQ(c.res, 20);
    CHECK_EQ(c.flags & ~U_CQE_NONEMPTY, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE | 24 << 16);
    CHECK_EQ(write(s[0], big, 40), 40);
    // How many CQEs tell of it depends on what the request has seen before.
    for (int got = 0; got < 40; got += c.res) {
        c = ring_wait(&r);
        CHECK(c.res > 0 && got + c.res <= 40);
        CHECK_EQ(c.flags >> 16, 26 + (got + 15) / 16);
        CHECK_EQ(c.flags & 3, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE);
    }
    add_cancel(&r, 3, 0, 4);
    ring_submit(&r);
    for (int i = 0; i < 2; i++)
        CHECK_EQ((c = ring_wait(&r)).res, c.user_data == 3 ? -ECANCELED : 0);
    e = ADD(&r, SEND, s[0], NULL, 0, 0, 1);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = U_BUNDLE;
    e->buf_group = 1;
    CHECK_EQ(ring_result(&r, 1), -ENOBUFS);
    drop(s);
    ring_exit(&r);
    OK(munmap(m, 8192));
    OK(munmap(g.e, g.size));
    OK(munmap(h.e, h.size));
}

TEST(tcp)
{
    struct ring r;
    int s[2];
    char b[64];
    ring_init(&r, 8, 0);
    tcp_pair(s);
    ADD(&r, RECV, s[1], b, 64, 0, 1);
    ring_submit(&r);
    ring_quiet(&r);
    ADD(&r, SEND, s[0], "hello", 5, 0, 2);
    ring_submit(&r);
    cqe_t q[2];
    ring_collect(&r, q, 2);
    CHECK_EQ(q[0].res, 5);
    CHECK_EQ(q[1].res, 5);
    CHECK_EQ(write(s[0], "abcdef", 6), 6);
    mt_sleep_us(20000);
    ADD(&r, RECV, s[1], b, 2, 0, 3);
    cqe_t c = one(&r, 3);
    CHECK_EQ(c.res, 2);
    CHECK_EQ(c.flags, U_CQE_NONEMPTY);
    // Commands.
    sqe_t *e = ADD(&r, URING_CMD, s[1], NULL, 0, 0, 4);
    CHECK_EQ(ring_result(&r, 4), 4);
    e = ADD(&r, URING_CMD, s[1], NULL, 0, 1, 4);
    CHECK_EQ(ring_result(&r, 4), 0);
    int v = -1;
    e = ADD(&r, URING_CMD, s[1], (void *)(uintptr_t)((uint64_t)SO_TYPE << 32 | SOL_SOCKET), 0, 2, 4);
    e->splice_fd_in = sizeof v;
    e->addr3 = (uintptr_t)&v;
    CHECK_EQ(ring_result(&r, 4), 4);
    CHECK_EQ(v, SOCK_STREAM);
    v = 1;
    e = ADD(&r, URING_CMD, s[1], (void *)(uintptr_t)((uint64_t)TCP_NODELAY << 32 | IPPROTO_TCP), 0, 3, 4);
    e->splice_fd_in = sizeof v;
    e->addr3 = (uintptr_t)&v;
    CHECK_EQ(ring_result(&r, 4), 0);
    e = ADD(&r, URING_CMD, s[1], (void *)(uintptr_t)((uint64_t)TCP_NODELAY << 32 | IPPROTO_TCP), 0, 2, 4);
    e->splice_fd_in = sizeof v;
    e->addr3 = (uintptr_t)&v;
    CHECK_EQ(ring_result(&r, 4), -EOPNOTSUPP);
    e = ADD(&r, URING_CMD, s[1], NULL, 0, 77, 4);
    CHECK_EQ(ring_result(&r, 4), -EOPNOTSUPP);
    OK(close(s[0]));
    ADD(&r, RECV, s[1], b, 64, 0, 5);
    CHECK_EQ(ring_result(&r, 5), 4);
    ADD(&r, RECV, s[1], b, 64, 0, 5);
    CHECK_EQ(ring_result(&r, 5), 0);
    OK(close(s[1]));
    ring_exit(&r);
}

TEST(tcp_connect)
{
    struct ring r;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    ring_init(&r, 8, 0);
    int l = OK(socket(AF_INET, SOCK_STREAM, 0)), c = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    OK(bind(l, (struct sockaddr *)&a, n));
    OK(getsockname(l, (struct sockaddr *)&a, &n));
    ADD(&r, CONNECT, c, &a, 0, n, 1);
    CHECK_EQ(ring_result(&r, 1), -ECONNREFUSED);
    OK(close(c));
    c = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    OK(listen(l, 5));
    ADD(&r, ACCEPT, l, NULL, 0, 0, 2)->ioprio = U_ACCEPT_MULTISHOT;
    ADD(&r, CONNECT, c, &a, 0, n, 1);
    ring_submit(&r);
    cqe_t q[2];
    ring_collect(&r, q, 2);
    CHECK_EQ(q[0].res, 0);
    CHECK(q[1].res > 0);
    CHECK_EQ(q[1].flags, IORING_CQE_F_MORE);
    OK(close(q[1].res));
    OK(close(c));
    add_cancel(&r, 2, 0, 1);
    ring_submit(&r);
    ring_collect(&r, q, 2);
    CHECK_EQ(q[1].res, -ECANCELED);
    OK(close(l));
    ring_exit(&r);
}

TEST(zero_copy)
{
    struct ring r;
    int s[2], u[2];
    char b[64], *m = aligned(4096);
    ring_init(&r, 8, 0);
    tcp_pair(s);
    memcpy(m, "hello world", 11);
    for (int k = 0; k < 2; k++) {
        ADD(&r, SEND_ZC, s[0], m, 11, 0, 1)->ioprio = k ? U_REPORT_USAGE : 0;
        ring_submit(&r);
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, 11);
        CHECK_EQ(c.flags, IORING_CQE_F_MORE);
        CHECK_EQ(recv(s[1], b, 11, MSG_WAITALL), 11);
        c = ring_wait(&r);
        CHECK_EQ(c.user_data, 1);
        CHECK_EQ(c.flags, U_CQE_NOTIF);
        CHECK_EQ((uint32_t)c.res, k ? 1u << 31 : 0);
    }
    // A registered buffer.
    struct iovec v = { m, 4096 };
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
    ADD(&r, SEND_ZC, s[0], m + 6, 5, 0, 2)->ioprio = U_FIXED_BUF;
    ring_submit(&r);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 5);
    CHECK_EQ(recv(s[1], b, 5, MSG_WAITALL), 5);
    CHECK_EQ(memcmp(b, "world", 5), 0);
    c = ring_wait(&r);
    CHECK_EQ(c.flags, U_CQE_NOTIF);
    ADD(&r, SEND_ZC, s[0], m + 4090, 50, 0, 2)->ioprio = U_FIXED_BUF;
    ring_submit(&r);
    c = ring_wait(&r);
    CHECK_EQ(c.res, -EFAULT);
    CHECK_EQ(c.flags, IORING_CQE_F_MORE);
    c = ring_wait(&r);
    CHECK_EQ(c.flags, U_CQE_NOTIF);
    // A message.
    struct iovec w[2] = { { m, 6 }, { m + 6, 5 } };
    struct msghdr h = { .msg_iov = w, .msg_iovlen = 2 };
    prep(ring_sqe(&r), U_OP_SENDMSG_ZC, s[0], &h, 1, 0, 3);
    ring_submit(&r);
    c = ring_wait(&r);
    CHECK_EQ(c.res, 11);
    CHECK_EQ(c.flags, IORING_CQE_F_MORE);
    CHECK_EQ(recv(s[1], b, 11, MSG_WAITALL), 11);
    c = ring_wait(&r);
    CHECK_EQ(c.flags, U_CQE_NOTIF);
    // Mistakes.
    ADD(&r, SEND_ZC, s[0], m, 11, 0, 4)->flags = IOSQE_CQE_SKIP_SUCCESS;
    CHECK_EQ(ring_result(&r, 4), -EINVAL);
    pair_of(SOCK_STREAM, u);
    ADD(&r, SEND_ZC, u[0], m, 11, 0, 5);
    ring_submit(&r);
    c = ring_wait(&r);
    CHECK_EQ(c.res, -EOPNOTSUPP);
    CHECK_EQ(c.flags, IORING_CQE_F_MORE);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 5);
    CHECK_EQ(c.flags, U_CQE_NOTIF);
    drop(u);
    drop(s);
    ring_exit(&r);
    OK(munmap(m, 4096));
}

TEST(udp)
{
    struct ring r;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
    socklen_t n = sizeof a;
    int s = OK(socket(AF_INET, SOCK_DGRAM, 0)), t = OK(socket(AF_INET, SOCK_DGRAM, 0));
    char b[64];
    ring_init(&r, 8, 0);
    OK(bind(s, (struct sockaddr *)&a, n));
    OK(getsockname(s, (struct sockaddr *)&a, &n));
    struct iovec v = { b, 64 };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from };
    ADD(&r, RECVMSG, s, &h, 1, 0, 1);
    ring_submit(&r);
    sqe_t *e = ADD(&r, SEND, t, "hello", 5, (uintptr_t)&a, 2);
    e->addr_len = sizeof a;
    ring_submit(&r);
    cqe_t q[2];
    ring_collect(&r, q, 2);
    CHECK_EQ(q[0].res, 5);
    CHECK_EQ(q[0].flags, 0);
    CHECK_EQ(q[1].res, 5);
    CHECK_EQ(h.msg_namelen, sizeof from);
    CHECK_EQ(from.sin_family, AF_INET);
    OK(close(s));
    OK(close(t));
    ring_exit(&r);
}

TEST(closed_while_waiting)
{
    struct ring r;
    int s[2];
    char b[8];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    ADD(&r, RECV, s[1], b, 8, 0, 1);
    ring_submit(&r);
    OK(close(s[1])); // the request keeps it
    CHECK_EQ(write(s[0], "abc", 3), 3);
    CHECK_EQ(ring_wait(&r).res, 3);
    OK(close(s[0]));
    // The ring goes with a request in it.
    pair_of(SOCK_STREAM, s);
    ADD(&r, RECV, s[1], b, 8, 0, 1);
    ring_submit(&r);
    ring_drop(&r);
    drop(s);
}

TEST(storm)
{
    struct ring r;
    int s[2];
    static char in[64][256];
    ring_init(&r, 128, 0);
    pair_of(SOCK_STREAM, s);
    for (int round = 0; round < 300; round++) {
        int n = 1 + round % 60;
        for (int i = 0; i < n; i++) {
            ADD(&r, RECV, s[1], in[i], 256, 0, 1)->msg_flags = MSG_WAITALL;
            ADD(&r, SEND, s[0], big, 256, 0, 2)->msg_flags = MSG_WAITALL;
        }
        ring_submit(&r);
        for (int i = 0; i < 2 * n; i++) {
            cqe_t c = ring_wait(&r);
            CHECK_EQ(c.res, 256);
        }
    }
    drop(s);
    ring_exit(&r);
}
