// Who of several waiting requests is served first, and waits that readiness alone does not end.
#include "uring_net.h"

static struct ring r;

// Sends `count` single bytes and notes in `order` which of the waiting requests got each.
static void deliver(int fd, int count, uint64_t *order)
{
    for (int i = 0; i < count; i++) {
        CHECK_EQ(write(fd, "x", 1), 1);
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, 1);
        order[i] = c.user_data;
    }
}

// The newest is told first; those that found nothing left enter the queue anew, in the order in which they tried.
TEST(newest_first)
{
    static char b[4];
    int s[2];
    uint64_t order[4];
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 0)
            OK(pipe(s));
        else
            pair_of(kind == 1 ? SOCK_STREAM : SOCK_DGRAM, s);
        ring_init(&r, 8, 0);
        for (int i = 0; i < 4; i++)
            ADD(&r, READ, s[0], b + i, 1, -1, i);
        ring_submit(&r);
        deliver(s[1], 4, order);
        CHECK_EQ(order[0], 3);
        CHECK_EQ(order[1], 0);
        CHECK_EQ(order[2], 2);
        CHECK_EQ(order[3], 1);
        ring_exit(&r);
        drop(s);
    }
}

TEST(polls_newest_first)
{
    int s[2];
    pair_of(SOCK_STREAM, s);
    ring_init(&r, 8, 0);
    for (int i = 0; i < 4; i++)
        add_poll(&r, s[0], POLLIN, i);
    ring_submit(&r);
    CHECK_EQ(write(s[1], "x", 1), 1);
    for (int i = 3; i >= 0; i--)
        CHECK_EQ(ring_wait(&r).user_data, i);
    ring_exit(&r);
    drop(s);
}

static int listener(struct sockaddr_in *a, socklen_t *n)
{
    *a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    *n = sizeof *a;
    int l = OK(socket(AF_INET, SOCK_STREAM, 0));
    OK(bind(l, (struct sockaddr *)a, *n));
    OK(listen(l, 8));
    OK(getsockname(l, (struct sockaddr *)a, n));
    return l;
}

// Accepts wait in line; a multishot stays at its place.
TEST(accepts_oldest_first)
{
    struct sockaddr_in a;
    socklen_t n;
    for (int multishot = 0; multishot < 2; multishot++) {
        int l = listener(&a, &n);
        ring_init(&r, 8, 0);
        for (int i = 0; i < 3; i++)
            ADD(&r, ACCEPT, l, NULL, 0, 0, i)->ioprio = multishot ? U_ACCEPT_MULTISHOT : 0;
        ring_submit(&r);
        for (int i = 0; i < 3; i++) {
            int c = OK(socket(AF_INET, SOCK_STREAM, 0));
            OK(connect(c, (struct sockaddr *)&a, n));
            cqe_t q = ring_wait(&r);
            CHECK_EQ(q.user_data, multishot ? 0 : i);
            OK(close(OK(q.res)));
            OK(close(c));
        }
        ring_drop(&r);
        OK(close(l));
    }
}

// What could not be handed on was accepted all the same: the CQE tells whether more wait.
TEST(accepted_without_a_place)
{
    struct sockaddr_in a;
    socklen_t n;
    int l = listener(&a, &n), c[4];
    ring_init(&r, 8, 0);
    for (int i = 0; i < 4; i++) {
        c[i] = OK(socket(AF_INET, SOCK_STREAM, 0));
        OK(connect(c[i], (struct sockaddr *)&a, n));
    }
    ADD(&r, ACCEPT, l, NULL, 0, 0, 1)->file_index = U_ALLOC;
    cqe_t q = one(&r, 1);
    CHECK_EQ(q.res, -ENFILE);
    CHECK_EQ(q.flags, U_CQE_NONEMPTY);
    int none = -1;
    OK(u_register(r.fd, IORING_REGISTER_FILES, &none, 1));
    ADD(&r, ACCEPT, l, NULL, 0, 0, 2)->file_index = 9;
    q = one(&r, 2);
    CHECK_EQ(q.res, -EINVAL);
    CHECK_EQ(q.flags, U_CQE_NONEMPTY);
    ADD(&r, ACCEPT, l, NULL, 0, 0, 3)->file_index = U_ALLOC;
    CHECK_EQ(one(&r, 3).res, 0);
    ADD(&r, ACCEPT, l, NULL, 0, 0, 4)->file_index = U_ALLOC;
    q = one(&r, 4);
    CHECK_EQ(q.res, -ENFILE);
    CHECK_EQ(q.flags, 0);
    ring_exit(&r);
    for (int i = 0; i < 4; i++)
        OK(close(c[i]));
    OK(close(l));
}

TEST(direct_descriptors_without_a_table)
{
    int f[2];
    ring_init(&r, 8, 0);
    ADD(&r, OPENAT, AT_FDCWD, ".", 0, 0, 1)->file_index = U_ALLOC;
    CHECK_EQ(one(&r, 1).res, -ENFILE);
    ADD(&r, OPENAT, AT_FDCWD, ".", 0, 0, 2)->file_index = 1;
    CHECK_EQ(one(&r, 2).res, -ENXIO);
    ADD(&r, SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM, 3)->file_index = U_ALLOC;
    CHECK_EQ(one(&r, 3).res, -ENFILE);
    prep(ring_sqe(&r), U_OP_LAST_6_18 - 1, 0, f, 0, 0, 4)->file_index = U_ALLOC;
    CHECK_EQ(one(&r, 4).res, -ENFILE);
    ring_exit(&r);
}

// A datagram socket that receives no more is readable for ever, but an attempt finds nothing: only who waits is told of the end.
TEST(datagrams_after_shutdown)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    char b[8];
    int s = OK(socket(AF_INET, SOCK_DGRAM, 0));
    OK(bind(s, (struct sockaddr *)&a, n));
    OK(getsockname(s, (struct sockaddr *)&a, &n));
    OK(connect(s, (struct sockaddr *)&a, n));
    ring_init(&r, 8, 0);
    ADD(&r, RECV, s, b, 8, 0, 1);
    ring_submit(&r);
    OK(shutdown(s, SHUT_RD));
    CHECK_EQ(ring_wait(&r).res, 0);
    CHECK_EQ(recv(s, b, 8, 0), 0);
    CHECK_ERR(recv(s, b, 8, MSG_DONTWAIT), EAGAIN);
    ring_exit(&r);
    OK(close(s));
}

// One's own shutdown is not the other side's end: nothing is left to be told of.
TEST(stream_after_shutdown)
{
    char b[8];
    int s[2];
    tcp_pair(s);
    ring_init(&r, 8, 0);
    ADD(&r, RECV, s[0], b, 8, 0, 1);
    ring_submit(&r);
    OK(shutdown(s[0], SHUT_RD));
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 0);
    CHECK_EQ(c.flags, 0);
    ADD(&r, RECV, s[1], b, 8, 0, 2);
    ring_submit(&r);
    OK(shutdown(s[0], SHUT_WR));
    c = ring_wait(&r);
    CHECK_EQ(c.res, 0);
    CHECK_EQ(c.flags, U_CQE_NONEMPTY);
    ring_exit(&r);
    drop(s);
}

// The queue of errors is looked at and never waited for.
TEST(no_errors_to_receive)
{
    char b[8];
    int s[2];
    tcp_pair(s);
    CHECK_EQ(write(s[1], "x", 1), 1);
    ring_init(&r, 8, 0);
    ADD(&r, RECV, s[0], b, 8, 0, 1)->msg_flags = MSG_ERRQUEUE;
    CHECK_EQ(one(&r, 1).res, -EAGAIN);
    ring_exit(&r);
    drop(s);
}

// A local socket whose listener is full looks connected to nobody, which is always ready: O_NONBLOCK counts, and to cancel is to interrupt.
TEST(a_full_backlog)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "full");
    struct __kernel_timespec ts = { 0, 100000000 };
    cqe_t c[2];
    int l = OK(socket(AF_UNIX, SOCK_STREAM, 0)), s[3];
    OK(bind(l, (struct sockaddr *)&a, n));
    OK(listen(l, 0));
    s[0] = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    s[1] = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    s[2] = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    OK(connect(s[0], (struct sockaddr *)&a, n));
    ring_init(&r, 8, 0);
    ADD(&r, CONNECT, s[1], &a, 0, n, 1);
    CHECK_EQ(one(&r, 1).res, -EAGAIN);
    ADD(&r, CONNECT, s[2], &a, 0, n, 1);
    ring_submit(&r);
    mt_sleep_us(50000);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -EINTR);
    CHECK_EQ(c[1].res, -EALREADY);
    ADD(&r, CONNECT, s[2], &a, 0, n, 1)->flags = IOSQE_IO_LINK;
    ADD(&r, LINK_TIMEOUT, -1, &ts, 1, 0, 2);
    ring_submit(&r);
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -EINTR);
    CHECK_EQ(c[1].res, -ENOENT);
    ADD(&r, CONNECT, s[2], &a, 0, n, 1);
    ring_submit(&r);
    OK(close(OK(accept(l, NULL, NULL))));
    CHECK_EQ(ring_wait(&r).res, 0);
    ring_exit(&r);
    for (int i = 0; i < 3; i++)
        OK(close(s[i]));
    OK(close(l));
}

TEST(a_listener_that_was_shut_down)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "shut");
    int l = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    OK(bind(l, (struct sockaddr *)&a, n));
    OK(listen(l, 0));
    OK(shutdown(l, SHUT_RDWR));
    CHECK_ERR(accept(l, NULL, NULL), EINVAL);
    ring_init(&r, 8, 0);
    ADD(&r, ACCEPT, l, NULL, 0, 0, 1);
    CHECK_EQ(one(&r, 1).res, -EINVAL);
    OK(fcntl(l, F_SETFL, O_NONBLOCK));
    CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
    ADD(&r, ACCEPT, l, NULL, 0, 0, 2);
    CHECK_EQ(one(&r, 2).res, -EAGAIN);
    ring_exit(&r);
    OK(close(l));
}

// Opened in place a FIFO is not waited for, yet reads and writes of it are.
TEST(a_fifo_is_opened_at_once)
{
    OK(mkfifo("fifo", 0600));
    ring_init(&r, 8, 0);
    ADD(&r, OPENAT, AT_FDCWD, "fifo", 0, 0, 1)->open_flags = O_WRONLY;
    CHECK_EQ(one(&r, 1).res, -ENXIO);
    ADD(&r, OPENAT, AT_FDCWD, "fifo", 0, 0, 2)->open_flags = O_RDONLY;
    int fd = OK(one(&r, 2).res);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    OK(close(fd));
    ring_exit(&r);
}

// What a thread does to one socket is known at the other before it goes on: two sends are two messages, though they are a stream.
TEST(sends_are_told_at_once)
{
    static char buffers[8][64];
    int s[2];
    for (int kind = 0; kind < 2; kind++) {
        if (kind == 0)
            tcp_pair(s);
        else
            pair_of(SOCK_STREAM, s);
        ring_init(&r, 8, 0);
        ADD(&r, PROVIDE_BUFFERS, 8, buffers, 64, 0, 1);
        CHECK_EQ(one(&r, 1).res, 0);
        sqe_t *q = ADD(&r, RECV, s[0], NULL, 0, 0, 2);
        q->flags = IOSQE_BUFFER_SELECT;
        q->ioprio = U_RECV_MULTISHOT;
        ring_submit(&r);
        for (int i = 1; i <= 4; i++)
            CHECK_EQ(send(s[1], "abcd", i, 0), i);
        for (int i = 1; i <= 4; i++) {
            cqe_t c = ring_wait(&r);
            CHECK_EQ(c.res, i);
            CHECK(c.flags & IORING_CQE_F_MORE);
        }
        OK(close(s[1]));
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, 0);
        CHECK_EQ(c.flags, kind == 0 ? U_CQE_NONEMPTY : 0); // TCP tells of its end
        ring_exit(&r);
        OK(close(s[0]));
    }
}

// Older and newer requests that go on for long: each keeps its place.
TEST(multishots_keep_their_places)
{
    static char buffers[16][16];
    int s[2];
    pair_of(SOCK_DGRAM, s);
    ring_init(&r, 8, 0);
    ADD(&r, PROVIDE_BUFFERS, 16, buffers, 16, 0, 9);
    CHECK_EQ(one(&r, 9).res, 0);
    for (int i = 1; i <= 3; i++) {
        sqe_t *q = ADD(&r, RECV, s[0], NULL, 0, 0, i);
        q->flags = IOSQE_BUFFER_SELECT;
        q->ioprio = U_RECV_MULTISHOT;
    }
    ring_submit(&r);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(write(s[1], "x", 1), 1);
        CHECK_EQ(ring_wait(&r).user_data, 3);
    }
    add_cancel(&r, 3, 0, 9);
    ring_submit(&r);
    for (int i = 0; i < 2; i++)
        ring_wait(&r);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(write(s[1], "x", 1), 1);
        CHECK_EQ(ring_wait(&r).user_data, 2);
    }
    ring_drop(&r);
    drop(s);
}

// An empty message and the end come with the header that all messages have, and end the request.
TEST(the_end_of_messages)
{
    static char buffers[4][64];
    struct iovec v = { 0 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
    int s[2];
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 0)
            tcp_pair(s);
        else
            pair_of(kind == 1 ? SOCK_SEQPACKET : SOCK_DGRAM, s);
        ring_init(&r, 8, 0);
        ADD(&r, PROVIDE_BUFFERS, 4, buffers, 64, 0, 1);
        CHECK_EQ(one(&r, 1).res, 0);
        sqe_t *q = ADD(&r, RECVMSG, s[0], &m, 1, 0, 2);
        q->flags = IOSQE_BUFFER_SELECT;
        q->ioprio = U_RECV_MULTISHOT;
        ring_submit(&r);
        if (kind == 2)
            CHECK_EQ(send(s[1], "", 0, 0), 0);
        else
            OK(shutdown(s[1], SHUT_WR));
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, 16);
        CHECK_EQ(c.flags & (IORING_CQE_F_MORE | IORING_CQE_F_BUFFER), IORING_CQE_F_BUFFER);
        m.msg_controllen = -1;
        q = ADD(&r, RECVMSG, s[0], &m, 1, 0, 3);
        q->flags = IOSQE_BUFFER_SELECT;
        q->ioprio = U_RECV_MULTISHOT;
        CHECK_EQ(one(&r, 3).res, -EOVERFLOW);
        m.msg_controllen = 0;
        ring_exit(&r);
        drop(s);
    }
}

// A bundle that goes on takes as many buffers as it has needed before; when none is left behind, it ends.
TEST(bundles_take_what_they_needed)
{
    static char data[100];
    struct pbuf_ring b;
    int s[2];
    pair_of(SOCK_STREAM, s);
    ring_init(&r, 8, 0);
    if (!(r.p.features & U_FEAT_BUNDLE))
        SKIP("no bundles");
    pbuf_init(&r, &b, 16, 1);
    for (int i = 0; i < 6; i++)
        pbuf_add(&b, data + 16 * i, 16, i);
    sqe_t *q = ADD(&r, RECV, s[0], NULL, 0, 0, 1);
    q->flags = IOSQE_BUFFER_SELECT;
    q->buf_group = 1;
    q->ioprio = U_RECV_MULTISHOT | U_BUNDLE;
    ring_submit(&r);
    CHECK_EQ(send(s[1], data, 50, 0), 50);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 48);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE | U_CQE_NONEMPTY);
    c = ring_wait(&r);
    CHECK_EQ(c.res, 2);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE | 3 << IORING_CQE_BUFFER_SHIFT);
    CHECK_EQ(send(s[1], data, 5, 0), 5);
    c = ring_wait(&r);
    CHECK_EQ(c.res, 5);
    CHECK_EQ(c.flags, IORING_CQE_F_BUFFER | 4 << IORING_CQE_BUFFER_SHIFT);
    ring_exit(&r);
    OK(munmap(b.e, b.size));
    drop(s);
}
