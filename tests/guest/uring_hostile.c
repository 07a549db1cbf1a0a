// Requests, rings and memory that mean no good. What counts: no hang, no crash, results that are errnos or counts, and
// rings made afterwards that work.
#include "uring.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define PAGE 4096ul

static void a_new_ring_works(void)
{
    struct ring r;
    ring_init(&r, 4, 0);
    add_nop(&r, 4711);
    CHECK_EQ(ring_result(&r, 4711), 0);
    ring_exit(&r);
}

struct racer {
    struct ring *r;
    atomic_bool stop;
};

// Scribbles over every word that a program shares with the ring, and over the requests' opcodes.
static void *scribbles(void *arg)
{
    struct racer *c = arg;
    struct ring *r = c->r;
    uint64_t s = 12345;
    while (!atomic_load(&c->stop)) {
        uint64_t v = mt_random(&s);
        uint32_t w = (uint32_t)(v >> 32);
        switch (v % 9) {
        case 0: atomic_store(r->sq_tail, atomic_load(r->sq_head) + w % 9); break;
        case 1: atomic_store(r->sq_tail, w); break;
        case 2: atomic_store(r->cq_head, w); break;
        case 3: atomic_store(r->cq_head, atomic_load(r->cq_tail)); break;
        case 4: atomic_store(r->sq_head, w); break;
        case 5: atomic_store(r->cq_tail, w); break;
        case 6: r->sq_array[w % 8] = w % 3 ? w % 8 : w; break;
        case 7: atomic_store(r->sq_flags, w); break;
        default: __atomic_store_n(&r->sqes[w % 8].opcode, w % 5 ? IORING_OP_NOP : 200, __ATOMIC_RELAXED); break;
        }
    }
    return NULL;
}

TEST(words_change_while_it_enters)
{
    for (int round = 0; round < 4; round++) {
        struct ring r;
        ring_init(&r, 8, round % 2 ? IORING_SETUP_SUBMIT_ALL : 0);
        for (int i = 0; i < 8; i++)
            prep(&r.sqes[i], IORING_OP_NOP, -1, NULL, 0, 0, i)->flags = i == 5 ? IOSQE_IO_LINK : 0;
        struct racer c = {.r = &r};
        pthread_t t = mt_thread(scribbles, &c);
        for (int i = 0; i < 3000; i++) {
            int n = u_enter(r.fd, 8, 0, IORING_ENTER_GETEVENTS, NULL, 0);
            CHECK(n >= -1 && n <= 8);
            struct pollfd p = {r.fd, POLLIN | POLLOUT, 0};
            if (i % 64 == 0)
                CHECK(poll(&p, 1, 0) >= 0);
        }
        atomic_store(&c.stop, true);
        OK0(pthread_join(t, NULL));
        ring_drop(&r);
    }
    a_new_ring_works();
}

TEST(buffers_unmapped_in_flight)
{
    struct ring r;
    int p[2];
    char *m = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), c[8];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    ADD(&r, READ, p[0], m, 100, -1, 1);
    ring_submit(&r);
    OK(mprotect(m, PAGE, PROT_NONE));
    CHECK_EQ(write(p[1], "hello", 5), 5);
    CHECK_EQ(ring_wait(&r).res, -EFAULT);
    CHECK_EQ(read(p[0], c, 8), 5); // nothing was taken
    ADD(&r, READ, p[0], m, 100, -1, 2);
    ring_submit(&r);
    CHECK_EQ(mmap(m, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), m);
    CHECK_EQ(write(p[1], "again", 5), 5); // into what is there now
    CHECK_EQ(ring_wait(&r).res, 5);
    CHECK_EQ(memcmp(m, "again", 5), 0);
    OK(munmap(m, PAGE));
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(fixed_buffers_unregistered_in_flight)
{
    struct ring r;
    int p[2];
    char *m = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    struct iovec v = {m, PAGE};
    OK(pipe(p));
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
    ADD(&r, READ_FIXED, p[0], m, 100, -1, 1);
    ring_submit(&r);
    OK(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
    CHECK_EQ(write(p[1], "pinned", 6), 6);
    CHECK_EQ(ring_wait(&r).res, 6);
    CHECK_EQ(memcmp(m, "pinned", 6), 0);
    OK(munmap(m, PAGE));
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(files_truncated_and_closed_in_flight)
{
    struct ring r;
    int fd = mt_file("f", 1 << 20);
    static char b[8][65536];
    ring_init(&r, 16, 0);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 8; i++)
            ADD(&r, READ, fd, b[i], sizeof b[i], i * sizeof b[i], i + 1)->flags = IOSQE_ASYNC;
        ring_submit(&r);
        OK(ftruncate(fd, round * 1000));
        OK(ftruncate(fd, 1 << 20));
        int old = fd;
        fd = OK(open("f", O_RDWR));
        OK(close(old)); // a request in a worker looks its descriptor up when it runs, perhaps only now
        cqe_t c[8];
        ring_collect(&r, c, 8);
        for (int i = 0; i < 8; i++)
            if (c[i].res != -EBADF && (c[i].res < 0 || c[i].res > (int)sizeof b[i]))
                FAIL("read %d: %d", i, c[i].res);
    }
    ring_exit(&r);
    OK(close(fd));
}

TEST(rings_unmapped_and_protected)
{
    struct ring r;
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_nop(&r, 1);
    add_poll(&r, ev, POLLIN, 2);
    ring_publish(&r);
    OK(mprotect(r.ring_map, r.ring_size, PROT_NONE)); // the kernel's own view is untouched
    OK(mprotect(r.sqe_map, r.sqe_size, PROT_READ));
    CHECK_EQ(u_enter(r.fd, 2, 1, IORING_ENTER_GETEVENTS, NULL, 0), 2);
    OK(mprotect(r.ring_map, r.ring_size, PROT_READ | PROT_WRITE));
    OK(mprotect(r.sqe_map, r.sqe_size, PROT_READ | PROT_WRITE));
    CHECK_EQ(ring_wait(&r).user_data, 1);
    OK(munmap(r.ring_map, r.ring_size));
    OK(munmap(r.sqe_map, r.sqe_size));
    uint64_t v = 1;
    CHECK_EQ(write(ev, &v, 8), 8); // completes into memory that nobody sees
    CHECK_EQ(u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0), 0);
    struct pollfd p = {r.fd, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, 0), 1);
    struct ring again = r; // mapped anew it is all there
    ring_map(&again);
    CHECK_EQ(ring_ready(&again), 1);
    CHECK_EQ(ring_wait(&again).user_data, 2);
    ring_exit(&again);
    OK(close(ev));
}

TEST(rings_advised_away)
{
    struct ring r;
    ring_init(&r, 8, 0);
    add_nop(&r, 1);
    ring_publish(&r);
    madvise(r.ring_map, r.ring_size, MADV_DONTNEED); // may take the view away, never the ring
    madvise(r.sqe_map, r.sqe_size, MADV_DONTNEED);
    madvise(r.ring_map, r.ring_size, MADV_REMOVE);
    CHECK_EQ(u_enter(r.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
    OK(munmap(r.ring_map, r.ring_size));
    OK(munmap(r.sqe_map, r.sqe_size));
    ring_map(&r);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    ring_exit(&r);
}

TEST(results_and_arguments_inside_the_ring)
{
    // Buffers that are the rings themselves: the program's own harm, and no one else's.
    struct ring r;
    int fd = mt_file("f", 4096), zero = OK(open("/dev/zero", O_RDONLY));
    ring_init(&r, 8, 0);
    ADD(&r, WRITE, fd, r.ring_map, 64, 0, 1);
    CHECK_EQ(ring_result(&r, 1), 64);
    ADD(&r, READ, fd, &r.sqes[6], 64, 100, 2);
    CHECK_EQ(ring_result(&r, 2), 64);
    CHECK_EQ(mt_differs(&r.sqes[6], 64, 100), -1);
    ADD(&r, READ, zero, r.ring_map, 4096, 0, 3); // heads, tails and all
    ring_publish(&r);
    CHECK(u_enter(r.fd, 1, 0, IORING_ENTER_GETEVENTS, NULL, 0) >= 0);
    for (int i = 0; i < 10; i++)
        CHECK(u_enter(r.fd, 8, 0, IORING_ENTER_GETEVENTS, NULL, 0) >= 0);
    ring_drop(&r);
    OK(close(fd));
    OK(close(zero));
    a_new_ring_works();
}

TEST(thousands_waiting_then_closed)
{
    static char b[64];
    static const struct __kernel_timespec ts = {100000, 0};
    int p[2], ev = OK(eventfd(0, 0));
    OK(pipe(p));
    for (int round = 0; round < 3; round++) {
        struct ring r;
        ring_init(&r, 256, 0);
        for (int i = 0; i < 3000; i++) {
            if (i % 3 == 0)
                ADD(&r, READ, p[0], b, 1, -1, i);
            else if (i % 3 == 1)
                add_poll(&r, ev, POLLIN, i);
            else
                add_timeout(&r, &ts, 0, 0, i);
            if (i % 256 == 255)
                ring_submit(&r);
        }
        ring_submit(&r);
        CHECK_EQ(ring_ready(&r), 0);
        ring_drop(&r);
    }
    OK(close(p[0]));
    OK(close(p[1]));
    OK(close(ev));
    a_new_ring_works();
}

TEST(a_ring_that_polls_itself)
{
    struct ring r;
    ring_init(&r, 8, 0);
    add_poll(&r, r.fd, POLLIN, 1);
    ring_submit(&r);
    CHECK_EQ(ring_ready(&r), 0);
    add_nop(&r, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res & POLLIN, POLLIN);
    add_poll(&r, r.fd, POLLIN, 3); // and closed while it does
    ring_submit(&r);
    ring_drop(&r);
    a_new_ring_works();
}

TEST(rings_that_hold_each_other)
{
    struct ring a, b;
    ring_init(&a, 8, 0);
    ring_init(&b, 8, 0);
    add_poll(&a, b.fd, POLLIN, 1);
    add_poll(&b, a.fd, POLLIN, 2);
    ring_submit(&a);
    ring_submit(&b);
    int ep = OK(epoll_create1(0));
    struct epoll_event e = {.events = EPOLLIN};
    OK(epoll_ctl(ep, EPOLL_CTL_ADD, a.fd, &e));
    add_poll(&a, ep, POLLIN, 3);
    ring_submit(&a);
    ring_drop(&a);
    ring_drop(&b);
    OK(close(ep));
    a_new_ring_works();
}

static void *makes_rings(void *arg)
{
    static char b[64];
    int p[2];
    OK(pipe(p));
    for (int i = 0; i < 40; i++) {
        struct ring r;
        ring_init(&r, 16, 0);
        for (int j = 0; j < 8; j++)
            ADD(&r, READ, p[0], b, 8, -1, j)->flags = j % 2 ? IOSQE_ASYNC : 0;
        ring_submit(&r);
        ring_drop(&r);
    }
    OK(close(p[0]));
    OK(close(p[1]));
    return arg;
}

TEST(threads_that_make_and_drop_rings)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = mt_thread(makes_rings, NULL);
    for (int i = 0; i < 4; i++)
        OK0(pthread_join(t[i], NULL));
    a_new_ring_works();
}

static void *leaves_requests(void *arg)
{
    struct ring *r = arg;
    static char b[64];
    int *p = (int *)(r + 1);
    ADD(r, READ, p[0], b, 8, -1, 1);
    add_poll(r, p[0], POLLIN, 2);
    ADD(r, READ, p[0], b, 8, -1, 3)->flags = IOSQE_ASYNC;
    ring_submit(r);
    return NULL;
}

TEST(a_submitter_that_exits)
{
    // Its requests end with it or live on; either way all of them complete.
    struct {
        struct ring r;
        int p[2];
    } s;
    OK(pipe(s.p));
    ring_init(&s.r, 8, 0);
    OK0(pthread_join(mt_thread(leaves_requests, &s), NULL));
    mt_sleep_us(10000);
    CHECK_EQ(write(s.p[1], "0123456789abcdef", 16), 16);
    OK(close(s.p[1]));
    cqe_t c[3];
    ring_collect(&s.r, c, 3);
    for (int i = 0; i < 3; i++)
        CHECK(c[i].res >= 0 || c[i].res == -ECANCELED || c[i].res == -EINTR);
    ring_exit(&s.r);
    OK(close(s.p[0]));
}

TEST(advice_on_ring_memory)
{
    static const int taken[] = {MADV_NORMAL, MADV_RANDOM, MADV_WILLNEED, MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP, MADV_COLD};
    struct ring r;
    ring_init(&r, 8, 0);
    for (unsigned i = 0; i < countof(taken); i++)
        OK(madvise(r.ring_map, 4096, taken[i]));
    CHECK_ERR(madvise(r.ring_map, 4096, MADV_FREE), EINVAL);
    CHECK_ERR(madvise(r.ring_map, 4096, MADV_REMOVE), ENODEV);
    CHECK_ERR(madvise(r.ring_map, 4096, MADV_DODUMP), EINVAL);
    CHECK_ERR(madvise(r.sqe_map, 4096, MADV_WIPEONFORK), EINVAL);
    CHECK_ERR(madvise(r.sqe_map, 4096, 102), EINVAL); // MADV_GUARD_INSTALL
    OK(mlock(r.ring_map, 4096));
    CHECK_ERR((long)mremap(r.sqe_map, 4096, 8192, MREMAP_MAYMOVE), EFAULT);
    add_nop(&r, 3);
    CHECK_EQ(ring_result(&r, 3), 0);
    ring_exit(&r);
}
