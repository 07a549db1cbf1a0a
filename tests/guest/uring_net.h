// What the tests of io_uring on sockets share: names of newer kernels, buffer rings, pairs.
#ifndef MOAT_URING_NET_H
#define MOAT_URING_NET_H

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

MT_UNUSED static char big[1 << 20];

struct pbuf_ring {
    struct io_uring_buf *e;
    uint32_t entries, tail;
    size_t size;
};

MT_UNUSED MT_UNUSED static void *aligned(size_t size)
{
    return OK(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
}

MT_UNUSED static void pbuf_init(struct ring *r, struct pbuf_ring *b, uint32_t entries, int group)
{
    b->size = entries * 16 < 4096 ? 4096 : entries * 16;
    b->e = aligned(b->size);
    b->entries = entries;
    b->tail = 0;
    struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)b->e, .ring_entries = entries, .bgid = group };
    OK(u_register(r->fd, 22, &reg, 1));
}

MT_UNUSED static void pbuf_add(struct pbuf_ring *b, void *at, uint32_t length, int id)
{
    struct io_uring_buf *e = &b->e[b->tail & (b->entries - 1)];
    e->addr = (uintptr_t)at;
    e->len = length;
    e->bid = id;
    b->tail++;
    atomic_store((_Atomic uint16_t *)((char *)b->e + 14), b->tail);
}

MT_UNUSED static void pair_of(int type, int s[2]) { OK(socketpair(AF_UNIX, type, 0, s)); }

MT_UNUSED static void drop(const int s[2])
{
    OK(close(s[0]));
    OK(close(s[1]));
}

MT_UNUSED static socklen_t abstract_name(struct sockaddr_un *a, const char *tail)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    int n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "moat-net-%d-%s", getpid(), tail);
    return offsetof(struct sockaddr_un, sun_path) + 1 + n;
}

// A connected pair over TCP.
MT_UNUSED static void tcp_pair(int s[2])
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

MT_UNUSED static cqe_t one(struct ring *r, uint64_t data)
{
    ring_submit(r);
    cqe_t c = ring_wait(r);
    CHECK_EQ(c.user_data, data);
    return c;
}

#endif
