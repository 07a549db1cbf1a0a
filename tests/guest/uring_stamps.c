// When a packet was sent: SO_TIMESTAMPING with MSG_ERRQUEUE, and URING_CMD's SOCKET_URING_OP_TX_TIMESTAMP, which tells it in large completions.
#include "uring_net.h"
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#define U_STAMP_TYPE 17
#define U_CQE_32 (1u << 15)
#define PLAIN (SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY)

static void udp_pair(int s[2], int family)
{
    struct sockaddr_storage a[2];
    socklen_t n = sizeof a[0];
    for (int i = 0; i < 2; i++) {
        memset(&a[i], 0, sizeof a[i]);
        a[i].ss_family = family;
        if (family == AF_INET6)
            ((struct sockaddr_in6 *)&a[i])->sin6_addr = in6addr_loopback;
        else
            ((struct sockaddr_in *)&a[i])->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        s[i] = OK(socket(family, SOCK_DGRAM, 0));
        OK(bind(s[i], (struct sockaddr *)&a[i], family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)));
        n = sizeof a[i];
        OK(getsockname(s[i], (struct sockaddr *)&a[i], &n));
    }
    OK(connect(s[0], (struct sockaddr *)&a[1], n));
    OK(connect(s[1], (struct sockaddr *)&a[0], n));
}

static void stamping(int fd, int what) { OK(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &what, sizeof what)); }

static void ask(struct ring *r, int fd, uint64_t data, int flags)
{
    sqe_t *q = ring_sqe(r);
    q->opcode = IORING_OP_URING_CMD;
    q->fd = fd;
    q->off = 4;
    q->flags = flags;
    q->user_data = data;
    ring_submit(r);
}

// The next completion, which must be a time of about now, and all its places.
static cqe_t stamp(struct ring *r)
{
    while (ring_ready(r) == 0)
        OK(u_enter(r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    bool large = r->p.flags & IORING_SETUP_CQE32;
    uint32_t head = atomic_load(r->cq_head), mask = r->p.cq_entries - 1;
    cqe_t c = r->cqes[(head & mask) << large];
    CHECK(c.flags & IORING_CQE_F_MORE);
    CHECK_EQ(!(c.flags & U_CQE_32), large);
    struct timespec now, *at = (void *)&r->cqes[large ? ((head & mask) << 1) + 1 : (head + 1) & mask];
    OK(clock_gettime(CLOCK_REALTIME, &now));
    CHECK(now.tv_sec - at->tv_sec >= 0 && now.tv_sec - at->tv_sec < 20);
    CHECK(at->tv_nsec >= 0 && at->tv_nsec < 1000000000);
    atomic_store(r->cq_head, head + (large ? 1 : 2));
    return c;
}

static void cancel(struct ring *r, uint64_t data)
{
    sqe_t *q = ring_sqe(r);
    q->opcode = IORING_OP_ASYNC_CANCEL;
    q->addr = data;
    q->user_data = 99;
    ring_submit(r);
    bool large = r->p.flags & IORING_SETUP_CQE32;
    for (int i = 0; i < 2; i++) {
        while (ring_ready(r) == 0)
            OK(u_enter(r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0));
        uint32_t head = atomic_load(r->cq_head);
        cqe_t c = r->cqes[(head & (r->p.cq_entries - 1)) << large];
        CHECK_EQ(c.res, c.user_data == 99 ? 0 : -ECANCELED);
        CHECK_EQ(c.flags, 0);
        atomic_store(r->cq_head, head + 1);
    }
}

static void datagrams(uint32_t setup, int family, int flags)
{
    struct ring r;
    int s[2];
    ring_init(&r, 8, setup);
    udp_pair(s, family);
    stamping(s[0], PLAIN);
    // What came before is told at once.
    OK(send(s[0], "x", 1, 0));
    ask(&r, s[0], 7, flags);
    for (uint32_t i = 0; i < 12; i++) {
        cqe_t c = stamp(&r);
        CHECK_EQ(c.user_data, 7);
        CHECK_EQ(c.res, i);
        CHECK_EQ(c.flags & ~U_CQE_32, IORING_CQE_F_MORE | SCM_TSTAMP_SND << U_STAMP_TYPE);
        OK(send(s[0], "hello", 5, 0));
    }
    stamp(&r);
    cancel(&r, 7);
    ring_drop(&r);
    drop(s);
}

// None of these times is a device's.
// proves: IORING_CQE_F_TSTAMP_HW
TEST(udp) { datagrams(IORING_SETUP_CQE32, AF_INET, 0); }
TEST(udp6) { datagrams(IORING_SETUP_CQE32, AF_INET6, 0); }
TEST(udp_mixed) { datagrams(U_SETUP_CQE_MIXED, AF_INET, 0); }
TEST(udp_defer) { datagrams(IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, AF_INET, 0); }
TEST(udp_async) { datagrams(IORING_SETUP_CQE32, AF_INET, IOSQE_ASYNC); }

TEST(tcp)
{
    struct ring r;
    int s[2];
    ring_init(&r, 8, IORING_SETUP_CQE32);
    tcp_pair(s);
    stamping(s[0], PLAIN | SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_ACK);
    ask(&r, s[0], 7, 0);
    for (int i = 1; i < 4; i++) {
        OK(send(s[0], "hello", 5, 0));
        uint32_t seen = 0;
        for (int k = 0; k < 3; k++) {
            cqe_t c = stamp(&r);
            CHECK_EQ(c.res, i * 5 - 1);
            seen |= 1 << (c.flags >> U_STAMP_TYPE);
        }
        CHECK_EQ(seen, 1 << SCM_TSTAMP_SND | 1 << SCM_TSTAMP_SCHED | 1 << SCM_TSTAMP_ACK);
    }
    cancel(&r, 7);
    ring_drop(&r);
    drop(s);
}

TEST(full)
{
    struct ring r;
    int s[2];
    ring_init(&r, 4, IORING_SETUP_CQE32);
    udp_pair(s, AF_INET);
    stamping(s[0], PLAIN);
    ask(&r, s[0], 7, 0);
    // What has no room waits with the socket, not in the ring.
    for (int i = 0; i < 12; i++)
        OK(send(s[0], "x", 1, 0));
    UNTIL(ring_ready(&r) == 8 || u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0) < 0);
    CHECK_EQ(atomic_load(r.sq_flags) & IORING_SQ_CQ_OVERFLOW, 0);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(stamp(&r).res, i);
    OK(send(s[0], "x", 1, 0));
    for (int i = 8; i < 13; i++)
        CHECK_EQ(stamp(&r).res, i);
    cancel(&r, 7);
    ring_drop(&r);
    drop(s);
}

TEST(small_ring)
{
    struct ring r;
    int s[2], p[2];
    ring_init(&r, 8, 0);
    udp_pair(s, AF_INET);
    OK(pipe(p));
    ask(&r, s[0], 1, 0);
    CHECK_EQ(ring_wait(&r).res, -EINVAL);
    ask(&r, p[0], 1, 0);
    CHECK_EQ(ring_wait(&r).res, -EOPNOTSUPP);
    drop(p);
    drop(s);
    ring_exit(&r);
}

// Every kind of socket can be asked; most never have an answer.
TEST(others)
{
    struct ring r;
    int s[2], t = OK(socket(AF_INET, SOCK_STREAM, 0));
    ring_init(&r, 8, IORING_SETUP_CQE32);
    pair_of(SOCK_STREAM, s);
    ask(&r, s[0], 1, 0);
    OK(send(s[0], "x", 1, 0));
    ask(&r, t, 2, 0);
    OK(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    CHECK_EQ(ring_ready(&r), 0);
    cancel(&r, 1);
    cancel(&r, 2);
    ring_drop(&r);
    drop(s);
    OK(close(t));
}

// Without a ring: the queue of errors has the time and which send it is about, and with it the data unless told otherwise.
TEST(queue)
{
    for (int family = AF_INET; family <= AF_INET6; family += AF_INET6 - AF_INET) {
        int s[2];
        udp_pair(s, family);
        stamping(s[0], PLAIN);
        char b[200], room[400];
        struct iovec v = {b, sizeof b};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
        CHECK_ERR(recvmsg(s[0], &m, MSG_ERRQUEUE), EAGAIN);
        for (uint32_t i = 0; i < 3; i++) {
            stamping(s[0], i < 2 ? PLAIN : PLAIN & ~SOF_TIMESTAMPING_OPT_TSONLY);
            OK(send(s[0], "hello", 5, 0));
            struct pollfd p = {s[0], 0, 0};
            CHECK_EQ(OK(poll(&p, 1, 10000)), 1);
            CHECK_EQ(p.revents, POLLERR);
            m.msg_controllen = sizeof room;
            ssize_t got = OK(recvmsg(s[0], &m, MSG_ERRQUEUE));
            CHECK_EQ(got == 0, i < 2);
            CHECK_EQ(m.msg_flags & MSG_ERRQUEUE, MSG_ERRQUEUE);
            bool time = false, error = false;
            for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
                if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_TIMESTAMPING) {
                    struct timespec *t = (void *)CMSG_DATA(h);
                    time = t[0].tv_sec > 0 && t[1].tv_sec == 0 && t[2].tv_sec == 0;
                } else if (h->cmsg_level == (family == AF_INET ? SOL_IP : SOL_IPV6)) {
                    struct sock_extended_err *e = (void *)CMSG_DATA(h);
                    CHECK_EQ(e->ee_errno, ENOMSG);
                    CHECK_EQ(e->ee_origin, SO_EE_ORIGIN_TIMESTAMPING);
                    CHECK_EQ(e->ee_info, SCM_TSTAMP_SND);
                    CHECK_EQ(e->ee_data, i);
                    error = true;
                }
            }
            CHECK(time && error);
        }
        drop(s);
    }
}

// What is no time stays for the program to read, and so does a time that comes with its data.
TEST(left)
{
    struct ring r;
    int s[2], on = 1;
    char b[2000], room[400];
    ring_init(&r, 8, IORING_SETUP_CQE32);
    udp_pair(s, AF_INET);
    stamping(s[0], PLAIN & ~SOF_TIMESTAMPING_OPT_TSONLY);
    OK(send(s[0], "hello", 5, 0));
    stamping(s[0], PLAIN);
    OK(setsockopt(s[0], SOL_IP, IP_RECVERR, &on, sizeof on));
    ask(&r, s[0], 7, 0);
    OK(send(s[0], "hello", 5, 0));
    stamp(&r);
    OK(close(s[1]));
    struct pollfd p = {s[0], 0, 0};
    OK(send(s[0], "hello", 5, 0));
    stamp(&r);
    int seen = 0;
    for (int i = 0; i < 2; i++) {
        struct iovec v = {b, sizeof b};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
        while (recvmsg(s[0], &m, MSG_ERRQUEUE) < 0) {
            CHECK(errno == EAGAIN || errno == ECONNREFUSED);
            OK(poll(&p, 1, 100));
        }
        for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
            if (h->cmsg_level == SOL_IP && h->cmsg_type == IP_RECVERR)
                seen |= 1 << ((struct sock_extended_err *)CMSG_DATA(h))->ee_origin;
        }
    }
    CHECK_EQ(seen, 1 << SO_EE_ORIGIN_TIMESTAMPING | 1 << SO_EE_ORIGIN_ICMP);
    cancel(&r, 7);
    ring_drop(&r);
    OK(close(s[0]));
}
