// Rings of other kinds: a thread that submits (SQPOLL), large SQEs and CQEs, rings in the program's own memory, without a
// descriptor, with polled completions.
#include "uring.h"
#include <sys/epoll.h>

#define PAGE 4096ul
#define NOP_CQE32 (1u << 5)
#define CQE_F_SKIP (1u << 5)
#define CQE_F_32 (1u << 15)

static struct ring r;

static char *pages(size_t n)
{
    return OK(mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void polled_ring(struct ring *p, uint32_t entries, uint32_t idle, uint32_t flags, int attach)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SQPOLL | flags, .sq_thread_idle = idle, .wq_fd = (uint32_t)attach};
    ring_init_params(p, entries, &params);
}

// As a program does it: publish, and enter only when the thread sleeps.
static void polled_submit(struct ring *p)
{
    ring_publish(p);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(p->sq_flags) & IORING_SQ_NEED_WAKEUP)
        OK(u_enter(p->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0));
}

// proves: IORING_SETUP_SQPOLL, IORING_ENTER_SQ_WAKEUP
TEST(a_thread_that_submits)
{
    int fd = mt_file("f", 4000);
    char b[100];
    polled_ring(&r, 8, 50, 0, 0);
    for (int i = 0; i < 300; i++) {
        if (i % 3)
            add_nop(&r, 1);
        else
            ADD(&r, READ, fd, b, 100, i, 1);
        polled_submit(&r);
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.user_data, 1);
        CHECK_EQ(c.res, i % 3 ? 0 : 100);
    }
    for (int i = 0; i < 2000 && !(atomic_load(r.sq_flags) & IORING_SQ_NEED_WAKEUP); i++)
        mt_sleep_us(1000);
    CHECK(atomic_load(r.sq_flags) & IORING_SQ_NEED_WAKEUP);
    add_nop(&r, 2);
    ring_publish(&r);
    mt_sleep_us(5000);
    CHECK_EQ(ring_ready(&r), 0);
    CHECK_EQ(u_enter(r.fd, 1, 1, IORING_ENTER_SQ_WAKEUP | IORING_ENTER_GETEVENTS, NULL, 0), 1);
    CHECK_EQ(ring_wait(&r).user_data, 2);
    CHECK_EQ(u_enter(r.fd, 5, 0, 0, NULL, 0), 5); // whatever is asked for
    ring_exit(&r);
    OK(close(fd));
}

static bool sleeps(struct ring *p)
{
    for (int i = 0; i < 3000 && !(atomic_load(p->sq_flags) & IORING_SQ_NEED_WAKEUP); i++)
        mt_sleep_us(1000);
    return atomic_load(p->sq_flags) & IORING_SQ_NEED_WAKEUP;
}

// It waits for its first work asleep, however long it would look for more afterwards.
TEST(a_thread_that_begins_asleep)
{
    for (int disabled = 0; disabled < 2; disabled++) {
        polled_ring(&r, 8, 60000, disabled ? IORING_SETUP_R_DISABLED : 0, 0);
        CHECK(sleeps(&r));
        if (disabled) {
            OK(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
        } else {
            add_nop(&r, 1);
            ring_publish(&r);
            mt_sleep_us(5000);
            CHECK_EQ(ring_ready(&r), 0);
            OK(u_enter(r.fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0));
            CHECK_EQ(ring_wait(&r).user_data, 1);
        }
        UNTIL(!(atomic_load(r.sq_flags) & IORING_SQ_NEED_WAKEUP));
        add_nop(&r, 2);
        ring_publish(&r);
        UNTIL(ring_ready(&r) == 1); // it looks
        CHECK_EQ(ring_wait(&r).user_data, 2);
        ring_exit(&r);
    }
}

// proves: IORING_ENTER_SQ_WAIT
TEST(room_in_the_queue)
{
    polled_ring(&r, 4, 1000, 0, 0);
    uint64_t sent = 0, got = 0;
    cqe_t c;
    while (sent < 1000) {
        while (sent < 1000 && r.tail - atomic_load(r.sq_head) < 4)
            add_nop(&r, ++sent);
        polled_submit(&r);
        OK(u_enter(r.fd, 0, 0, IORING_ENTER_SQ_WAIT | IORING_ENTER_SQ_WAKEUP, NULL, 0));
        CHECK(r.tail - atomic_load(r.sq_head) < 4);
        while (ring_peek(&r, &c))
            CHECK_EQ(c.user_data, ++got);
    }
    while (got < 1000)
        CHECK_EQ(ring_wait(&r).user_data, ++got);
    ring_exit(&r);
}

// proves: IORING_FEAT_SQPOLL_NONFIXED
TEST(waits_links_and_files_of_a_polled_ring)
{
    int p[2], fd = mt_file("f", 100);
    char b[10];
    struct __kernel_timespec ts = {0, 3000000};
    OK(pipe(p));
    polled_ring(&r, 8, 200, 0, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, &fd, 1));
    ADD(&r, READ, p[0], b, 10, -1, 1)->flags = IOSQE_IO_LINK;
    add_nop(&r, 2);
    add_timeout(&r, &ts, 0, 0, 3);
    ADD(&r, READ, 0, b, 5, 0, 4)->flags = IOSQE_FIXED_FILE;
    polled_submit(&r);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, 4);
    CHECK_EQ(c.res, 5);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 3);
    CHECK_EQ(c.res, -ETIME);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    CHECK_EQ(ring_wait(&r).res, 3);
    CHECK_EQ(ring_wait(&r).user_data, 2);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
    OK(close(fd));
}

// proves: IORING_SETUP_ATTACH_WQ
TEST(one_thread_for_several_rings)
{
    struct ring s, t;
    polled_ring(&r, 8, 100, 0, 0);
    polled_ring(&s, 8, 100, IORING_SETUP_ATTACH_WQ, r.fd);
    struct io_uring_params p = {.flags = IORING_SETUP_ATTACH_WQ, .wq_fd = (uint32_t)s.fd};
    ring_init_params(&t, 8, &p); // only the workers
    CHECK(ring_field(&r, "SqThread:") > 0);
    CHECK_EQ(ring_field(&s, "SqThread:"), ring_field(&r, "SqThread:"));
    for (int i = 0; i < 100; i++) {
        add_nop(&r, 1);
        add_nop(&s, 2);
        polled_submit(&r);
        polled_submit(&s);
        add_nop(&t, 3);
        CHECK_EQ(ring_result(&t, 3), 0);
        CHECK_EQ(ring_wait(&r).user_data, 1);
        CHECK_EQ(ring_wait(&s).user_data, 2);
    }
    p = (struct io_uring_params){.flags = IORING_SETUP_SQPOLL | IORING_SETUP_ATTACH_WQ, .wq_fd = (uint32_t)t.fd};
    CHECK_ERR(u_setup(8, &p), EINVAL);
    p.wq_fd = 250;
    CHECK_ERR(u_setup(8, &p), ENXIO);
    p.wq_fd = 0;
    CHECK_ERR(u_setup(8, &p), EINVAL);
    ring_exit(&r);
    add_nop(&s, 4);
    polled_submit(&s);
    CHECK_EQ(ring_wait(&s).user_data, 4);
    ring_exit(&s);
    ring_exit(&t);
}

TEST(what_goes_together)
{
    static const uint32_t wrong[] = {
        IORING_SETUP_SQPOLL | IORING_SETUP_COOP_TASKRUN,
        IORING_SETUP_SQPOLL | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_SQ_AFF,
        U_SETUP_HYBRID_IOPOLL,
        U_SETUP_REGISTERED_FD_ONLY,
        IORING_SETUP_CQE32 | U_SETUP_CQE_MIXED,
        1u << 19,
    };
    for (unsigned i = 0; i < countof(wrong); i++) {
        struct io_uring_params p = {.flags = wrong[i]};
        if (u_setup(4, &p) != -1 || errno != EINVAL)
            FAIL("flags %x: errno %d", wrong[i], errno);
    }
    struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF, .sq_thread_cpu = 9999};
    CHECK_ERR(u_setup(4, &p), EINVAL);
    p = (struct io_uring_params){.flags = IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF, .sq_thread_cpu = 0};
    OK(close(OK(u_setup_patient(4, &p))));
    p = (struct io_uring_params){.flags = IORING_SETUP_IOPOLL | U_SETUP_HYBRID_IOPOLL};
    OK(close(OK(u_setup_patient(4, &p))));
}

// proves: IORING_SETUP_SQE128
TEST(large_sqes)
{
    int fd = mt_file("f", 4000);
    static char b[8][100];
    ring_init(&r, 8, IORING_SETUP_SQE128);
    struct { sqe_t s; char rest[64]; } *sqes = r.sqe_map;
    for (int round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 8; i++) {
            sqe_t *s = &sqes[r.tail++ & 7].s;
            memset(s, 0, 64);
            memset(s + 1, 0xff, 64);
            prep(s, IORING_OP_READ, fd, b[i], 100, i * 100, i + 1);
        }
        ring_submit(&r);
        cqe_t c[8];
        ring_collect(&r, c, 8);
        for (int i = 0; i < 8; i++) {
            CHECK_EQ(c[i].res, 100);
            CHECK_EQ(mt_differs(b[i], 100, i * 100), -1);
        }
    }
    ring_exit(&r);
    OK(close(fd));
}

struct cqe32 {
    cqe_t c;
    uint64_t extra[2];
};

// proves: IORING_SETUP_CQE32
TEST(large_cqes)
{
    ring_init(&r, 4, IORING_SETUP_CQE32);
    struct cqe32 *cqes = (void *)r.cqes;
    for (uint32_t i = 0; i < 20; i++) {
        sqe_t *s = add_nop(&r, i + 1);
        s->rw_flags = i % 2 ? (int)(NOP_CQE32 | U_NOP_INJECT_RESULT) : 0;
        s->len = 7;
        s->off = 0x1111 + i;
        s->addr = 0x2222 + i;
        ring_submit(&r);
        CHECK_EQ(ring_ready(&r), 1);
        struct cqe32 c = cqes[i & 7];
        CHECK_EQ(c.c.user_data, i + 1);
        CHECK_EQ(c.c.res, i % 2 ? 7 : 0);
        CHECK_EQ(c.c.flags, 0);
        CHECK_EQ(c.extra[0], i % 2 ? 0x1111 + i : 0);
        CHECK_EQ(c.extra[1], i % 2 ? 0x2222 + i : 0);
        atomic_store(r.cq_head, i + 1);
    }
    for (uint32_t i = 0; i < 20; i++) { // beyond the room there is
        sqe_t *s = add_nop(&r, 100 + i);
        s->rw_flags = (int)NOP_CQE32;
        s->off = i;
        ring_submit(&r);
    }
    uint32_t head = 20;
    for (uint32_t i = 0; i < 20; i++) {
        if (ring_ready(&r) == 0)
            OK(u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0));
        CHECK_EQ(cqes[head & 7].c.user_data, 100 + i);
        CHECK_EQ(cqes[head & 7].extra[0], i);
        atomic_store(r.cq_head, ++head);
    }
    ring_exit(&r);
    ring_init(&r, 4, 0);
    add_nop(&r, 1)->rw_flags = (int)NOP_CQE32;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    ring_exit(&r);
}

// proves: IORING_SETUP_CQE_MIXED, IORING_CQE_F_SKIP, IORING_CQE_F_CQE32
TEST(cqes_of_both_sizes)
{
    uint64_t seed = 5;
    ring_init(&r, 4, U_SETUP_CQE_MIXED);
    uint32_t head = 0, skipped = 0;
    for (uint32_t i = 0; i < 200; i++) {
        bool big = mt_random(&seed) % 2;
        sqe_t *s = add_nop(&r, i + 1);
        s->rw_flags = big ? (int)NOP_CQE32 : 0;
        s->off = 77 + i;
        s->addr = 88 + i;
        ring_submit(&r);
        CHECK(ring_ready(&r) >= 1);
        cqe_t c = r.cqes[head & 7];
        if (c.flags & CQE_F_SKIP) {
            CHECK_EQ(head & 7, 7);
            skipped++;
            c = r.cqes[++head & 7];
        }
        CHECK_EQ(c.user_data, i + 1);
        CHECK_EQ(c.flags, big ? CQE_F_32 : 0);
        head++;
        if (big) {
            uint64_t extra[2];
            memcpy(extra, &r.cqes[head++ & 7], 16);
            CHECK_EQ(extra[0], 77 + i);
            CHECK_EQ(extra[1], 88 + i);
        }
        CHECK_EQ(atomic_load(r.cq_tail), head);
        atomic_store(r.cq_head, head);
    }
    CHECK(skipped > 3);
    ring_exit(&r);
}

static int in_my_memory(struct ring *p, char *m, uint32_t flags)
{
    memset(p, 0, sizeof *p);
    memset(m, 0, 4 * PAGE);
    p->p.flags = U_SETUP_NO_MMAP | flags;
    p->p.cq_off.resv2 = (uintptr_t)m;
    p->p.sq_off.resv2 = (uintptr_t)m + 2 * PAGE;
    int fd = u_setup(8, &p->p);
    if (fd < 0)
        return -errno;
    p->sq_head = (void *)(m + p->p.sq_off.head);
    p->sq_tail = (void *)(m + p->p.sq_off.tail);
    p->sq_flags = (void *)(m + p->p.sq_off.flags);
    p->sq_dropped = (void *)(m + p->p.sq_off.dropped);
    p->sq_array = flags & U_SETUP_NO_SQARRAY ? NULL : (void *)(m + p->p.sq_off.array);
    p->cq_head = (void *)(m + p->p.cq_off.head);
    p->cq_tail = (void *)(m + p->p.cq_off.tail);
    p->cq_flags = (void *)(m + p->p.cq_off.flags);
    p->cq_overflow = (void *)(m + p->p.cq_off.overflow);
    p->cqes = (void *)(m + p->p.cq_off.cqes);
    p->sqes = (void *)(m + 2 * PAGE);
    for (uint32_t i = 0; p->sq_array && i < p->p.sq_entries; i++)
        p->sq_array[i] = i;
    p->fd = fd;
    return fd;
}

// proves: IORING_SETUP_NO_MMAP
TEST(rings_in_my_memory)
{
    char *m = pages(4);
    for (int k = 0; k < 2; k++) {
        OK(in_my_memory(&r, m, k ? U_SETUP_NO_SQARRAY : 0));
        CHECK_EQ(r.p.cq_off.resv2, (uintptr_t)m);
        CHECK_ERR((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, r.fd, IORING_OFF_SQ_RING), ENOMEM);
        for (uint64_t i = 1; i < 100; i++) {
            add_nop(&r, i);
            CHECK_EQ(ring_result(&r, i), 0);
        }
        OK(close(r.fd));
    }
    struct io_uring_params p = {.flags = U_SETUP_NO_MMAP};
    CHECK_ERR(u_setup(8, &p), EFAULT);
    p.cq_off.resv2 = (uintptr_t)m;
    p.sq_off.resv2 = (uintptr_t)m + 2 * PAGE + 64;
    CHECK_ERR(u_setup(8, &p), EINVAL);
    p.sq_off.resv2 = 1ul << 40;
    CHECK_ERR(u_setup(8, &p), EFAULT);
    OK(munmap(m, 4 * PAGE));
}

TEST(my_memory_goes_away)
{
    char *m = pages(4);
    OK(in_my_memory(&r, m, 0));
    OK(munmap(m, 4 * PAGE)); // the ring keeps it
    for (int i = 0; i < 10; i++)
        u_enter(r.fd, 4, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    OK(close(r.fd));
}

// proves: IORING_SETUP_REGISTERED_FD_ONLY
TEST(rings_without_a_descriptor)
{
    char *m = pages(4);
    int place = in_my_memory(&r, m, U_SETUP_REGISTERED_FD_ONLY);
    CHECK_EQ(place, 0);
    add_nop(&r, 5);
    ring_publish(&r);
    CHECK_EQ(u_enter(place, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, 0), 1);
    CHECK_EQ(r.cqes[0].user_data, 5);
    struct iovec v = {m, 100};
    OK(u_register(place, IORING_REGISTER_BUFFERS | 1u << 31, &v, 1));
    OK(u_register(place, IORING_UNREGISTER_BUFFERS | 1u << 31, NULL, 0));
    struct { uint32_t offset, resv; uint64_t data; } d = {(uint32_t)place, 0, 0};
    CHECK_EQ(u_register(place, IORING_UNREGISTER_RING_FDS | 1u << 31, &d, 1), 1);
    CHECK_ERR(u_enter(place, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), EBADF);
    OK(munmap(m, 4 * PAGE));
}

TEST(polled_completions)
{
    int fd = mt_file("f", 4 * PAGE), direct = open("f", O_RDWR | O_DIRECT);
    if (direct < 0)
        SKIP("no O_DIRECT here");
    char *m = pages(2);
    ring_init(&r, 8, IORING_SETUP_IOPOLL);
    ADD(&r, READ, fd, m, PAGE, 0, 1);
    ring_submit(&r);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, -EOPNOTSUPP);
    ADD(&r, READ, direct, m, PAGE, PAGE, 1);
    ring_submit(&r);
    c = ring_wait(&r);
    if (c.res != -EOPNOTSUPP) { // where the disk can be polled
        CHECK_EQ(c.res, (int)PAGE);
        CHECK_EQ(mt_differs(m, PAGE, PAGE), -1);
        ADD(&r, WRITE, direct, m, PAGE, 0, 2);
        ring_submit(&r);
        c = ring_wait(&r);
        CHECK_EQ(c.res, (int)PAGE);
    }
    add_nop(&r, 3);
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).user_data, 3);
    add_poll(&r, fd, POLLIN, 4);
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).res, -EINVAL);
    ADD(&r, FSYNC, fd, NULL, 0, 0, 5);
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).res, -EINVAL);
    ring_exit(&r);
    ring_init(&r, 8, 0);
    ADD(&r, READ, fd, m, PAGE, 0, 1)->rw_flags = RWF_HIPRI;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    ring_exit(&r);
    OK(munmap(m, 2 * PAGE));
    OK(close(fd));
    OK(close(direct));
}

// What the disk has done is there for who asks for events, and only then. (Writes, for this host's disks refuse polled reads.)
// proves: IORING_SETUP_IOPOLL, IORING_SETUP_HYBRID_IOPOLL
TEST(what_is_found_by_polling)
{
    static const uint32_t kinds[] = {0, U_SETUP_HYBRID_IOPOLL, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    int fd = mt_file("f", 8 * PAGE), direct = open("f", O_RDWR | O_DIRECT);
    if (direct < 0)
        SKIP("no O_DIRECT here");
    OK(fsync(fd));
    char *m = pages(8);
    for (unsigned i = 0; i < countof(kinds); i++) {
        cqe_t c;
        ring_init(&r, 8, IORING_SETUP_IOPOLL | kinds[i]);
        ADD(&r, WRITE, direct, m, PAGE, 0, 1);
        ring_submit(&r);
        mt_sleep_us(20000);
        if (ring_peek(&r, &c)) {
            CHECK_EQ(c.res, -EOPNOTSUPP);
            ring_exit(&r);
            continue;
        }
        OK(u_enter(r.fd, 0, 1, 0, NULL, 0));
        CHECK_EQ(ring_ready(&r), 0);
        struct pollfd ready = {r.fd, POLLIN, 0};
        CHECK_EQ(poll(&ready, 1, 0), 0);
        OK(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0)); // one look
        CHECK_EQ(ring_wait(&r).res, (int)PAGE);
        for (int k = 0; k < 4; k++)
            ADD(&r, WRITE, direct, m + k * PAGE, PAGE, k * PAGE, k + 1);
        ring_publish(&r);
        CHECK_EQ(u_enter(r.fd, 4, 4, IORING_ENTER_GETEVENTS, NULL, 0), 4);
        for (int k = 0; k < 4; k++)
            CHECK_EQ(ring_wait(&r).res, (int)PAGE);
        // Nothing is on its way: nothing is waited for.
        OK(u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0));
        // What cannot even be begun is told at once.
        ADD(&r, WRITE, fd, m, PAGE, 0, 9);
        ring_submit(&r);
        CHECK(ring_peek(&r, &c));
        CHECK_EQ(c.res, -EOPNOTSUPP);
        // One that nobody looks for does not keep the ring.
        ADD(&r, WRITE, direct, m, PAGE, 0, 2);
        ring_submit(&r);
        ring_drop(&r);
    }
    OK(munmap(m, 8 * PAGE));
    OK(close(fd));
    OK(close(direct));
}

TEST(many_polled_rings_come_and_go)
{
    struct ring s[6];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 6; i++) {
            polled_ring(&s[i], 4, 1 + (uint32_t)i, i % 2 ? IORING_SETUP_ATTACH_WQ : 0, i % 2 ? s[i - 1].fd : 0);
            add_nop(&s[i], 1);
            polled_submit(&s[i]);
        }
        for (int i = 0; i < 6; i++) {
            CHECK_EQ(ring_wait(&s[i]).user_data, 1);
            ring_drop(&s[i]);
        }
    }
}

// Each request waits for the polling thread in another way: in the wait for events, in the one for room, and without a call.
TEST(a_polled_ring_in_small_steps)
{
    struct ring r;
    struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1000};
    ring_init_params(&r, 2, &p);
    uint32_t done = 0;
    cqe_t c;
    for (uint32_t i = 0; i < 600; i++) {
        while (r.tail - atomic_load(r.sq_head) >= r.p.sq_entries)
            OK(u_enter(r.fd, 0, 0, IORING_ENTER_SQ_WAIT, NULL, 0));
        add_nop(&r, i);
        ring_publish(&r);
        if (atomic_load(r.sq_flags) & IORING_SQ_NEED_WAKEUP)
            OK(u_enter(r.fd, 1, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0));
        if (i % 3 == 0)
            OK(u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0));
        while (ring_peek(&r, &c))
            CHECK_EQ(c.user_data, done++);
    }
    for (; done < 600; done++)
        CHECK_EQ(ring_wait(&r).user_data, done);
    ring_exit(&r);
}
