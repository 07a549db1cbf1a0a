// Provided buffers: lists (PROVIDE_BUFFERS), rings of buffers in the program's memory and mapped from the ring, used in
// part (incremental), their state; reads that pick one, once or many times.
#include "uring.h"
#include <sys/socket.h>
#include <sys/eventfd.h>

#define PAGE 4096ul
#define CQE_F_BUF_MORE (1u << 4)
#define PBUF_MMAP 1
#define PBUF_INC 2
#define REGISTER_PBUF_STATUS 26

struct buf_reg {
    uint64_t ring_addr;
    uint32_t ring_entries;
    uint16_t bgid, flags;
    uint64_t resv[3];
};

struct buf_status {
    uint32_t group, head;
    uint32_t resv[8];
};

struct buf {
    uint64_t addr;
    uint32_t len;
    uint16_t bid, tail;
};

static struct ring r;
static char area[64][1024];

static char *pages(size_t n)
{
    return OK(mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int provide(void *at, uint32_t len, int count, int group, int first)
{
    sqe_t *s = ADD(&r, PROVIDE_BUFFERS, count, at, len, first, 900);
    s->buf_group = (uint16_t)group;
    return ring_result(&r, 900);
}

static int removal(int count, int group)
{
    ADD(&r, REMOVE_BUFFERS, count, NULL, 0, 0, 901)->buf_group = (uint16_t)group;
    return ring_result(&r, 901);
}

static sqe_t *add_read(int fd, uint32_t len, int group, uint64_t off, uint64_t data)
{
    sqe_t *s = ADD(&r, READ, fd, NULL, len, off, data);
    s->buf_group = (uint16_t)group;
    s->flags = IOSQE_BUFFER_SELECT;
    return s;
}

static cqe_t one(void)
{
    ring_submit(&r);
    return ring_wait(&r);
}

#define CHECK_CQE(c, r, f) do { cqe_t c_ = (c); CHECK_EQ(c_.res, r); CHECK_EQ(c_.flags, f); } while (0)
#define BID(n) (IORING_CQE_F_BUFFER | (uint32_t)(n) << 16)

static struct buf *ring_of_buffers(int group, uint32_t entries, uint16_t flags)
{
    struct buf_reg reg = {0, entries, (uint16_t)group, flags, {0}};
    struct buf *b = NULL;
    if (!(flags & PBUF_MMAP))
        reg.ring_addr = (uintptr_t)(b = (void *)pages((entries * sizeof *b + PAGE - 1) / PAGE));
    OK(u_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    if (flags & PBUF_MMAP)
        b = OK(mmap(NULL, entries * sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd, 0x80000000ul | (uint64_t)group << 16));
    return b;
}

static void drop_ring(int group)
{
    struct buf_reg reg = {.bgid = (uint16_t)group};
    OK(u_register(r.fd, IORING_UNREGISTER_PBUF_RING, &reg, 1));
}

static void put(struct buf *b, uint32_t entries, void *at, uint32_t len, int bid)
{
    uint16_t tail = b->tail;
    struct buf *e = &b[tail & (entries - 1)];
    e->addr = (uintptr_t)at;
    e->len = len;
    e->bid = (uint16_t)bid;
    __atomic_store_n(&b->tail, tail + 1, __ATOMIC_RELEASE);
}

static int head_of(int group)
{
    struct buf_status st = {.group = (uint32_t)group};
    return u_register(r.fd, REGISTER_PBUF_STATUS, &st, 1) ? -errno : (int)st.head;
}

// proves: IORING_OP_PROVIDE_BUFFERS, IOSQE_BUFFER_SELECT, IORING_CQE_F_BUFFER
TEST(lists)
{
    int fd = mt_file("f", 4000);
    ring_init(&r, 8, 0);
    add_read(fd, 100, 5, 0, 1);
    CHECK_CQE(one(), -ENOBUFS, 0);
    CHECK_EQ(provide(area, 1024, 4, 5, 10), 0);
    add_read(fd, 100, 5, 0, 1);
    CHECK_CQE(one(), 100, BID(10));
    CHECK_EQ(mt_differs(area[0], 100, 0), -1);
    add_read(fd, 0, 5, 200, 1); // the whole buffer
    CHECK_CQE(one(), 1024, BID(11));
    CHECK_EQ(mt_differs(area[1], 1024, 200), -1);
    add_read(fd, 5000, 5, 0, 1);
    CHECK_CQE(one(), 1024, BID(12));
    add_read(fd, 500, 5, 3900, 1)->flags |= IOSQE_ASYNC;
    CHECK_CQE(one(), 100, BID(13));
    add_read(fd, 100, 5, 0, 1);
    CHECK_CQE(one(), -ENOBUFS, 0);
    CHECK_EQ(removal(3, 5), 0);
    CHECK_EQ(provide(area, 1024, 4, 5, 0), 0);
    CHECK_EQ(provide(area[8], 1024, 2, 5, 65534), 0);
    CHECK_EQ(removal(5, 5), 5);
    add_read(fd, 100, 5, 5000, 1); // beyond the end
    CHECK_CQE(one(), 0, BID(65535));
    CHECK_EQ(removal(1, 6), -ENOENT);
    ring_exit(&r);
    OK(close(fd));
}

// proves: IORING_OP_REMOVE_BUFFERS
TEST(what_lists_refuse)
{
    ring_init(&r, 8, 0);
    CHECK_EQ(provide(area, 10, 0, 1, 0), -E2BIG);
    CHECK_EQ(provide(area, 10, -1, 1, 0), -E2BIG);
    CHECK_EQ(provide(area, 10, 65537, 1, 0), -E2BIG);
    CHECK_EQ(provide(area, 10, 2, 1, 65535), -EINVAL);
    CHECK_EQ(provide(area, 10, 2, 1, 65536), -E2BIG);
    CHECK_EQ(provide(area, 0, 2, 1, 0), -EINVAL);
    CHECK_EQ(provide((void *)~4095ul, 10000, 2, 1, 0), -EOVERFLOW);
    CHECK_EQ(provide((void *)(1ul << 60), 10, 2, 1, 0), -EFAULT);
    CHECK_EQ(provide((void *)4096, 10, 2, 1, 0), 0); // not looked at
    CHECK_EQ(removal(0, 1), -EINVAL);
    CHECK_EQ(removal(65537, 1), -EINVAL);
    CHECK_EQ(removal(65536, 1), 2);
    ADD(&r, PROVIDE_BUFFERS, 1, area, 10, 0, 1)->rw_flags = 1;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    ADD(&r, REMOVE_BUFFERS, 1, area, 0, 0, 1);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    int fd = mt_file("f", 100);
    ADD(&r, WRITE, fd, area, 10, 0, 1)->flags = IOSQE_BUFFER_SELECT;
    CHECK_EQ(ring_result(&r, 1), -EOPNOTSUPP);
    struct iovec v[2] = {{area, 10}, {area, 10}};
    ADD(&r, READV, fd, v, 2, 0, 1)->flags = IOSQE_BUFFER_SELECT;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    CHECK_EQ(provide(area, 50, 2, 0, 3), 0);
    v[0] = (struct iovec){(void *)1, 20};
    ADD(&r, READV, fd, v, 1, 0, 1)->flags = IOSQE_BUFFER_SELECT;
    CHECK_CQE(one(), 20, BID(3));
    CHECK_EQ(mt_differs(area[0], 20, 0), -1);
    ring_exit(&r);
    OK(close(fd));
}

TEST(errors_and_waits_with_lists)
{
    int p[2], fd = mt_file("f", 100), wo = OK(open("f", O_WRONLY));
    OK(pipe(p));
    ring_init(&r, 8, 0);
    CHECK_EQ(provide((void *)4096, 1024, 1, 1, 7), 0);
    add_read(fd, 10, 1, 0, 1);
    CHECK_CQE(one(), -EFAULT, BID(7)); // it is gone all the same
    CHECK_EQ(removal(5, 1), 0);
    CHECK_EQ(provide((void *)4096, 1024, 1, 1, 7), 0);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    add_read(p[0], 10, 1, 0, 1);
    CHECK_CQE(one(), -EFAULT, BID(7));
    CHECK_EQ(removal(5, 1), 0);
    CHECK_EQ(provide((void *)4096, 1024, 1, 1, 7), 0);
    add_read(p[0], 10, 1, 0, 1)->flags |= IOSQE_ASYNC;
    CHECK_CQE(one(), -EFAULT, BID(7));
    CHECK_EQ(removal(5, 1), 0);
    CHECK_EQ(read(p[0], area[0], 10), 3);
    CHECK_EQ(provide(area, 1024, 2, 1, 0), 0);
    add_read(wo, 10, 1, 0, 1);
    CHECK_CQE(one(), -EBADF, BID(0));
    add_read(p[0], 10, 1, 0, 2);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(removal(5, 1), 0); // it keeps its buffer while it waits
    CHECK_EQ(write(p[1], "abc", 3), 3);
    CHECK_CQE(ring_wait(&r), 3, BID(1));
    CHECK_EQ(memcmp(area[1], "abc", 3), 0);
    add_read(p[0], 10, 1, 0, 3);
    CHECK_CQE(one(), -ENOBUFS, 0);
    CHECK_EQ(provide(area[3], 1024, 2, 1, 3), 0);
    for (int i = 0; i < 2; i++) { // cancelled, it is gone too
        add_read(p[0], 10, 1, 0, 4)->flags |= i ? IOSQE_ASYNC : 0;
        ring_submit(&r);
        ring_quiet(&r);
        add_cancel(&r, 4, 0, 5);
        ring_submit(&r);
        cqe_t both[2] = {ring_wait(&r), ring_wait(&r)};
        int at = both[0].user_data == 5;
        CHECK_EQ(both[!at].res, 0);
        CHECK_CQE(both[at], -ECANCELED, BID(3 + i));
    }
    CHECK_EQ(removal(5, 1), 0);
    ring_exit(&r);
    OK(close(fd));
    OK(close(wo));
    OK(close(p[0]));
    OK(close(p[1]));
}

static void use_ring(uint16_t flags)
{
    int fd = mt_file("f", 4000);
    ring_init(&r, 8, 0);
    CHECK_EQ(head_of(2), -ENOENT);
    struct buf *b = ring_of_buffers(2, 4, flags);
    CHECK_EQ(head_of(2), 0);
    add_read(fd, 100, 2, 0, 1);
    CHECK_CQE(one(), -ENOBUFS, 0);
    for (int i = 0; i < 3; i++)
        put(b, 4, area[i], 1024, 20 + i);
    add_read(fd, 100, 2, 0, 1);
    CHECK_CQE(one(), 100, BID(20));
    CHECK_EQ(mt_differs(area[0], 100, 0), -1);
    CHECK_EQ(head_of(2), 1);
    add_read(fd, 0, 2, 100, 1);
    CHECK_CQE(one(), 1024, BID(21));
    add_read(fd, 5000, 2, 200, 1)->flags |= IOSQE_ASYNC;
    CHECK_CQE(one(), 1024, BID(22));
    CHECK_EQ(mt_differs(area[2], 1024, 200), -1);
    add_read(fd, 5000, 2, 200, 1);
    CHECK_CQE(one(), -ENOBUFS, 0);
    for (int i = 0; i < 2000; i++) { // around it
        put(b, 4, area[i % 7], 512, i);
        add_read(fd, 10, 2, i, 1);
        CHECK_CQE(one(), 10, BID(i));
        CHECK_EQ(mt_differs(area[i % 7], 10, i), -1);
    }
    CHECK_EQ(head_of(2), 2003);
    put(b, 4, area, 512, 77);
    add_read(fd, 10, 2, 5000, 1);
    CHECK_CQE(one(), 0, BID(77));
    CHECK_EQ(head_of(2), 2004);
    put(b, 4, (void *)4096, 512, 78);
    add_read(fd, 10, 2, 0, 1);
    CHECK_CQE(one(), -EFAULT, BID(78)); // taken before it was used, for a file that cannot be polled
    CHECK_EQ(head_of(2), 2005);
    CHECK_EQ(provide(area, 10, 1, 2, 0), -EINVAL);
    CHECK_EQ(removal(1, 2), -EINVAL);
    drop_ring(2);
    CHECK_EQ(head_of(2), -ENOENT);
    b->tail++; // the memory stays
    OK(munmap(b, PAGE));
    ring_exit(&r);
    OK(close(fd));
}

TEST(a_ring_in_my_memory) { use_ring(0); }

TEST(a_mapped_ring) { use_ring(PBUF_MMAP); }

TEST(rings_and_pipes)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    struct buf *b = ring_of_buffers(3, 8, 0);
    for (int i = 0; i < 4; i++)
        put(b, 8, area[i], 100, i);
    add_read(p[0], 0, 3, -1, 1);
    add_read(p[0], 0, 3, -1, 2);
    ring_submit(&r);
    CHECK_EQ(head_of(3), 0);
    CHECK_EQ(write(p[1], "hello", 5), 5);
    cqe_t c = ring_wait(&r);
    CHECK_CQE(c, 5, BID(0));
    CHECK_EQ(head_of(3), 1);
    add_cancel(&r, 3 - c.user_data, 0, 9);
    ring_submit(&r);
    cqe_t both[2] = {ring_wait(&r), ring_wait(&r)};
    int at = both[0].user_data == 9;
    CHECK_EQ(both[!at].res, 0);
    CHECK_CQE(both[at], -ECANCELED, 0);
    CHECK_EQ(head_of(3), 1);
    OK(close(p[1]));
    add_read(p[0], 0, 3, -1, 1);
    CHECK_CQE(one(), 0, BID(1));
    CHECK_EQ(head_of(3), 2);
    drop_ring(3);
    ring_exit(&r);
    OK(munmap(b, PAGE));
    OK(close(p[0]));
}

// proves: IORING_CQE_F_BUF_MORE, IORING_REGISTER_PBUF_RING, IORING_REGISTER_PBUF_STATUS
TEST(used_in_part)
{
    int p[2], fd = mt_file("f", 4000);
    OK(pipe(p));
    ring_init(&r, 8, 0);
    struct buf *b = ring_of_buffers(1, 4, PBUF_INC);
    put(b, 4, area[0], 300, 5);
    put(b, 4, area[1], 300, 6);
    CHECK_EQ(write(p[1], "0123456789", 10), 10);
    add_read(p[0], 4, 1, -1, 1);
    CHECK_CQE(one(), 4, BID(5) | CQE_F_BUF_MORE);
    CHECK_EQ(b[0].len, 296);
    CHECK_EQ(b[0].addr, (uintptr_t)area[0] + 4);
    add_read(p[0], 100, 1, -1, 1);
    CHECK_CQE(one(), 6, BID(5) | CQE_F_BUF_MORE);
    CHECK_EQ(memcmp(area[0], "0123456789", 10), 0);
    CHECK_EQ(head_of(1), 0);
    CHECK_EQ(write(p[1], area[9], 500), 500);
    add_read(p[0], 0, 1, -1, 1);
    CHECK_CQE(one(), 290, BID(5));
    CHECK_EQ(b[0].len, 0);
    CHECK_EQ(head_of(1), 1);
    add_read(p[0], 0, 1, -1, 1);
    CHECK_CQE(one(), 210, BID(6) | CQE_F_BUF_MORE);
    OK(close(p[1]));
    add_read(p[0], 0, 1, -1, 1);
    CHECK_CQE(one(), 0, BID(6) | CQE_F_BUF_MORE);
    CHECK_EQ(head_of(1), 1);
    add_read(fd, 20, 1, 0, 1); // no polling: taken before it is read
    CHECK_CQE(one(), 20, BID(6) | CQE_F_BUF_MORE);
    CHECK_EQ(mt_differs(area[1] + 210, 20, 0), -1);
    add_read(fd, 200, 1, 3990, 1);
    CHECK_CQE(one(), 10, BID(6));
    CHECK_EQ(head_of(1), 2);
    drop_ring(1);
    ring_exit(&r);
    OK(munmap(b, PAGE));
    OK(close(p[0]));
    OK(close(fd));
}

// proves: IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING
TEST(registering_rings)
{
    char *m = pages(4);
    ring_init(&r, 8, 0);
    struct buf_reg reg = {(uintptr_t)m, 8, 1, 0, {0}};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PBUF_RING, NULL, 1), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PBUF_RING, (void *)8, 1), EFAULT);
#define BAD(field, value, e) do { struct buf_reg x = reg; x.field = value; CHECK_ERR(u_register(r.fd, IORING_REGISTER_PBUF_RING, &x, 1), e); } while (0)
    BAD(ring_entries, 7, EINVAL);
    BAD(ring_entries, 0, EINVAL);
    BAD(ring_entries, 65536, EINVAL);
    BAD(flags, 4, EINVAL);
    BAD(resv[1], 4, EINVAL);
    BAD(ring_addr, (uintptr_t)m + 16, EINVAL);
    BAD(ring_addr, 0, EFAULT);
    BAD(ring_addr, 1ul << 40, EFAULT);
    OK(u_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1), EEXIST);
    struct buf_reg un = {.bgid = 2};
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_PBUF_RING, &un, 1), ENOENT);
    un.bgid = 1;
    un.flags = 1;
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_PBUF_RING, &un, 1), EINVAL);
    un.flags = 0;
    CHECK_EQ(provide(area, 10, 1, 9, 0), 0);
    reg.bgid = 9;
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1), EEXIST);
    CHECK_EQ(head_of(9), -EINVAL);
    struct buf_reg nine = {.bgid = 9};
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_PBUF_RING, &nine, 1), EINVAL);
    CHECK_EQ(removal(1, 9), 1);
    OK(u_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1)); // an empty list gives way
    OK(u_register(r.fd, IORING_UNREGISTER_PBUF_RING, &un, 1));
    struct buf_status st = {.group = 9, .resv = {1}};
    CHECK_ERR(u_register(r.fd, REGISTER_PBUF_STATUS, &st, 1), EINVAL);
    reg = (struct buf_reg){0, 8192, 3, PBUF_MMAP, {0}};
    OK(u_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    CHECK_ERR((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, r.fd, 0x80000000ul | 4 << 16), ENOMEM);
    char *a = OK(mmap(NULL, 8192 * 16, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0x80000000ul | 3 << 16));
    memset(a, 1, 8192 * 16);
    drop_ring(3);
    memset(a, 2, 8192 * 16); // still mine
    OK(u_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    char *b = OK(mmap(NULL, 8192 * 16, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0x80000000ul | 3 << 16));
    CHECK_EQ(b[5], 0);
    CHECK_EQ(a[5], 2);
    OK(munmap(a, 8192 * 16));
    OK(munmap(b, 8192 * 16));
    OK(munmap(m, 4 * PAGE));
    ring_exit(&r);
}

// A worker that finds nothing more to receive has picked a buffer, and that is all: the next request picks its own.
TEST(picked_in_vain_by_a_worker)
{
    int p[2], s[2];
    OK(pipe(p));
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    OK(shutdown(s[0], SHUT_WR));
    ring_init(&r, 8, 0);
    struct buf *one_ring = ring_of_buffers(1, 4, 0), *other = ring_of_buffers(2, 4, 0);
    for (int i = 0; i < 3; i++) {
        put(one_ring, 4, area[i], 100, 5 + i);
        put(other, 4, area[8 + i], 100, 15 + i);
    }
    for (int i = 0; i < 3; i++) {
        sqe_t *e = ADD(&r, RECV, s[1], NULL, 0, 0, 1);
        e->flags = IOSQE_BUFFER_SELECT | IOSQE_ASYNC;
        e->buf_group = 1;
        CHECK_EQ(one().res, 0);
        CHECK_EQ(write(p[1], "x", 1), 1);
        add_read(p[0], 0, 2, -1, 1);
        CHECK_CQE(one(), 1, BID(15 + i));
        CHECK_EQ(area[8 + i][0], 'x');
        ADD(&r, READ, 250, area[0], 1, 0, 1);
        CHECK_CQE(one(), -EBADF, 0);
    }
    drop_ring(1);
    drop_ring(2);
    ring_exit(&r);
    OK(munmap(one_ring, PAGE));
    OK(munmap(other, PAGE));
    const int fds[] = {p[0], p[1], s[0], s[1]};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

// proves: IORING_OP_READ_MULTISHOT
TEST(reading_again_and_again)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    struct buf *b = ring_of_buffers(1, 8, 0);
    for (int i = 0; i < 4; i++)
        put(b, 8, area[i], 64, i);
    sqe_t *s = prep(ring_sqe(&r), U_OP_READ_MULTISHOT, p[0], NULL, 0, -1, 1);
    s->flags = IOSQE_BUFFER_SELECT;
    s->buf_group = 1;
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "one", 3), 3);
    CHECK_CQE(ring_wait(&r), 3, BID(0) | IORING_CQE_F_MORE);
    CHECK_EQ(write(p[1], "three", 5), 5);
    CHECK_CQE(ring_wait(&r), 5, BID(1) | IORING_CQE_F_MORE);
    ring_quiet(&r);
    CHECK_EQ(memcmp(area[1], "three", 5), 0);
    CHECK_EQ(write(p[1], area[20], 200), 200); // more than is there
    CHECK_CQE(ring_wait(&r), 64, BID(2) | IORING_CQE_F_MORE);
    CHECK_CQE(ring_wait(&r), 64, BID(3) | IORING_CQE_F_MORE);
    CHECK_CQE(ring_wait(&r), -ENOBUFS, 0);
    for (int i = 0; i < 4; i++)
        put(b, 8, area[i], 64, 10 + i);
    s = prep(ring_sqe(&r), U_OP_READ_MULTISHOT, p[0], NULL, 0, -1, 2);
    s->flags = IOSQE_BUFFER_SELECT;
    s->buf_group = 1;
    ring_submit(&r);
    CHECK_CQE(ring_wait(&r), 64, BID(10) | IORING_CQE_F_MORE);
    CHECK_CQE(ring_wait(&r), 8, BID(11) | IORING_CQE_F_MORE);
    OK(close(p[1]));
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 0);
    CHECK_EQ(c.flags, 0);
    CHECK_EQ(head_of(1), 6);
    drop_ring(1);
    ring_exit(&r);
    OK(munmap(b, PAGE));
    OK(close(p[0]));
}

TEST(reading_again_ends)
{
    int p[2], fd = mt_file("f", 100);
    OK(pipe(p));
    ring_init(&r, 8, 0);
    CHECK_EQ(provide(area, 64, 20, 4, 0), 0);
    sqe_t *s = prep(ring_sqe(&r), U_OP_READ_MULTISHOT, fd, NULL, 0, 0, 1);
    s->flags = IOSQE_BUFFER_SELECT;
    s->buf_group = 4;
    CHECK_CQE(one(), -EBADFD, 0);
    prep(ring_sqe(&r), U_OP_READ_MULTISHOT, p[0], NULL, 0, 0, 1);
    CHECK_CQE(one(), -EINVAL, 0);
    s = prep(ring_sqe(&r), U_OP_READ_MULTISHOT, p[0], NULL, 10, 0, 1);
    s->flags = IOSQE_BUFFER_SELECT;
    CHECK_CQE(one(), -EINVAL, 0);
    s = prep(ring_sqe(&r), U_OP_READ_MULTISHOT, p[0], NULL, 0, 0, 2);
    s->flags = IOSQE_BUFFER_SELECT;
    s->buf_group = 4;
    ring_submit(&r);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_CQE(ring_wait(&r), 1, BID(0) | IORING_CQE_F_MORE);
    add_cancel(&r, 2, 0, 3);
    ring_submit(&r);
    cqe_t both[2] = {ring_wait(&r), ring_wait(&r)};
    int at = both[0].user_data == 3;
    CHECK_EQ(both[!at].res, 0);
    CHECK_CQE(both[at], -ECANCELED, 0);
    // An eventfd: each read empties it.
    int ev = OK(eventfd(0, 0));
    s = prep(ring_sqe(&r), U_OP_READ_MULTISHOT, ev, NULL, 0, -1, 4);
    s->flags = IOSQE_BUFFER_SELECT;
    s->buf_group = 4;
    ring_submit(&r);
    for (uint64_t i = 1; i <= 5; i++) {
        CHECK_EQ(write(ev, &i, 8), 8);
        CHECK_CQE(ring_wait(&r), 8, BID(i) | IORING_CQE_F_MORE);
    }
    add_cancel(&r, 4, 0, 3);
    ring_submit(&r);
    ring_wait(&r);
    ring_wait(&r);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
    OK(close(fd));
    OK(close(ev));
}

TEST(closed_with_rings_in_use)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    struct buf *b = ring_of_buffers(1, 8, PBUF_MMAP), *m = ring_of_buffers(2, 8, 0);
    put(b, 8, area[0], 64, 0);
    put(m, 8, area[0], 64, 0);
    add_read(p[0], 10, 1, -1, 1);
    add_read(p[0], 10, 2, -1, 2);
    ring_submit(&r);
    OK(munmap(m, PAGE)); // pinned
    ring_drop(&r);
    put(b, 8, area[0], 64, 0); // still mapped
    OK(munmap(b, PAGE));
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(tails_and_lengths_at_random)
{
    int fd = mt_file("f", 4000);
    uint64_t seed = 4711;
    ring_init(&r, 8, 0);
    for (int round = 0; round < 2; round++) {
        struct buf *b = ring_of_buffers(1, 8, round ? PBUF_INC : 0);
        for (int i = 0; i < 3000; i++) {
            struct buf *e = &b[mt_random(&seed) % 8];
            e->addr = mt_random(&seed) % 4 ? (uintptr_t)area[mt_random(&seed) % 60] : mt_random(&seed);
            e->len = mt_random(&seed) % 4 ? mt_random(&seed) % 1024 : (uint32_t)mt_random(&seed) % 4096;
            if (e->addr < (uintptr_t)area || e->addr > (uintptr_t)area[60])
                e->addr |= 1ul << 50;
            e->bid = (uint16_t)mt_random(&seed);
            b->tail = (uint16_t)mt_random(&seed);
            add_read(fd, mt_random(&seed) % 3 ? mt_random(&seed) % 1000 : 0, 1, mt_random(&seed) % 5000, 1);
            ring_submit(&r);
            ring_wait(&r);
        }
        drop_ring(1);
        OK(munmap(b, PAGE));
    }
    ring_exit(&r);
    OK(close(fd));
}

TEST(rings_and_faults)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    struct buf *b = ring_of_buffers(3, 8, 0);
    put(b, 8, (void *)4096, 100, 5);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    add_read(p[0], 10, 3, 0, 1);
    CHECK_CQE(one(), -EFAULT, 0);
    CHECK_EQ(head_of(3), 0);
    add_read(p[0], 10, 3, 0, 1)->flags |= IOSQE_ASYNC;
    CHECK_CQE(one(), -EFAULT, BID(5)); // a worker takes it at once
    CHECK_EQ(head_of(3), 1);
    drop_ring(3);
    ring_exit(&r);
    OK(munmap(b, PAGE));
    OK(close(p[0]));
    OK(close(p[1]));
}
