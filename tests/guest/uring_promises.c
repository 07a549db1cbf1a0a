// Small promises of set-up, enter and register that programs hardly lean on, each as 6.18 keeps it.
#include "uring_net.h"
#include "fault.h"
#include <sys/eventfd.h>

#define PAGE 4096ul
#define DEFER (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)

static struct ring r;
static const struct __kernel_timespec long_time = {1000, 0};

static void come_by(struct ring *ring)
{
    for (int i = 0; i < 3; i++)
        OK(u_enter(ring->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
}

static bool told(int event)
{
    eventfd_t n;
    return eventfd_read(event, &n) == 0;
}

// Takes what is there; whether the timeout with user data 1 was among it.
static bool is_over(void)
{
    bool over = false;
    for (uint32_t head = atomic_load(r.cq_head); head != atomic_load(r.cq_tail); head = atomic_load(r.cq_head)) {
        over |= r.cqes[(head & (r.p.cq_entries - 1)) << !!(r.p.flags & IORING_SETUP_CQE32)].user_data == 1;
        atomic_store(r.cq_head, head + 1);
    }
    return over;
}

static const uint32_t kinds[] = {0, IORING_SETUP_COOP_TASKRUN, DEFER, IORING_SETUP_CQE32, DEFER | IORING_SETUP_CQE32};

// A timeout that counts sees every completion: also those of a request that goes on, and large ones.
TEST(what_timeouts_count)
{
    for (size_t k = 0; k < countof(kinds); k++)
        for (int large = 0; large < 2; large++) {
            if (large && !(kinds[k] & IORING_SETUP_CQE32))
                continue;
            int event = OK(eventfd(0, EFD_NONBLOCK));
            ring_init(&r, 8, kinds[k]);
            if (!large) {
                add_poll(&r, event, POLLIN, 5)->len = IORING_POLL_ADD_MULTI;
                ring_submit(&r);
            }
            add_timeout(&r, &long_time, 3, 0, 1);
            ring_submit(&r);
            for (int i = 1; i <= 3; i++) {
                if (large) {
                    add_nop(&r, 7)->rw_flags = 1 << 5;
                    ring_submit(&r);
                } else {
                    OK(eventfd_write(event, 1));
                }
                come_by(&r);
                CHECK_EQ(is_over(), i == 3);
            }
            ring_drop(&r);
            OK(close(event));
        }
}

TEST(where_the_words_are)
{
    for (uint32_t wide = 0; wide < 2; wide++) {
        ring_init(&r, 32, wide ? IORING_SETUP_CQE32 : 0);
        const struct io_sqring_offsets *s = &r.p.sq_off;
        const struct io_cqring_offsets *c = &r.p.cq_off;
        CHECK_EQ(s->head, 0);
        CHECK_EQ(s->tail, 4);
        CHECK_EQ(c->head, 8);
        CHECK_EQ(c->tail, 12);
        CHECK_EQ(s->ring_mask, 16);
        CHECK_EQ(c->ring_mask, 20);
        CHECK_EQ(s->ring_entries, 24);
        CHECK_EQ(c->ring_entries, 28);
        CHECK_EQ(s->dropped, 32);
        CHECK_EQ(s->flags, 36);
        CHECK_EQ(c->flags, 40);
        CHECK_EQ(c->overflow, 44);
        CHECK_EQ(c->cqes, 64);
        CHECK_EQ(s->array, wide ? 2176 : 1088);
        ring_exit(&r);
    }
}

// Whether something has happened meanwhile is not known: the program is to come by.
TEST(another_size_asks_to_come_by)
{
    struct io_uring_params p = {.sq_entries = 16};
    ring_init(&r, 8, DEFER | U_SETUP_NO_SQARRAY);
    OK(u_register(r.fd, 33, &p, 1));
    OK(munmap(r.ring_map, r.ring_size));
    OK(munmap(r.sqe_map, r.sqe_size));
    r.p = p;
    r.p.flags |= U_SETUP_NO_SQARRAY;
    ring_map(&r);
    CHECK_EQ(atomic_load(r.sq_flags), IORING_SQ_NEED_WAKEUP | IORING_SQ_TASKRUN);
    ring_exit(&r);
}

TEST(advice_forgets_a_mapping)
{
    ring_init(&r, 8, 0);
    char *at = OK(mmap(NULL, r.ring_size, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, IORING_OFF_SQ_RING));
    CHECK_NO_FAULT(at, FAULT_READ);
    OK(madvise(at, PAGE, MADV_DONTNEED));
    CHECK_FAULT(at, FAULT_READ, SIGBUS, BUS_ADRERR);
    CHECK_ERR(madvise(at, PAGE, MADV_REMOVE), ENODEV);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_EVENTFD, at, 1), EFAULT);
    OK(munmap(at, r.ring_size));
    CHECK_EQ((add_nop(&r, 1), ring_result(&r, 1)), 0); // nothing happened to the rings
    ring_exit(&r);
}

// Rings choose where they lie: no other place is looked at.
TEST(no_address_is_good)
{
    ring_init(&r, 8, 0);
    char *page = aligned(PAGE);
    CHECK(mmap(page, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, r.fd, IORING_OFF_SQ_RING) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(page, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, r.fd, IORING_OFF_SQ_RING) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(page, PAGE, PROT_READ, MAP_SHARED, r.fd, IORING_OFF_SQ_RING) == MAP_FAILED && errno == EINVAL);
    OK(munmap(page, PAGE));
    ring_exit(&r);
}

TEST(probes_look_at_what_there_is)
{
    static struct {
        struct io_uring_probe head;
        struct io_uring_probe_op ops[256];
    } all;
    ring_init(&r, 8, 0);
    memset(&all, 0, sizeof all);
    all.ops[200].resv = 1;
    OK(u_register(r.fd, IORING_REGISTER_PROBE, &all, 256));
    CHECK_EQ(all.head.ops_len, U_OP_LAST_6_18);
    CHECK_EQ(all.ops[200].resv, 1);
    memset(&all, 0, sizeof all);
    all.ops[U_OP_LAST_6_18 - 1].resv = 1;
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PROBE, &all, 256), EINVAL);
    ring_exit(&r);
}

TEST(the_other_ring_is_looked_for_first)
{
    struct io_uring_params p = {.flags = IORING_SETUP_ATTACH_WQ | IORING_SETUP_SQ_AFF, .wq_fd = ~0u};
    CHECK_ERR(u_setup(4, &p), ENXIO);
    p.flags = IORING_SETUP_ATTACH_WQ | IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF;
    p.sq_thread_cpu = 1 << 20;
    CHECK_ERR(u_setup(4, &p), ENXIO);
    ring_init(&r, 4, 0);
    p.flags = IORING_SETUP_ATTACH_WQ | IORING_SETUP_SQ_AFF;
    p.wq_fd = (uint32_t)r.fd;
    CHECK_ERR(u_setup(4, &p), EINVAL);
    ring_exit(&r);
}

// IORING_NOP_TW: with deferred work it is over when the program waits, and behind another one turn later.
TEST(a_nop_that_is_task_work)
{
    ring_init(&r, 8, DEFER | IORING_SETUP_TASKRUN_FLAG);
    add_nop(&r, 1)->rw_flags = 1 << 4;
    ring_submit(&r);
    CHECK_EQ(ring_ready(&r), 0);
    CHECK_EQ(atomic_load(r.sq_flags), IORING_SQ_TASKRUN);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    CHECK_EQ(atomic_load(r.sq_flags), 0);
    add_nop(&r, 1)->flags = IOSQE_IO_LINK;
    add_nop(&r, 2)->rw_flags = 1 << 4;
    ring_submit(&r);
    CHECK_EQ(ring_ready(&r), 1);
    OK(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    CHECK_EQ(ring_ready(&r), 1);
    OK(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    CHECK_EQ(ring_ready(&r), 2);
    ring_wait(&r);
    ring_wait(&r);
    ring_exit(&r);
    ring_init(&r, 8, 0);
    add_nop(&r, 1)->rw_flags = 1 << 4;
    CHECK_EQ(ring_result(&r, 1), 0);
    ring_exit(&r);
}

// What is sent to a ring with deferred work is told by its eventfd before the sender goes on.
TEST(a_message_is_told_at_once)
{
    struct ring from;
    int event = OK(eventfd(0, EFD_NONBLOCK));
    ring_init(&r, 8, DEFER);
    ring_init(&from, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_EVENTFD, &event, 1));
    for (int i = 0; i < 50; i++) {
        ADD(&from, MSG_RING, r.fd, NULL, 20, 7, 1);
        CHECK_EQ(ring_result(&from, 1), 0);
        CHECK(told(event));
        CHECK_EQ(ring_ready(&r), 0);
        CHECK_EQ(ring_wait(&r).user_data, 7);
        CHECK(told(event));
    }
    ring_exit(&from);
    ring_exit(&r);
    OK(close(event));
}

TEST(sending_from_no_group)
{
    int s[2];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    sqe_t *q = ADD(&r, SEND, s[0], NULL, 10, 0, 1);
    q->flags = IOSQE_BUFFER_SELECT;
    q->buf_group = 9;
    CHECK_EQ(ring_result(&r, 1), -ENOENT);
    drop(s);
    ring_exit(&r);
}

// Two rings of one thread wait for the same pipe: who came last is served first.
TEST(two_rings_at_one_pipe)
{
    struct ring other;
    char a, b;
    int p[2];
    OK(pipe(p));
    for (int turn = 0; turn < 20; turn++) {
        ring_init(&r, 8, 0);
        ring_init(&other, 8, 0);
        ADD(&r, READ, p[0], &a, 1, ~0ull, 1);
        ring_submit(&r);
        ADD(&other, READ, p[0], &b, 1, ~0ull, 2);
        ring_submit(&other);
        OK(write(p[1], "1", 1));
        CHECK_EQ(ring_wait(&other).user_data, 2);
        OK(write(p[1], "2", 1));
        CHECK_EQ(ring_wait(&r).user_data, 1);
        CHECK_EQ(a, '2');
        CHECK_EQ(b, '1');
        ring_exit(&r);
        ring_exit(&other);
    }
    drop(p);
}

// The number of events to wait for has a sign.
TEST(fewer_than_none)
{
    struct __kernel_timespec soon = {0, 10000};
    struct {
        uint64_t sigmask;
        uint32_t size, pad;
        uint64_t ts;
    } arg = {0, 8, 0, (uintptr_t)&soon};
    ring_init(&r, 8, 0);
    CHECK_ERR(u_enter(r.fd, 0, INT_MAX, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg), ETIME);
    CHECK_EQ(u_enter(r.fd, 0, ~0u, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg), 0);
    CHECK_EQ(u_enter(r.fd, 0, ~0u, IORING_ENTER_GETEVENTS, NULL, 0), 0);
    ring_exit(&r);
}

TEST(what_is_wrong_with_a_region)
{
    struct {
        uint64_t addr, size;
        uint32_t flags, id;
        uint64_t off, resv[4];
    } d = {0, PAGE, 1, 1, 0, {0}};
    struct {
        uint64_t uptr, flags, resv[2];
    } m = {(uintptr_t)&d, 0, {0}};
    ring_init(&r, 8, 0);
    CHECK_ERR(u_register(r.fd, 34, &m, 1), EFAULT); // no address outranks an id
    d.addr = PAGE;
    CHECK_ERR(u_register(r.fd, 34, &m, 1), EINVAL);
    d.id = 0;
    d.size = 1ul << 60;
    CHECK_ERR(u_register(r.fd, 34, &m, 1), E2BIG);
    d.size = PAGE;
    d.addr = -PAGE;
    CHECK_ERR(u_register(r.fd, 34, &m, 1), EOVERFLOW);
    ring_exit(&r);
}

static const char *info_of(const struct ring *ring)
{
    static char text[8192];
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", ring->fd);
    int fd = OK(open(name, O_RDONLY));
    ssize_t n = OK(read(fd, text, sizeof text - 1));
    text[n] = 0;
    OK(close(fd));
    return text;
}

#define SHOWS(text)                                                                                                    \
    do {                                                                                                               \
        if (!strstr(info_of(&r), text))                                                                                \
            FAIL("no %s", text);                                                                                       \
    } while (0)

// What /proc shows of large entries, and of requests that there are not.
TEST(fdinfo_of_large_entries)
{
    ring_init(&r, 4, IORING_SETUP_SQE128);
    for (uint64_t i = 0; i < 16; i++)
        ((uint64_t *)r.sqes)[i] = i < 8 ? 0 : i * 0x11;
    r.sqes[0].opcode = 200;
    atomic_store(r.sq_tail, 1);
    SHOWS("    0: opcode:INVALID, fd:0, flags:0, off:0, addr:0x0, rw_flags:0x0, buf_index:0 user_data:0, e0:0x88, e1:0x99, e2:0xaa, e3:0xbb, e4:0xcc, e5:0xdd, e6:0xee, e7:0xff\n");
    atomic_store(r.sq_tail, 0);
    ring_exit(&r);
    ring_init(&r, 4, U_SETUP_NO_SQARRAY);
    add_nop(&r, 1);
    ring_publish(&r);
    SHOWS("SQEs:\t1\nCQEs:\t0\n");
    ring_drop(&r);
    ring_init(&r, 4, IORING_SETUP_CQE32);
    for (int i = 0; i < 3; i++) {
        sqe_t *q = add_nop(&r, (uint64_t)i);
        q->rw_flags = 1 << 5;
        q->off = 7, q->addr = 8;
    }
    ring_submit(&r);
    // 6.18 counts places of 16 bytes.
    SHOWS("CQEs:\t3\n    0: user_data:0, res:0, flag:0, extra1:7, extra2:8\n\n    2: user_data:1, res:0, flag:0, extra1:7, extra2:8\n\nSqThread:");
    ring_drop(&r);
    ring_init(&r, 4, U_SETUP_CQE_MIXED);
    for (int i = 0; i < 3; i++) {
        sqe_t *q = add_nop(&r, (uint64_t)i);
        q->rw_flags = i == 1 ? 1 << 5 : 0;
        q->off = 7, q->addr = 8;
    }
    ring_submit(&r);
    SHOWS("CQEs:\t4\n    0: user_data:0, res:0, flag:0\n    1: user_data:1, res:0, flag:8000, extra1:7, extra2:8\n\n    3: user_data:2, res:0, flag:0\nSqThread:");
    ring_drop(&r);
}

// What a timeout that counts is linked behind is told before it counts.
TEST(a_chain_of_timeouts_that_count)
{
    static const uint32_t some[] = {0, IORING_SETUP_COOP_TASKRUN, DEFER};
    for (size_t k = 0; k < countof(some); k++) {
        ring_init(&r, 16, some[k]);
        add_timeout(&r, &long_time, 1, 0, 1)->flags = IOSQE_IO_LINK;
        add_timeout(&r, &long_time, 2, 0, 2);
        ring_submit(&r);
        for (uint32_t i = 1; i < 5; i++) {
            add_nop(&r, 3);
            ring_submit(&r);
            come_by(&r);
            CHECK_EQ(ring_ready(&r), i + 1 + (i > 2));
        }
        ring_drop(&r);
    }
}
