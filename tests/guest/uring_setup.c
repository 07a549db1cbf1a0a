// io_uring_setup: entries, flags and their combinations, what it reports, the three mappings, the descriptor.
#include "fault.h"
#include "uring.h"
#include <sys/stat.h>

#define PAGE 4096ul

// The flags of this stage; combinations of them obey the rules below and nothing else.
static const uint32_t flags_known[] = {
    IORING_SETUP_CQSIZE,        IORING_SETUP_CLAMP,         IORING_SETUP_R_DISABLED,    IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_COOP_TASKRUN,  IORING_SETUP_TASKRUN_FLAG,  IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_DEFER_TASKRUN,
    U_SETUP_NO_SQARRAY,
};

static int try_setup(uint32_t entries, struct io_uring_params *p)
{
    int fd = u_setup_patient(entries, p);
    if (fd < 0)
        return -errno;
    OK(close(fd));
    return 0;
}

static int try_flags(uint32_t entries, uint32_t flags, uint32_t cq_entries)
{
    struct io_uring_params p = {.flags = flags, .cq_entries = cq_entries};
    return try_setup(entries, &p);
}

TEST(all_combinations_of_flags)
{
    for (uint32_t bits = 0; bits < 1u << countof(flags_known); bits++) {
        uint32_t flags = 0;
        for (unsigned i = 0; i < countof(flags_known); i++)
            flags |= bits >> i & 1 ? flags_known[i] : 0;
        bool good = true;
        if ((flags & IORING_SETUP_TASKRUN_FLAG) && !(flags & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN)))
            good = false;
        if ((flags & IORING_SETUP_DEFER_TASKRUN) && !(flags & IORING_SETUP_SINGLE_ISSUER))
            good = false;
        int r = try_flags(4, flags, 16);
        if (r != (good ? 0 : -EINVAL))
            FAIL("flags 0x%x: %d", flags, r);
    }
}

TEST(unknown_flags)
{
    for (int bit = 19; bit < 32; bit++)
        CHECK_EQ(try_flags(4, 1u << bit, 0), -EINVAL);
}

TEST(flags_that_need_others)
{
    CHECK_EQ(try_flags(4, IORING_SETUP_SQ_AFF, 0), -EINVAL);            // without SQPOLL
    CHECK_EQ(try_flags(4, IORING_SETUP_DEFER_TASKRUN, 0), -EINVAL);     // without SINGLE_ISSUER
    CHECK_EQ(try_flags(4, IORING_SETUP_TASKRUN_FLAG, 0), -EINVAL);      // without COOP_TASKRUN
    CHECK_EQ(try_flags(4, U_SETUP_REGISTERED_FD_ONLY, 0), -EINVAL);     // without NO_MMAP
    CHECK_EQ(try_flags(4, U_SETUP_HYBRID_IOPOLL, 0), -EINVAL);          // without IOPOLL
    CHECK_EQ(try_flags(4, IORING_SETUP_ATTACH_WQ, 0), -EINVAL);         // descriptor 0 is no ring
    CHECK_EQ(try_flags(4, IORING_SETUP_CQE32 | U_SETUP_CQE_MIXED, 0), -EINVAL);
}

TEST(reserved_fields)
{
    for (int i = 0; i < 3; i++) {
        struct io_uring_params p = {.flags = 0};
        p.resv[i] = 1;
        CHECK_EQ(try_setup(4, &p), -EINVAL);
    }
    struct io_uring_params p;
    memset(&p, 0, sizeof p);
    p.sq_entries = 77; // what is not asked for by a flag is ignored and overwritten
    p.cq_entries = 999;
    p.sq_thread_cpu = 5;
    p.sq_thread_idle = 6;
    p.wq_fd = 7;
    p.features = ~0u;
    memset(&p.sq_off, 0xff, sizeof p.sq_off);
    memset(&p.cq_off, 0xff, sizeof p.cq_off);
    CHECK_EQ(try_setup(4, &p), 0);
    CHECK_EQ(p.sq_entries, 4);
    CHECK_EQ(p.cq_entries, 8);
    CHECK_EQ(p.sq_off.resv1, 0);
    CHECK_EQ(p.sq_off.resv2, 0); // user_addr of NO_MMAP
    CHECK_EQ(p.cq_off.resv1, 0);
}

TEST(entries_are_rounded_up)
{
    const uint32_t asked[] = {1, 2, 3, 5, 8, 100, 1000, 4096, 20000, 32768};
    const uint32_t got[] = {1, 2, 4, 8, 8, 128, 1024, 4096, 32768, 32768};
    for (unsigned i = 0; i < countof(asked); i++) {
        struct io_uring_params p = {.flags = 0};
        CHECK_EQ(try_setup(asked[i], &p), 0);
        CHECK_EQ(p.sq_entries, got[i]);
        CHECK_EQ(p.cq_entries, 2 * got[i]);
    }
}

// proves: IORING_SETUP_CLAMP
TEST(entries_out_of_range)
{
    CHECK_EQ(try_flags(0, 0, 0), -EINVAL);
    CHECK_EQ(try_flags(32769, 0, 0), -EINVAL);
    CHECK_EQ(try_flags(~0u, 0, 0), -EINVAL);
    CHECK_EQ(try_flags(0, IORING_SETUP_CLAMP, 0), -EINVAL);
    struct io_uring_params p = {.flags = IORING_SETUP_CLAMP};
    CHECK_EQ(try_setup(1000000, &p), 0);
    CHECK_EQ(p.sq_entries, 32768);
    CHECK_EQ(p.cq_entries, 65536);
}

// proves: IORING_SETUP_CQSIZE
TEST(cq_sizes)
{
    const struct {
        uint32_t sq, cq, flags, result_cq; // 0: EINVAL
    } cases[] = {
        {4, 0, 0, 0},        {4, 3, 0, 4},      {4, 2, 0, 0},       {4, 1, 0, 0},          {4, 4, 0, 4},
        {4, 5, 0, 8},        {4, 1000, 0, 1024}, {3, 4, 0, 4},      {4, 65536, 0, 65536},  {4, 65537, 0, 0},
        {4, ~0u, 0, 0},      {5, 7, 0, 8},      {32768, 32768, 0, 32768},
        {4, 65537, IORING_SETUP_CLAMP, 65536},  {4, ~0u, IORING_SETUP_CLAMP, 65536},
        {4, 0, IORING_SETUP_CLAMP, 0},          {~0u, 4, IORING_SETUP_CLAMP, 0},
    };
    for (unsigned i = 0; i < countof(cases); i++) {
        struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | cases[i].flags, .cq_entries = cases[i].cq};
        int r = try_setup(cases[i].sq, &p);
        if (cases[i].result_cq == 0 ? r != -EINVAL : r != 0 || p.cq_entries != cases[i].result_cq)
            FAIL("sq %u cq %u flags %x: result %d, cq %u", cases[i].sq, cases[i].cq, cases[i].flags, r, p.cq_entries);
    }
}

// proves: IORING_FEAT_EXT_ARG
TEST(features_of_this_stage)
{
    struct io_uring_params p = {.flags = 0};
    CHECK_EQ(try_setup(4, &p), 0);
    const uint32_t needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                            IORING_FEAT_RW_CUR_POS | IORING_FEAT_FAST_POLL | IORING_FEAT_POLL_32BITS |
                            IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
    CHECK_EQ(p.features & needed, needed);
    CHECK_EQ(p.features & ~0x3ffffu, 0);
    CHECK_EQ(p.flags, 0);
    p.flags = IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
    CHECK_EQ(try_setup(4, &p), 0);
    CHECK_EQ(p.flags, IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL); // as given
}

TEST(offsets)
{
    for (int array = 0; array < 2; array++) {
        struct io_uring_params p = {.flags = array ? 0 : U_SETUP_NO_SQARRAY};
        CHECK_EQ(try_setup(8, &p), 0);
        const uint32_t words[] = {p.sq_off.head,    p.sq_off.tail,         p.sq_off.ring_mask, p.sq_off.ring_entries,
                                  p.sq_off.flags,   p.sq_off.dropped,      p.cq_off.head,      p.cq_off.tail,
                                  p.cq_off.ring_mask, p.cq_off.ring_entries, p.cq_off.overflow, p.cq_off.flags};
        for (unsigned i = 0; i < countof(words); i++) {
            CHECK_EQ(words[i] % 4, 0);
            CHECK(words[i] < p.cq_off.cqes || words[i] >= p.cq_off.cqes + p.cq_entries * 16);
            for (unsigned j = 0; j < i; j++)
                CHECK(words[i] != words[j]);
        }
        CHECK_EQ(p.cq_off.cqes % 64, 0);
        if (array)
            CHECK(p.sq_off.array >= p.cq_off.cqes + p.cq_entries * 16);
        else
            CHECK_EQ(p.sq_off.array, 0);
    }
}

TEST(first_contents)
{
    struct ring r;
    ring_init(&r, 8, 0);
    char *m = r.ring_map;
    CHECK_EQ(*(uint32_t *)(m + r.p.sq_off.ring_mask), 7);
    CHECK_EQ(*(uint32_t *)(m + r.p.sq_off.ring_entries), 8);
    CHECK_EQ(*(uint32_t *)(m + r.p.cq_off.ring_mask), 15);
    CHECK_EQ(*(uint32_t *)(m + r.p.cq_off.ring_entries), 16);
    CHECK_EQ(*r.sq_head, 0);
    CHECK_EQ(*r.sq_tail, 0);
    CHECK_EQ(*r.sq_flags, 0);
    CHECK_EQ(*r.sq_dropped, 0);
    CHECK_EQ(*r.cq_head, 0);
    CHECK_EQ(*r.cq_tail, 0);
    CHECK_EQ(*r.cq_flags, 0);
    CHECK_EQ(*r.cq_overflow, 0);
    ring_exit(&r);
}

TEST(bad_parameters_address)
{
    CHECK_ERR(u_setup(4, (void *)8), EFAULT);
    CHECK_ERR(u_setup(4, NULL), EFAULT);
    CHECK_ERR(u_setup(0, NULL), EFAULT); // the structure is read first
    struct io_uring_params *ro = OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK_ERR(u_setup(4, ro), EFAULT); // and written; no descriptor is left behind
    OK(munmap(ro, PAGE));
}

TEST(mapping_sizes)
{
    struct io_uring_params p = {.flags = 0};
    int fd = OK(u_setup(256, &p));
    const off_t zones[] = {IORING_OFF_SQ_RING, IORING_OFF_CQ_RING, IORING_OFF_SQES};
    size_t ring = p.sq_off.array + p.sq_entries * 4, sqes = p.sq_entries * 64;
    for (int i = 0; i < 3; i++) {
        size_t whole = ((i == 2 ? sqes : ring) + PAGE - 1) & ~(PAGE - 1);
        void *m = OK(mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, fd, zones[i]));
        OK(munmap(m, whole));
        char *longer = OK(mmap(NULL, whole + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, zones[i]));
        CHECK_NO_FAULT(longer + whole - 1, FAULT_READ);
        CHECK_FAULT(longer + whole, FAULT_READ, SIGBUS, BUS_ADRERR); // nothing behind the zone
        CHECK_FAULT(longer + whole + PAGE, FAULT_WRITE, SIGBUS, BUS_ADRERR);
        OK(munmap(longer, whole + 2 * PAGE));
    }
    void *m = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, IORING_OFF_SQ_RING)); // part of it
    OK(munmap(m, PAGE));
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, fd, 0), EPERM);
    OK(close(fd));
}

TEST(mapping_offsets)
{
    struct io_uring_params p = {.flags = 0};
    int fd = OK(u_setup(256, &p));
    const off_t bad[] = {0x18000000, 0x20000000, 0x40000000, 0x80000000, 0x88000000, 0xc0000000};
    for (unsigned i = 0; i < countof(bad); i++)
        CHECK_ERR(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, bad[i]), ENOMEM);
    const off_t rings[] = {0, 0x1000, 0x4000000, 0x8000000, 0x8001000, 0x100000000}; // five bits tell the zone
    for (unsigned i = 0; i < countof(rings); i++) {
        char *m = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, rings[i]));
        CHECK_EQ(*(uint32_t *)(m + p.sq_off.ring_mask), 255);
        OK(munmap(m, PAGE));
    }
    OK(close(fd));
}

TEST(no_ring_is_executable)
{
    struct ring r;
    ring_init(&r, 8, 0);
    static const off_t there[] = {IORING_OFF_SQ_RING, IORING_OFF_CQ_RING, IORING_OFF_SQES}, nowhere[] = {0x80000000, 0x40000000, 0x20000000};
    for (unsigned i = 0; i < countof(there); i++) {
        CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, r.fd, there[i]) == MAP_FAILED);
        CHECK_EQ(errno, EPERM);
        CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, r.fd, nowhere[i]) == MAP_FAILED);
        CHECK_EQ(errno, ENOMEM);
    }
    CHECK_ERR(mprotect(r.ring_map, 4096, PROT_READ | PROT_EXEC), EACCES);
    ring_exit(&r);
}

// proves: IORING_FEAT_SINGLE_MMAP
TEST(both_ring_offsets_are_one_map)
{
    struct ring r;
    ring_init(&r, 4, 0);
    char *cq = OK(mmap(NULL, r.ring_size, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, IORING_OFF_CQ_RING));
    add_nop(&r, 7);
    ring_submit(&r);
    CHECK_EQ(*(uint32_t *)(cq + r.p.cq_off.tail), 1);
    CHECK_EQ(*(uint32_t *)(cq + r.p.sq_off.tail), 1);
    CHECK_EQ(((cqe_t *)(cq + r.p.cq_off.cqes))[0].user_data, 7);
    *(uint32_t *)(cq + r.p.cq_off.head) = 1; // taken through the other view
    CHECK_EQ(ring_ready(&r), 0);
    OK(munmap(cq, r.ring_size));
    ring_exit(&r);
}

TEST(rings_outlive_the_descriptor)
{
    struct ring r;
    ring_init(&r, 4, 0);
    add_nop(&r, 9);
    ring_submit(&r);
    OK(close(r.fd));
    CHECK_EQ(ring_ready(&r), 1); // the memory stays
    CHECK_EQ(r.cqes[0].user_data, 9);
    *r.cq_head = 1;
    r.sqes[0].opcode = 77;
    OK(munmap(r.ring_map, r.ring_size));
    OK(munmap(r.sqe_map, r.sqe_size));
}

TEST(works_without_a_mapping)
{
    struct io_uring_params p = {.flags = 0};
    int fd = OK(u_setup(4, &p));
    CHECK_EQ(u_enter(fd, 1, 0, 0, NULL, 0), 0); // nothing in the queue
    OK(close(fd));
    struct ring r;
    ring_init(&r, 4, 0);
    add_nop(&r, 3);
    ring_publish(&r);
    OK(munmap(r.sqe_map, r.sqe_size));
    CHECK_EQ(u_enter(r.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
    CHECK_EQ(ring_ready(&r), 1);
    OK(munmap(r.ring_map, r.ring_size));
    CHECK_EQ(u_enter(r.fd, 1, 0, 0, NULL, 0), 0);
    OK(close(r.fd));
}

TEST(the_descriptor)
{
    struct io_uring_params p = {.flags = 0};
    int fd = OK(u_setup(4, &p));
    char b[64];
    struct stat st;
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_ERR(read(fd, b, sizeof b), EINVAL);
    CHECK_ERR(write(fd, b, sizeof b), EINVAL);
    OK(fstat(fd, &st));
    CHECK_ERR(ftruncate(fd, 0), EINVAL);
    snprintf(b, sizeof b, "/proc/self/fd/%d", fd);
    char link[64] = "";
    OK(readlink(b, link, sizeof link - 1));
    CHECK_STR(link, "anon_inode:[io_uring]");
    int copy = OK(dup(fd));
    OK(close(fd));
    CHECK_EQ(u_enter(copy, 0, 0, 0, NULL, 0), 0);
    OK(close(copy));
}

TEST(many_rings)
{
    enum { N = 100 };
    static struct ring r[N];
    for (int i = 0; i < N; i++)
        ring_init(&r[i], 4, 0);
    for (int i = 0; i < N; i++) {
        add_nop(&r[i], i);
        ring_submit(&r[i]);
    }
    for (int i = 0; i < N; i++) {
        CHECK_EQ(ring_wait(&r[i]).user_data, i);
        ring_exit(&r[i]);
    }
}

TEST(made_and_dropped_again_and_again)
{
    for (int i = 0; i < 200; i++) {
        struct ring r;
        ring_init(&r, 64, i % 2 ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN : 0);
        add_nop(&r, i);
        CHECK_EQ(ring_result(&r, i), 0);
        ring_exit(&r);
    }
}

TEST(large_rings)
{
    struct ring r;
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 65536};
    ring_init_params(&r, 32768, &p);
    for (int i = 0; i < 32768; i++)
        add_nop(&r, i);
    CHECK_EQ(u_enter(r.fd, ring_publish(&r), 0, 0, NULL, 0), 32768);
    CHECK_EQ(ring_ready(&r), 32768);
    for (int i = 0; i < 32768; i++)
        CHECK_EQ(ring_wait(&r).user_data, i); // NOPs complete in order
    ring_exit(&r);
}

// proves: IORING_SETUP_R_DISABLED, IORING_REGISTER_ENABLE_RINGS
TEST(disabled_ring)
{
    struct ring r;
    ring_init(&r, 4, IORING_SETUP_R_DISABLED);
    add_nop(&r, 1);
    ring_publish(&r);
    CHECK_ERR(u_enter(r.fd, 1, 0, 0, NULL, 0), EBADFD);
    CHECK_ERR(u_enter(r.fd, 0, 0, 0, NULL, 0), EBADFD);
    CHECK_ERR(u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0), EBADFD);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, &r, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 1), EINVAL);
    OK(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0), EBADFD);
    r.p.flags &= ~IORING_SETUP_R_DISABLED;
    CHECK_EQ(u_enter(r.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    ring_exit(&r);
}

struct issuer {
    struct ring *r;
    int submit, events, reg, error[3];
};

static void *enters_elsewhere(void *arg)
{
    struct issuer *i = arg;
    i->submit = u_enter(i->r->fd, 1, 0, 0, NULL, 0);
    i->error[0] = errno;
    i->events = u_enter(i->r->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    i->error[1] = errno;
    char probe[16] = "";
    i->reg = u_register(i->r->fd, IORING_REGISTER_PROBE, probe, 0);
    i->error[2] = errno;
    return NULL;
}

// proves: IORING_SETUP_SINGLE_ISSUER
TEST(single_issuer)
{
    struct ring r;
    ring_init(&r, 4, IORING_SETUP_SINGLE_ISSUER);
    add_nop(&r, 1);
    ring_publish(&r);
    struct issuer i = {.r = &r};
    OK0(pthread_join(mt_thread(enters_elsewhere, &i), NULL));
    CHECK_EQ(i.submit, -1); // the ring is its maker's
    CHECK_EQ(i.error[0], EEXIST);
    CHECK_EQ(i.events, 0);
    CHECK_EQ(i.reg, -1);
    CHECK_EQ(i.error[2], EEXIST);
    CHECK_EQ(u_enter(r.fd, 1, 0, 0, NULL, 0), 1);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    ring_exit(&r);
}

TEST(single_issuer_is_who_enables)
{
    struct ring r;
    ring_init(&r, 4, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED);
    OK(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    r.p.flags &= ~IORING_SETUP_R_DISABLED;
    add_nop(&r, 1);
    ring_publish(&r);
    struct issuer i = {.r = &r};
    OK0(pthread_join(mt_thread(enters_elsewhere, &i), NULL));
    CHECK_EQ(i.error[0], EEXIST);
    CHECK_EQ(u_enter(r.fd, 1, 0, 0, NULL, 0), 1);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    ring_exit(&r);
}

TEST(deferred_work_is_the_issuers)
{
    struct ring r;
    ring_init(&r, 4, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    struct issuer i = {.r = &r};
    OK0(pthread_join(mt_thread(enters_elsewhere, &i), NULL));
    CHECK_EQ(i.events, -1);
    CHECK_EQ(i.error[1], EEXIST);
    ring_exit(&r);
}
