// io_uring on sockets: provided buffers, multishot receives, bundles; TCP and UDP, zero-copy sends, commands; storms.
#include "uring_net.h"
#include <sys/eventfd.h>

// What most of the subtests need: a ring, a connected pair, memory, and a buffer ring of group 1.
static struct ring r;
static struct pbuf_ring g;
static int s[2];
static char *m;

#define MEMORY 8192ul

// `buffers` of `length` bytes each go into the buffer ring, numbered from 0.
static void begin(int type, uint32_t entries, int buffers, uint32_t length)
{
    m = aligned(MEMORY);
    ring_init(&r, entries, 0);
    pair_of(type, s);
    pbuf_init(&r, &g, entries, 1);
    for (int i = 0; i < buffers; i++)
        pbuf_add(&g, m + i * length, length, i);
}

// The end when the pair is closed already.
static void leave(void)
{
    ring_exit(&r);
    OK(munmap(m, MEMORY));
    OK(munmap(g.e, g.size));
}

static void end(void)
{
    drop(s);
    leave();
}

// A request that takes its buffer from a group.
static sqe_t *pick(int op, int fd, void *message, uint32_t length, int how, int group, uint64_t data)
{
    sqe_t *e = prep(ring_sqe(&r), op, fd, message, length, 0, data);
    e->flags = IOSQE_BUFFER_SELECT;
    e->ioprio = how;
    e->buf_group = group;
    return e;
}

static sqe_t *pick_recv(uint32_t length, int how, uint64_t data) { return pick(IORING_OP_RECV, s[1], NULL, length, how, 1, data); }

TEST(buffers)
{
    begin(SOCK_STREAM, 8, 4, 64);
    pick_recv(0, 0, 1);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(s[0], "hello", 5), 5);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 5);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 0 << 16);
    CHECK_EQ(memcmp(m, "hello", 5), 0);
    // A length below the buffer's.
    CHECK_EQ(write(s[0], "hello", 5), 5);
    pick_recv(2, 0, 1);
    c = one(&r, 1);
    CHECK_EQ(c.res, 2);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 1 << 16 | U_CQE_NONEMPTY);
    // RECVMSG.
    struct iovec v = { NULL, 0 };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
    pick(IORING_OP_RECVMSG, s[1], &h, 1, 0, 1, 1);
    c = one(&r, 1);
    CHECK_EQ(c.res, 3);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 2 << 16);
    h.msg_iovlen = 2;
    pick(IORING_OP_RECVMSG, s[1], &h, 1, 0, 1, 1);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    // SEND takes one as well.
    memcpy(m + 3 * 64, "sent from a buffer", 18);
    pick(IORING_OP_SEND, s[0], NULL, 18, 0, 1, 1);
    c = one(&r, 1);
    CHECK_EQ(c.res, 18);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 3 << 16);
    // None left.
    pick_recv(0, 0, 1);
    c = one(&r, 1);
    CHECK_EQ(c.res, -ENOBUFS);
    CHECK_EQ(c.flags, 0);
    // A list.
    ADD(&r, PROVIDE_BUFFERS, 2, m + 1024, 64, 40, 1)->buf_group = 7;
    CHECK_EQ(ring_result(&r, 1), 0);
    pick(IORING_OP_RECV, s[1], NULL, 0, 0, 7, 1);
    c = one(&r, 1);
    CHECK_EQ(c.res, 18);
    CHECK_EQ(c.flags & 1, 1);
    // At the end none is used up.
    OK(shutdown(s[0], SHUT_WR));
    pick(IORING_OP_RECV, s[1], NULL, 0, 0, 7, 1);
    c = one(&r, 1);
    CHECK_EQ(c.res, 0);
    CHECK_EQ(c.flags, 0);
    end();
}

// proves: IORING_CQE_F_SOCK_NONEMPTY
TEST(recv_multishot)
{
    begin(SOCK_STREAM, 16, 6, 16);
    pick_recv(0, U_RECV_MULTISHOT, 1);
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
    pick_recv(0, U_RECV_MULTISHOT, 2);
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
    leave();
}

TEST(recv_multishot_many)
{
    begin(SOCK_DGRAM, 128, 100, 16);
    for (int i = 0; i < 90; i++)
        CHECK_EQ(write(s[0], "abcd", 4), 4);
    pick_recv(0, U_RECV_MULTISHOT, 1);
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
    end();
}

TEST(recv_multishot_limit)
{
    begin(SOCK_STREAM, 16, 10, 16);
    CHECK_EQ(write(s[0], big, 100), 100);
    pick_recv(0, U_RECV_MULTISHOT, 1)->splice_fd_in = 40; // optlen
    ring_submit(&r);
    int want[] = { 16, 16, 16 };
    for (int i = 0; i < 3; i++) {
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, want[i]);
        CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | U_CQE_NONEMPTY | (i < 2 ? IORING_CQE_F_MORE : 0) | i << 16);
    }
    // The length of the request bounds each receive.
    pick_recv(5, U_RECV_MULTISHOT, 2);
    ring_submit(&r);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 5);
    OK(close(s[0]));
    while (c.flags & IORING_CQE_F_MORE)
        c = ring_wait(&r);
    OK(close(s[1]));
    leave();
}

struct recvmsg_out {
    uint32_t namelen, controllen, payloadlen, flags;
};

TEST(recvmsg_multishot)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "source");
    begin(SOCK_DGRAM, 16, 6, 128);
    OK(bind(s[0], (struct sockaddr *)&a, n));
    struct msghdr h = { .msg_namelen = 40, .msg_controllen = 32 };
    int v = 1;
    OK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &v, sizeof v));
    pick(IORING_OP_RECVMSG, s[1], &h, 1, U_RECV_MULTISHOT, 1, 1);
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
    pick(IORING_OP_RECVMSG, s[1], &h, 1, U_RECV_MULTISHOT, 1, 1);
    cqe_t c = one(&r, 1);
    CHECK_EQ(c.res, -EFAULT);
    h.msg_namelen = -1;
    h.msg_name = &a;
    pick(IORING_OP_RECVMSG, s[1], &h, 1, U_RECV_MULTISHOT, 1, 1);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    end();
}

// proves: IORING_FEAT_RECVSEND_BUNDLE
TEST(bundles)
{
    struct pbuf_ring h;
    begin(SOCK_STREAM, 16, 4, 16);
    if (!(r.p.features & U_FEAT_BUNDLE))
        SKIP("no bundles");
    pbuf_init(&r, &h, 16, 2);
    for (int i = 0; i < 4; i++)
        memset(m + i * 16, 'a' + i, 16);
    pick(IORING_OP_SEND, s[0], NULL, 0, U_BUNDLE, 1, 1);
    cqe_t c = one(&r, 1);
    CHECK_EQ(c.res, 64);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 0 << 16);
    for (int i = 0; i < 16; i++)
        pbuf_add(&h, m + 1024 + i * 16, 16, 20 + i);
    // A length: as many buffers as it needs.
    pick(IORING_OP_RECV, s[1], NULL, 40, U_BUNDLE, 2, 2);
    c = one(&r, 2);
    CHECK_EQ(c.res, 32); // whole buffers
    CHECK_EQ(c.flags & ~U_CQE_NONEMPTY, IORING_CQE_F_BUFFER | 20 << 16);
    CHECK_EQ(memcmp(m + 1024, m, 32), 0);
    // Without one: what is there.
    pick(IORING_OP_RECV, s[1], NULL, 0, U_BUNDLE, 2, 2);
    c = one(&r, 2);
    CHECK_EQ(c.res, 32);
    CHECK_EQ(c.flags & ~U_CQE_NONEMPTY, IORING_CQE_F_BUFFER | 22 << 16);
    // Multishot.
    pick(IORING_OP_RECV, s[1], NULL, 0, U_BUNDLE | U_RECV_MULTISHOT, 2, 3);
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
    pick(IORING_OP_SEND, s[0], NULL, 0, U_BUNDLE, 1, 1);
    CHECK_EQ(ring_result(&r, 1), -ENOBUFS);
    end();
    OK(munmap(h.e, h.size));
}

// A worker begins a bundle, and what comes later goes on with the buffer it has.
TEST(a_bundle_that_a_worker_began)
{
    begin(SOCK_STREAM, 16, 4, 16);
    for (int i = 0; i < 2; i++) {
        sqe_t *e = pick_recv(0, U_BUNDLE, 1);
        e->flags = IOSQE_BUFFER_SELECT | IOSQE_ASYNC;
        e->msg_flags = MSG_WAITALL;
        ring_submit(&r);
        mt_sleep_us(5000);
        CHECK_EQ(write(s[0], "abcde", 5), 5);
        mt_sleep_us(5000);
        CHECK_EQ(write(s[0], "fghijklmnop", 11), 11);
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, 16);
        CHECK_EQ(c.flags & ~U_CQE_NONEMPTY, IORING_CQE_F_BUFFER | i << 16);
        CHECK_EQ(memcmp(m + i * 16, "abcdefghijklmnop", 16), 0);
    }
    end();
}

// proves: IORING_OP_URING_CMD
TEST(tcp)
{
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

// proves: IORING_OP_CONNECT
TEST(tcp_connect)
{
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

// Flags that do not go together are refused before anything is looked at, and a report that is refused is none.
TEST(zero_copy_of_the_impossible)
{
    enum { BUNDLE = 1 << 4 };
    int e = OK(eventfd(0, 0));
    m = aligned(MEMORY);
    struct iovec v = { m, 4096 }, w = { m, 10 };
    struct msghdr h = { .msg_iov = &w, .msg_iovlen = 1 };
    ring_init(&r, 8, 0);
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    for (int registered = 0; registered < 2; registered++) {
        if (registered)
            OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
        struct { int op, fd; uint16_t how; int res, notice; } const t[] = {
            { IORING_OP_SEND_ZC, s[0], U_VECTORIZED | U_FIXED_BUF, -EINVAL, 0 },
            { IORING_OP_SEND_ZC, e, U_VECTORIZED | U_FIXED_BUF, -EINVAL, 0 },
            { IORING_OP_SEND_ZC, -1, U_VECTORIZED | U_FIXED_BUF | U_REPORT_USAGE, -EINVAL, INT_MIN },
            { IORING_OP_SEND_ZC, s[0], BUNDLE | U_REPORT_USAGE, -EINVAL, 0 },
            { IORING_OP_SEND_ZC, s[0], U_VECTORIZED, -EOPNOTSUPP, 0 },
            { IORING_OP_SEND_ZC, e, U_FIXED_BUF, -ENOTSOCK, 0 },
            { U_OP_SENDMSG_ZC, e, U_FIXED_BUF, registered ? -ENOTSOCK : -EFAULT, 0 },
            { U_OP_SENDMSG_ZC, s[0], U_FIXED_BUF, registered ? -EOPNOTSUPP : -EFAULT, 0 },
            { U_OP_SENDMSG_ZC, e, 0, -ENOTSOCK, 0 },
        };
        for (unsigned i = 0; i < countof(t); i++) {
            bool vector = t[i].how & U_VECTORIZED, message = t[i].op == U_OP_SENDMSG_ZC;
            prep(ring_sqe(&r), t[i].op, t[i].fd, message ? (void *)&h : vector ? (void *)&w : m, message || vector ? 1 : 10, 0, i)->ioprio = t[i].how;
            CHECK_EQ(ring_result(&r, i), t[i].res);
            cqe_t c = ring_wait(&r);
            CHECK_EQ(c.flags, U_CQE_NOTIF);
            CHECK_EQ(c.res, t[i].notice);
        }
    }
    OK(close(s[0]));
    OK(close(s[1]));
    OK(close(e));
    ring_exit(&r);
    OK(munmap(m, MEMORY));
}

// proves: IORING_OP_SEND_ZC, IORING_OP_SENDMSG_ZC, IORING_CQE_F_NOTIF
TEST(zero_copy)
{
    int u[2];
    char b[64];
    m = aligned(MEMORY);
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
    OK(munmap(m, MEMORY));
}

TEST(udp)
{
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
