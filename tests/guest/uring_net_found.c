// Differences of the network family that comparisons with Linux have found: each is a few requests whose results once were others.
#include "uring_net.h"
#include <sys/epoll.h>
#include <sys/ioctl.h>

static sqe_t *request(struct ring *r, int op, int fd, uint64_t data)
{
    sqe_t *q = ring_sqe(r);
    q->opcode = op;
    q->fd = fd;
    q->user_data = data;
    return q;
}

// A multishot goes on when nobody can connect any more; a single one is told.
TEST(accept_end)
{
    for (int multi = 0; multi < 2; multi++) {
        struct ring r;
        struct sockaddr_un a;
        int l = OK(socket(AF_UNIX, SOCK_STREAM, 0)), c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
        socklen_t n = abstract_name(&a, multi ? "multi" : "single");
        OK(bind(l, (struct sockaddr *)&a, n));
        OK(listen(l, 4));
        OK(connect(c, (struct sockaddr *)&a, n));
        ring_init(&r, 8, 0);
        OK(shutdown(l, SHUT_RD));
        for (int i = 0; i < 2; i++) {
            sqe_t *q = request(&r, IORING_OP_ACCEPT, l, 1);
            q->ioprio = multi;
            if (i == 0 || !multi) {
                cqe_t e = one(&r, 1);
                CHECK_EQ(e.res < 0, i == 1);
                if (e.res < 0)
                    CHECK_EQ(e.res, -EINVAL);
                else
                    OK(close(e.res));
                CHECK_EQ(e.flags & IORING_CQE_F_MORE, multi ? IORING_CQE_F_MORE : 0);
            } else {
                q->opcode = IORING_OP_ASYNC_CANCEL;
                q->addr = 1;
                q->ioprio = 0;
                q->user_data = 2;
                cqe_t e[2];
                ring_submit(&r);
                ring_collect(&r, e, 2);
                CHECK_EQ(e[0].res, -ECANCELED);
                CHECK_EQ(e[1].res, 0);
            }
        }
        ring_exit(&r);
        OK(close(l));
        OK(close(c));
    }
}

// An address of no bytes is none for sendmsg(2) alone.
TEST(empty_address)
{
    struct ring r;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int d = OK(socket(AF_INET, SOCK_DGRAM, 0)), s = OK(socket(AF_INET, SOCK_DGRAM, 0));
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_name = &a, .msg_iov = &v, .msg_iovlen = 1};
    OK(bind(d, (struct sockaddr *)&a, n));
    OK(getsockname(d, (struct sockaddr *)&a, &n));
    CHECK_ERR(sendto(s, "x", 1, 0, (struct sockaddr *)&a, 0), EINVAL);
    CHECK_ERR(sendmsg(s, &m, 0), EDESTADDRREQ);
    OK(connect(s, (struct sockaddr *)&a, n));
    CHECK_ERR(sendto(s, "x", 1, 0, (struct sockaddr *)&a, 0), EINVAL);
    CHECK_EQ(OK(sendto(s, "x", 1, 0, NULL, 0)), 1);
    CHECK_EQ(OK(sendmsg(s, &m, 0)), 1);
    ring_init(&r, 8, 0);
    sqe_t *q = request(&r, IORING_OP_SEND, s, 1);
    q->addr = (uintptr_t)"x";
    q->len = 1;
    q->addr2 = (uintptr_t)&a;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    ring_exit(&r);
    OK(close(s));
    OK(close(d));
}

TEST(bundles)
{
    struct ring r;
    struct pbuf_ring b;
    int s[2];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    pbuf_init(&r, &b, 8, 1);
    for (int i = 0; i < 4; i++)
        pbuf_add(&b, big + i * 10, 10, i);
    // No worker sends one.
    sqe_t *q = request(&r, IORING_OP_SEND, s[0], 1);
    q->ioprio = U_BUNDLE;
    q->flags = IOSQE_ASYNC | IOSQE_BUFFER_SELECT;
    q->buf_group = 1;
    CHECK_EQ(ring_result(&r, 1), -ECANCELED);
    // Without provided buffers it goes on with nothing, but not after a poll.
    for (int first = 0; first < 2; first++) {
        q = request(&r, IORING_OP_SEND, s[0], 1);
        q->ioprio = U_BUNDLE | (first ? U_POLL_FIRST : 0);
        q->addr = (uintptr_t)big;
        q->len = 20;
        cqe_t c = one(&r, 1);
        CHECK_EQ(c.res, 20);
        CHECK_EQ(c.flags, first ? 0 : IORING_CQE_F_MORE);
        if (!first)
            CHECK_EQ(ring_wait(&r).res, 0);
    }
    drop(s);
    ring_exit(&r);
}

// With a length each datagram ends a bundle's turn: the attempt at submission gets one of them.
TEST(bundle_turn)
{
    struct ring r;
    struct pbuf_ring b;
    int s[2];
    ring_init(&r, 8, 0);
    pair_of(SOCK_DGRAM, s);
    pbuf_init(&r, &b, 8, 1);
    for (int i = 0; i < 4; i++)
        pbuf_add(&b, big + i * 100, 100, i);
    for (int i = 0; i < 2; i++)
        OK(send(s[0], big, 50, 0));
    sqe_t *q = request(&r, IORING_OP_RECV, s[1], 1);
    q->ioprio = U_RECV_MULTISHOT | U_BUNDLE;
    q->flags = IOSQE_BUFFER_SELECT;
    q->buf_group = 1;
    q->len = 20;
    q->msg_flags = MSG_DONTWAIT;
    cqe_t c = one(&r, 1);
    CHECK_EQ(c.res, 20);
    CHECK(c.flags & IORING_CQE_F_MORE);
    c = ring_wait(&r);
    CHECK_EQ(c.res, -EAGAIN);
    CHECK_EQ(OK(recv(s[1], big, 100, MSG_DONTWAIT)), 50);
    drop(s);
    ring_exit(&r);
}

// What cannot be sent without a copy is refused before its control data are read.
TEST(zc_order)
{
    struct ring r;
    int s[2];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = (void *)8, .msg_controllen = 32};
    for (int zc = 0; zc < 2; zc++) {
        sqe_t *q = request(&r, zc ? U_OP_SENDMSG_ZC : IORING_OP_SENDMSG, s[0], 1);
        q->addr = (uintptr_t)&m;
        q->len = 1;
        CHECK_EQ(ring_result(&r, 1), zc ? -EOPNOTSUPP : -EFAULT);
        if (zc)
            CHECK_EQ(ring_wait(&r).flags, U_CQE_NOTIF);
    }
    drop(s);
    ring_exit(&r);
}

// Cancelled before it began, a zero-copy send promises nothing.
TEST(zc_cancelled)
{
    struct ring r;
    int s[2];
    ring_init(&r, 8, 0);
    tcp_pair(s);
    sqe_t *q = request(&r, IORING_OP_RECV, s[0], 1);
    q->msg_flags = MSG_DONTWAIT;
    q->addr = (uintptr_t)big;
    q->len = 1;
    q->flags = IOSQE_IO_LINK;
    q = request(&r, IORING_OP_SEND_ZC, s[0], 2);
    q->addr = (uintptr_t)big;
    q->len = 1;
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).res, -EAGAIN);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, -ECANCELED);
    CHECK_EQ(c.flags, 0);
    CHECK_EQ(ring_wait(&r).flags, U_CQE_NOTIF);
    drop(s);
    ring_exit(&r);
}

// What would end in memory that is not there is not read, and a stream's bytes stay.
TEST(bad_memory)
{
    char *pages = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), b[20];
    OK(mprotect(pages + 4096, 4096, PROT_NONE));
    for (int kind = 0; kind < 4; kind++) {
        int s[2];
        if (kind == 3)
            tcp_pair(s);
        else
            pair_of(kind == 0 ? SOCK_STREAM : kind == 1 ? SOCK_DGRAM : SOCK_SEQPACKET, s);
        bool stream = kind == 0 || kind == 3;
        OK(send(s[0], "hello", 5, 0));
        OK(send(s[0], "world", 5, 0));
        CHECK_ERR(recv(s[1], pages + 4093, 10, 0), EFAULT);
        CHECK_EQ(OK(recv(s[1], b, 20, 0)), stream ? 10 : 5);
        CHECK(memcmp(b, stream ? "helloworld" : "world", stream ? 10 : 5) == 0);
        drop(s);
    }
    OK(munmap(pages, 8192));
}

TEST(inq)
{
    int s[2], on = 1;
    char room[64];
    struct iovec v = {big, 2};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    pair_of(SOCK_STREAM, s);
    if (setsockopt(s[1], SOL_SOCKET, 84, &on, sizeof on) < 0 && errno == ENOPROTOOPT) {
        drop(s);
        SKIP("SO_INQ is newer than this kernel");
    }
    OK(send(s[0], "hello", 5, 0));
    CHECK_EQ(OK(recvmsg(s[1], &m, 0)), 2);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    CHECK(h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == 84);
    CHECK_EQ(*(int *)CMSG_DATA(h), 3);
    on = 2;
    CHECK_ERR(setsockopt(s[1], SOL_SOCKET, 84, &on, sizeof on), EINVAL);
    drop(s);
    on = 1;
    pair_of(SOCK_DGRAM, s);
    CHECK_ERR(setsockopt(s[1], SOL_SOCKET, 84, &on, sizeof on), ENOPROTOOPT);
    drop(s);
}

// A socket is writable while less than a quarter of its send buffer is in use.
TEST(writable)
{
    int s[2], out = 0;
    pair_of(SOCK_STREAM, s);
    struct pollfd p = {s[0], POLLOUT, 0};
    while (poll(&p, 1, 0) == 1)
        OK(send(s[0], big, 100, MSG_DONTWAIT));
    OK(ioctl(s[0], TIOCOUTQ, &out));
    int size = 0;
    socklen_t n = sizeof size;
    OK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &size, &n));
    CHECK(out * 4 >= size && (out - 1000) * 4 < size);
    drop(s);
}

TEST(mounts)
{
    int f = OK(open("/proc/self/mounts", O_RDONLY)), e = OK(epoll_create1(0));
    struct pollfd p = {f, POLLIN | POLLOUT | POLLPRI, 0};
    while (read(f, big, sizeof big) > 0)
        ;
    CHECK_EQ(OK(poll(&p, 1, 0)), 1);
    CHECK_EQ(p.revents, POLLIN);
    struct epoll_event ev = {.events = EPOLLPRI};
    OK(epoll_ctl(e, EPOLL_CTL_ADD, f, &ev));
    CHECK_EQ(OK(epoll_wait(e, &ev, 1, 0)), 0);
    OK(close(e));
    OK(close(f));
}

// RECV and ACCEPT that wait first look at what their file is only then; what cannot be waited for is a worker's, and that refuses.
TEST(poll_first_elsewhere)
{
    struct ring r;
    int p[2], file = mt_file("file", 10);
    OK(pipe(p));
    ring_init(&r, 8, 0);
    for (int accepts = 0; accepts < 2; accepts++) {
        int op = accepts ? IORING_OP_ACCEPT : IORING_OP_RECV;
        request(&r, op, p[0], 1)->ioprio = accepts ? U_ACCEPT_POLL_FIRST : U_POLL_FIRST;
        ring_submit(&r);
        ring_quiet(&r);
        CHECK_EQ(OK(write(p[1], "x", 1)), 1);
        CHECK_EQ(ring_wait(&r).res, -ENOTSOCK);
        CHECK_EQ(OK(read(p[0], big, 10)), 1);
        request(&r, op, file, 1)->ioprio = accepts ? U_ACCEPT_POLL_FIRST : U_POLL_FIRST;
        CHECK_EQ(ring_result(&r, 1), -EAGAIN);
        request(&r, op, file, 1)->ioprio = 0;
        CHECK_EQ(ring_result(&r, 1), -ENOTSOCK);
    }
    sqe_t *q = request(&r, IORING_OP_RECV, file, 1);
    q->ioprio = U_POLL_FIRST | U_RECV_MULTISHOT;
    q->flags = IOSQE_BUFFER_SELECT;
    CHECK_EQ(ring_result(&r, 1), -EBADFD);
    static const uint8_t others[] = {IORING_OP_SEND, IORING_OP_SENDMSG, IORING_OP_RECVMSG};
    for (unsigned i = 0; i < countof(others); i++) {
        struct msghdr m = {0};
        q = request(&r, others[i], p[0], 1);
        q->ioprio = U_POLL_FIRST;
        q->addr = (uintptr_t)&m;
        CHECK_EQ(ring_result(&r, 1), -ENOTSOCK);
    }
    ring_exit(&r);
    drop(p);
    OK(close(file));
}

// How many buffers a bundle takes at most is told by the first one's size.
TEST(bundle_by_first)
{
    for (int large = 0; large < 2; large++) {
        struct ring r;
        struct pbuf_ring b;
        int s[2];
        ring_init(&r, 8, 0);
        pair_of(SOCK_DGRAM, s);
        pbuf_init(&r, &b, 8, 1);
        for (int i = 0; i < 8; i++)
            pbuf_add(&b, big + i * 100, i == 0 && large ? 100 : 10, i);
        CHECK_EQ(OK(send(s[0], big, 170, 0)), 170);
        sqe_t *q = request(&r, IORING_OP_RECV, s[1], 1);
        q->ioprio = U_BUNDLE;
        q->flags = IOSQE_BUFFER_SELECT;
        q->buf_group = 1;
        q->len = 150;
        CHECK_EQ(ring_result(&r, 1), large ? 110 : 80);
        drop(s);
        ring_exit(&r);
    }
}

// The length that the header of a multishot gives is for its first message.
TEST(recvmsg_length)
{
    struct ring r;
    struct pbuf_ring b;
    struct iovec v = {NULL, 3};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    int s[2];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    pbuf_init(&r, &b, 4, 1);
    for (int i = 0; i < 4; i++)
        pbuf_add(&b, big + i * 100, 100, i);
    CHECK_EQ(OK(send(s[0], big, 90, 0)), 90);
    sqe_t *q = request(&r, IORING_OP_RECVMSG, s[1], 1);
    q->ioprio = U_RECV_MULTISHOT;
    q->flags = IOSQE_BUFFER_SELECT;
    q->buf_group = 1;
    q->addr = (uintptr_t)&m;
    q->len = 1;
    v.iov_len = 16 + 3;
    CHECK_EQ(one(&r, 1).res, 16 + 3);
    CHECK_EQ(ring_wait(&r).res, 100);
    CHECK_EQ(ring_wait(&r).res, 16 + 3);
    drop(s);
    CHECK_EQ(ring_wait(&r).res, 16);
    ring_exit(&r);
}

// A multishot that gives a name no room is not told of its length either; a bundle or a single buffer of no group is told apart when sent.
TEST(no_name_no_group)
{
    struct ring r;
    struct pbuf_ring b;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int d = OK(socket(AF_INET, SOCK_DGRAM, 0)), s = OK(socket(AF_INET, SOCK_DGRAM, 0));
    OK(bind(d, (struct sockaddr *)&a, n));
    OK(getsockname(d, (struct sockaddr *)&a, &n));
    for (int room = 0; room < 2; room++) {
        struct msghdr m = {.msg_namelen = room ? 16 : 0};
        ring_init(&r, 8, 0);
        pbuf_init(&r, &b, 4, 1);
        pbuf_add(&b, big, 100, 0);
        pbuf_add(&b, big + 100, 100, 1);
        sqe_t *q = request(&r, IORING_OP_RECVMSG, d, 1);
        q->ioprio = U_RECV_MULTISHOT;
        q->flags = IOSQE_BUFFER_SELECT;
        q->buf_group = 1;
        q->addr = (uintptr_t)&m;
        q->len = 1;
        ring_submit(&r);
        CHECK_EQ(OK(sendto(s, "hello", 5, 0, (struct sockaddr *)&a, sizeof a)), 5);
        CHECK_EQ(ring_wait(&r).res, 16 + m.msg_namelen + 5);
        CHECK_EQ(*(uint32_t *)big, m.msg_namelen);
        q = request(&r, IORING_OP_SEND, s, 2);
        q->flags = IOSQE_BUFFER_SELECT;
        q->buf_group = 7;
        CHECK_EQ(ring_result(&r, 2), -ENOENT);
        ring_drop(&r);
    }
    CHECK_ERR(setsockopt(d, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)), EOPNOTSUPP);
    OK(close(s));
    OK(close(d));
}

static void expect_all(struct ring *r, const int (*want)[2], int n)
{
    for (int i = 0; i < n; i++) {
        cqe_t c = ring_wait(r);
        CHECK_EQ(c.res, want[i][0]);
        CHECK_EQ(c.flags, (uint32_t)want[i][1]);
    }
    ring_quiet(r);
}

// A bundle that has found all the buffers there were, if only in vain, ends with its first CQE; what is left of the input is the length of the
// next one, where none is given; and what TCP cuts off fills no room.
TEST(bundles_that_go_on)
{
    static const struct {
        int filled, first, truncates, tcp, n, want[3][2];
        uint32_t length;
    } cases[] = {
        {1, 0, 0, 0, 1, {{37, 5}}, 0},
        {2, 0, 0, 0, 2, {{216, 7}, {51, 0x40003}}, 0},
        {2, 0, 0, 0, 1, {{146, 5}}, 202},
        {4, 0, 0, 1, 2, {{146, 7}, {121, 0x30001}}, 202},
        {4, 1, 1, 0, 1, {{216, 5}}, 0},
        {4, 1, 1, 1, 2, {{37, 7}, {179, 0x10005}}, 0},
    };
    static const unsigned sizes[] = {37, 49, 60, 70, 80};
    for (size_t k = 0; k < countof(cases); k++) {
        struct ring r;
        struct pbuf_ring b;
        int s[2];
        ring_init(&r, 8, 0);
        if (cases[k].tcp)
            tcp_pair(s);
        else
            pair_of(SOCK_STREAM, s);
        pbuf_init(&r, &b, 8, 0);
        for (int i = 0; i < cases[k].filled; i++)
            pbuf_add(&b, big + i * 100, sizes[i], i);
        if (cases[k].first)
            CHECK_EQ(OK(send(s[0], big, 267, 0)), 267);
        sqe_t *q = request(&r, IORING_OP_RECV, s[1], 1);
        q->ioprio = U_RECV_MULTISHOT | U_BUNDLE;
        q->flags = IOSQE_BUFFER_SELECT;
        q->len = cases[k].length;
        q->msg_flags = cases[k].truncates ? MSG_TRUNC : 0;
        ring_submit(&r);
        for (int i = cases[k].filled; i < 5 && !cases[k].first; i++)
            pbuf_add(&b, big + i * 100, sizes[i], i);
        if (!cases[k].first)
            CHECK_EQ(OK(send(s[0], big, 267, 0)), 267);
        expect_all(&r, cases[k].want, cases[k].n);
        drop(s);
        ring_drop(&r);
    }
}

// A bundle that sends goes on unless it has taken all there were, and a poll of TCP is told of what is there once.
TEST(what_is_told_once)
{
    struct ring r;
    struct pbuf_ring b;
    int s[2], t[2];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    tcp_pair(t);
    pbuf_init(&r, &b, 8, 0);
    pbuf_add(&b, big, 100, 3);
    sqe_t *q = request(&r, IORING_OP_SEND, s[0], 1);
    q->ioprio = U_BUNDLE;
    q->flags = IOSQE_BUFFER_SELECT;
    q->len = 23;
    ring_submit(&r);
    expect_all(&r, (const int[][2]){{23, 0x30003}, {-ENOBUFS, 0}}, 2);
    q = request(&r, IORING_OP_POLL_ADD, t[0], 2);
    q->poll32_events = POLLOUT;
    q->len = 1;
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).res, POLLOUT);
    mt_sleep_us(2000);
    ring_quiet(&r);
    drop(t);
    drop(s);
    ring_drop(&r);
}

// A buffer of which a part is used when the rest has to be waited for is used up by that part.
TEST(a_part_of_a_buffer)
{
    struct ring r;
    struct pbuf_ring b;
    int s[2];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    pbuf_init(&r, &b, 8, 0);
    pbuf_add(&b, big, 100, 0);
    pbuf_add(&b, big + 100, 100, 1);
    for (int i = 1; i < 3; i++) {
        sqe_t *q = request(&r, IORING_OP_RECV, s[i == 1], (uint64_t)i);
        q->flags = IOSQE_BUFFER_SELECT;
        q->msg_flags = i == 1 ? MSG_WAITALL : MSG_DONTWAIT;
        CHECK_EQ(OK(send(s[i != 1], big, 10, 0)), 10);
        ring_submit(&r);
    }
    expect_all(&r, (const int[][2]){{10, 0x10001}}, 1);
    drop(s);
    CHECK_EQ(ring_wait(&r).res, 10);
    ring_drop(&r);
}

TEST(options_of_passing)
{
    int n = OK(socket(AF_NETLINK, SOCK_RAW, 0)), t = OK(socket(AF_INET, SOCK_STREAM, 0)), value = 0;
    socklen_t size = sizeof value;
    OK(setsockopt(n, SOL_SOCKET, SO_PASSSEC, &(int){1}, sizeof(int)));
    OK(getsockopt(n, SOL_SOCKET, SO_PASSSEC, &value, &size));
    CHECK_EQ(value, 1);
    CHECK_ERR(setsockopt(t, SOL_SOCKET, SO_PASSSEC, &(int){1}, sizeof(int)), EOPNOTSUPP);
    CHECK_ERR(setsockopt(t, SOL_SOCKET, SO_PASSSEC, &(int){1}, 3), EINVAL);
    OK(close(n));
    OK(close(t));
}

// A worker takes one buffer for what is there first, and one for the rest.
TEST(bundles_of_workers)
{
    static const unsigned sizes[] = {37, 49, 60, 70, 80};
    for (int incremental = 0; incremental < 2; incremental++) {
        struct ring r;
        struct pbuf_ring b = {.e = aligned(4096), .entries = 8, .size = 4096};
        struct io_uring_buf_reg reg = {.ring_entries = 8, .pad = incremental ? 2 : 0, .ring_addr = (uintptr_t)b.e};
        int s[2];
        ring_init(&r, 8, 0);
        pair_of(SOCK_STREAM, s);
        OK(u_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
        for (int i = 0; i < 5; i++)
            pbuf_add(&b, big + i * 100, sizes[i], i);
        CHECK_EQ(OK(send(s[0], big, 200, 0)), 200);
        for (int i = 0; i < 3; i++) {
            sqe_t *q = request(&r, IORING_OP_RECV, s[1], 1);
            q->ioprio = U_BUNDLE;
            q->flags = IOSQE_BUFFER_SELECT | IOSQE_ASYNC;
            q->len = 300;
            q->msg_flags = MSG_DONTWAIT;
            ring_submit(&r);
            expect_all(&r, (const int[][2]){{i == 0 ? 86 : i == 1 ? 114 : -EAGAIN, i == 0 ? 5 : i == 1 ? 0x20001 | incremental << 4 : incremental ? 0x30001 : 0x40001}}, 1);
        }
        drop(s);
        ring_drop(&r);
        OK(munmap(b.e, b.size));
    }
}
