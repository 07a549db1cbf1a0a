// What is asked for with one flag or field and has no test elsewhere.
#include "uring.h"

struct wait_arg {
    uint64_t sigmask;
    uint32_t size, min_wait_usec;
    uint64_t ts;
};

// proves: IORING_ENTER_NO_IOWAIT, IORING_FEAT_NO_IOWAIT
TEST(waiting_that_does_not_count_as_io)
{
    struct ring r;
    ring_init(&r, 4, 0);
    CHECK(r.p.features & 1u << 17);
    add_nop(&r, 1);
    ring_publish(&r);
    CHECK_EQ(u_enter(r.fd, 1, 1, IORING_ENTER_GETEVENTS | U_ENTER_NO_IOWAIT, NULL, 0), 1);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    ring_exit(&r);
}

// proves: IORING_ENTER_EXT_ARG, IORING_FEAT_EXT_ARG, IORING_FEAT_MIN_TIMEOUT
TEST(a_shortest_wait)
{
    // After the shortest time what is there is enough; without anything the longest time counts.
    struct ring r;
    struct __kernel_timespec longest = {1000, 0};
    const struct wait_arg arg = {.size = 8, .min_wait_usec = 5000, .ts = (uintptr_t)&longest};
    ring_init(&r, 4, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    CHECK(r.p.features & 1u << 15);
    add_nop(&r, 1);
    ring_publish(&r);
    uint64_t before = mt_now_ns(CLOCK_MONOTONIC);
    CHECK_EQ(u_enter(r.fd, 1, 4, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg), 1);
    uint64_t took = mt_now_ns(CLOCK_MONOTONIC) - before;
    CHECK(took >= 4000000);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    longest = (struct __kernel_timespec){0, 60000000};
    CHECK_ERR(u_enter(r.fd, 0, 4, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg), ETIME);
    ring_exit(&r);
}

// proves: IORING_FEAT_RW_ATTR
TEST(integrity_that_no_file_has)
{
    struct ring r;
    char b[512];
    int fd = mt_file("f", 4096);
    ring_init(&r, 4, 0);
    CHECK(r.p.features & 1u << 16);
    sqe_t *s = ADD(&r, READ, fd, b, sizeof b, 0, 1);
    ((uint64_t *)s)[7] = 2; // attr_type_mask: none that is known
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    s = ADD(&r, READ, fd, b, sizeof b, 0, 1);
    ((uint64_t *)s)[7] = 1; // IORING_RW_ATTR_FLAG_PI, and no attribute
    CHECK_EQ(ring_result(&r, 1), -EFAULT);
    ring_exit(&r);
    OK(close(fd));
}

// proves: IORING_OP_RECV_ZC, IORING_REGISTER_ZCRX_IFQ
TEST(receiving_into_a_queue_that_no_device_has)
{
    struct ring r;
    uint64_t none[16] = {0};
    ring_init(&r, 4, 0);
    prep(ring_sqe(&r), 58, 0, NULL, 0, 0, 1)->ioprio = 2;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    CHECK_ERR(u_register(r.fd, 32, none, 1), EINVAL); // the ring is of no kind that could
    ring_exit(&r);
}

// proves: IORING_REGISTER_BUFFERS2, IORING_FEAT_RSRC_TAGS
TEST(buffers_with_tags)
{
    static char b[64];
    struct ring r;
    struct iovec v = {b, sizeof b};
    uint64_t tag = 77;
    const struct {
        uint32_t nr, flags;
        uint64_t resv2, data, tags;
    } reg = {1, 0, 0, (uintptr_t)&v, (uintptr_t)&tag};
    ring_init(&r, 4, 0);
    CHECK(r.p.features & IORING_FEAT_RSRC_TAGS);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS2, &reg, sizeof reg));
    CHECK_EQ(ring_ready(&r), 0);
    OK(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, 77);
    CHECK_EQ(c.res, 0);
    ring_exit(&r);
}

// proves: IORING_REGISTER_FILE_ALLOC_RANGE
TEST(direct_descriptors_stay_in_their_range)
{
    struct ring r;
    int none[16];
    const struct {
        uint32_t off, len;
        uint64_t resv;
    } range = {8, 8, 0};
    memset(none, 0xff, sizeof none);
    ring_init(&r, 4, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, none, 16));
    OK(u_register(r.fd, 25, &range, 0));
    for (int i = 0; i < 3; i++) { // a place outside that was used last does not matter
        ADD(&r, OPENAT, AT_FDCWD, ".", 0, 0, 1)->file_index = 4;
        CHECK_EQ(ring_result(&r, 1), 0);
        ADD(&r, CLOSE, 0, NULL, 0, 0, 1)->file_index = 4;
        CHECK_EQ(ring_result(&r, 1), 0);
        ADD(&r, OPENAT, AT_FDCWD, ".", 0, 0, 1)->file_index = IORING_FILE_INDEX_ALLOC;
        CHECK_EQ(ring_result(&r, 1), 8 + i);
    }
    ring_exit(&r);
}

// proves: IORING_OP_READV_FIXED, IORING_OP_WRITEV_FIXED
TEST(parts_of_a_fixed_buffer_are_never_empty)
{
    static char b[4096];
    struct ring r;
    int fd = mt_file("f", 4096);
    struct iovec all = {b, sizeof b}, part[2] = {{b, 10}, {b + 10, 0}};
    ring_init(&r, 4, 0);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &all, 1));
    for (int op = 60; op <= 61; op++) {
        prep(ring_sqe(&r), op, fd, part, 2, 0, 1);
        CHECK_EQ(ring_result(&r, 1), -EFAULT);
        prep(ring_sqe(&r), op, fd, part, 1, 0, 1);
        CHECK_EQ(ring_result(&r, 1), 10);
    }
    ring_exit(&r);
    OK(close(fd));
}
