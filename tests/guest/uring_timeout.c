// TIMEOUT by time and by count, absolute and on other clocks, again and again; removal, updates; LINK_TIMEOUT.
#include "uring.h"
#include <sys/eventfd.h>

#define MS 1000000l

static struct ring r;

static struct __kernel_timespec ms(long n) { return (struct __kernel_timespec){n / 1000, n % 1000 * MS}; }

static cqe_t expect(uint64_t data, int res)
{
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, data);
    CHECK_EQ(c.res, res);
    return c;
}

static sqe_t *add_remove(uint64_t target, uint64_t data)
{
    return ADD(&r, TIMEOUT_REMOVE, -1, (void *)(uintptr_t)target, 0, 0, data);
}

static sqe_t *add_update(uint64_t target, const struct __kernel_timespec *ts, uint32_t flags, uint64_t data)
{
    sqe_t *s = ADD(&r, TIMEOUT_REMOVE, -1, (void *)(uintptr_t)target, 0, (uintptr_t)ts, data);
    s->timeout_flags = IORING_TIMEOUT_UPDATE | flags;
    return s;
}

static sqe_t *add_link_timeout(const struct __kernel_timespec *ts, uint32_t flags, uint64_t data)
{
    sqe_t *s = ADD(&r, LINK_TIMEOUT, -1, ts, 1, 0, data);
    s->timeout_flags = flags;
    return s;
}

// proves: IORING_OP_TIMEOUT
TEST(by_time)
{
    struct __kernel_timespec ts = ms(10);
    ring_init(&r, 8, 0);
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    add_timeout(&r, &ts, 0, 0, 1);
    ring_submit(&r);
    ts = ms(1000000); // read at submission
    expect(1, -ETIME);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 10 * MS);
    ts = ms(0);
    add_timeout(&r, &ts, 0, 0, 2);
    ring_submit(&r);
    expect(2, -ETIME);
    ring_exit(&r);
}

TEST(in_the_order_of_their_times)
{
    struct __kernel_timespec a = ms(60), b = ms(20), c = ms(40);
    ring_init(&r, 8, 0);
    add_timeout(&r, &a, 0, 0, 1);
    add_timeout(&r, &b, 0, 0, 2);
    add_timeout(&r, &c, 0, 0, 3);
    ring_submit(&r);
    expect(2, -ETIME);
    expect(3, -ETIME);
    expect(1, -ETIME);
    ring_exit(&r);
}

TEST(absolute_and_other_clocks)
{
    const struct {
        clockid_t clock;
        uint32_t flags;
    } cases[] = {
        {CLOCK_MONOTONIC, 0},
        {CLOCK_REALTIME, IORING_TIMEOUT_REALTIME},
        {CLOCK_BOOTTIME, IORING_TIMEOUT_BOOTTIME},
    };
    ring_init(&r, 8, 0);
    for (unsigned i = 0; i < countof(cases); i++) {
        uint64_t until = mt_now_ns(cases[i].clock) + 10 * MS;
        struct __kernel_timespec ts = {(long long)(until / 1000000000), (long long)(until % 1000000000)};
        add_timeout(&r, &ts, 0, IORING_TIMEOUT_ABS | cases[i].flags, 1);
        ring_submit(&r);
        expect(1, -ETIME);
        CHECK(mt_now_ns(cases[i].clock) >= until);
        add_timeout(&r, &ts, 0, IORING_TIMEOUT_ABS | cases[i].flags, 2); // past
        ring_submit(&r);
        expect(2, -ETIME);
        ts = ms(5);
        add_timeout(&r, &ts, 0, cases[i].flags, 3);
        ring_submit(&r);
        expect(3, -ETIME);
    }
    ring_exit(&r);
}

// proves: IORING_OP_TIMEOUT
TEST(by_count)
{
    struct __kernel_timespec ts = ms(1000000);
    ring_init(&r, 8, 0);
    add_timeout(&r, &ts, 2, 0, 9);
    ring_submit(&r);
    add_nop(&r, 1);
    ring_submit(&r);
    expect(1, 0);
    ring_quiet(&r);
    add_nop(&r, 2);
    ring_submit(&r);
    cqe_t c[2] = {ring_wait(&r), ring_wait(&r)};
    CHECK_EQ(c[0].user_data, 2);
    CHECK_EQ(c[1].user_data, 9);
    CHECK_EQ(c[1].res, 0); // fulfilled, not timed out
    ring_exit(&r);
}

TEST(by_count_or_time)
{
    struct __kernel_timespec ts = ms(10);
    ring_init(&r, 8, 0);
    add_timeout(&r, &ts, 5, 0, 9);
    add_nop(&r, 1);
    ring_submit(&r);
    expect(1, 0);
    expect(9, -ETIME);
    ring_exit(&r);
}

TEST(two_counts)
{
    struct __kernel_timespec ts = ms(1000000);
    ring_init(&r, 8, 0);
    add_timeout(&r, &ts, 3, 0, 8);
    add_timeout(&r, &ts, 1, 0, 9);
    ring_submit(&r);
    add_nop(&r, 1);
    ring_submit(&r);
    expect(1, 0);
    expect(9, 0);
    add_nop(&r, 2); // the other time-out's completion does not count
    ring_submit(&r);
    expect(2, 0);
    ring_quiet(&r);
    add_nop(&r, 3);
    ring_submit(&r);
    expect(3, 0);
    expect(8, 0);
    ring_exit(&r);
}

TEST(etime_success)
{
    struct __kernel_timespec ts = ms(5);
    ring_init(&r, 8, 0);
    sqe_t *s = add_timeout(&r, &ts, 0, IORING_TIMEOUT_ETIME_SUCCESS, 1);
    s->flags = IOSQE_IO_LINK;
    add_nop(&r, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ETIME); // still the result, but not a failure
    CHECK_EQ(c[1].res, 0);
    add_timeout(&r, &ts, 0, 0, 1)->flags = IOSQE_IO_LINK;
    add_nop(&r, 2);
    ring_submit(&r);
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ETIME);
    CHECK_EQ(c[1].res, -ECANCELED);
    ring_exit(&r);
}

TEST(multishot)
{
    struct __kernel_timespec ts = ms(3);
    ring_init(&r, 8, 0);
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    add_timeout(&r, &ts, 3, U_TIMEOUT_MULTISHOT, 1); // three times
    ring_submit(&r);
    for (int i = 0; i < 3; i++) {
        cqe_t c = expect(1, -ETIME);
        CHECK_EQ(c.flags, i < 2 ? IORING_CQE_F_MORE : 0);
    }
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 9 * MS);
    add_timeout(&r, &ts, 0, U_TIMEOUT_MULTISHOT, 1); // without end
    ring_submit(&r);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(expect(1, -ETIME).flags, IORING_CQE_F_MORE);
    add_remove(1, 2);
    ring_submit(&r);
    for (bool ended = false, removed = false; !ended || !removed;) {
        cqe_t c = ring_wait(&r);
        if (c.user_data == 2) {
            CHECK_EQ(c.res, 0);
            removed = true;
        } else if (!(c.flags & IORING_CQE_F_MORE)) {
            CHECK_EQ(c.res, -ECANCELED);
            ended = true;
        }
    }
    add_timeout(&r, &ts, 0, U_TIMEOUT_MULTISHOT | IORING_TIMEOUT_ABS, 3);
    CHECK_EQ(ring_result(&r, 3), -EINVAL);
    ring_exit(&r);
}

TEST(bad_requests)
{
    struct __kernel_timespec ts = ms(1), bad = {0, 1000000000}, negative = {-1, 0}, nanos = {0, -1};
    ring_init(&r, 8, 0);
    add_timeout(&r, &ts, 0, 0, 1)->len = 0;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    add_timeout(&r, &ts, 0, 0, 2)->len = 2;
    CHECK_EQ(ring_result(&r, 2), -EINVAL);
    add_timeout(&r, &ts, 0, 0, 3)->buf_index = 1;
    CHECK_EQ(ring_result(&r, 3), -EINVAL);
    add_timeout(&r, &ts, 0, 0x1000, 4);
    CHECK_EQ(ring_result(&r, 4), -EINVAL);
    add_timeout(&r, &ts, 0, IORING_TIMEOUT_REALTIME | IORING_TIMEOUT_BOOTTIME, 5);
    CHECK_EQ(ring_result(&r, 5), -EINVAL);
    add_timeout(&r, (void *)8, 0, 0, 6);
    CHECK_EQ(ring_result(&r, 6), -EFAULT);
    add_timeout(&r, &negative, 0, 0, 7);
    CHECK_EQ(ring_result(&r, 7), -EINVAL);
    add_timeout(&r, &bad, 0, 0, 8);
    int normal = ring_result(&r, 8);
    CHECK(normal == -ETIME || normal == -EINVAL);
    add_timeout(&r, &nanos, 0, 0, 9);
    CHECK(ring_result(&r, 9) < 0);
    add_timeout(&r, &ts, 0, IORING_TIMEOUT_UPDATE, 10);
    CHECK_EQ(ring_result(&r, 10), -EINVAL);
    ring_exit(&r);
}

// proves: IORING_OP_TIMEOUT_REMOVE
TEST(removals)
{
    struct __kernel_timespec ts = ms(1000000);
    ring_init(&r, 8, 0);
    add_timeout(&r, &ts, 0, 0, 1);
    ring_submit(&r);
    add_remove(1, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[1].res, 0);
    add_remove(1, 3);
    CHECK_EQ(ring_result(&r, 3), -ENOENT);
    ts = ms(1);
    add_timeout(&r, &ts, 0, 0, 4);
    ring_submit(&r);
    expect(4, -ETIME);
    add_remove(4, 5);
    CHECK_EQ(ring_result(&r, 5), -ENOENT);
    add_remove(4, 6)->buf_index = 1;
    CHECK_EQ(ring_result(&r, 6), -EINVAL);
    add_remove(4, 7)->timeout_flags = 0x1000;
    CHECK_EQ(ring_result(&r, 7), -EINVAL);
    add_remove(4, 8)->len = 1;
    CHECK_EQ(ring_result(&r, 8), -EINVAL);
    ring_exit(&r);
}

TEST(the_first_of_equals_is_removed)
{
    struct __kernel_timespec ts = ms(1000000);
    ring_init(&r, 8, 0);
    add_timeout(&r, &ts, 0, 0, 1);
    add_timeout(&r, &ts, 0, 0, 1);
    ring_submit(&r);
    for (int i = 0; i < 2; i++) {
        add_remove(1, 2);
        ring_submit(&r);
        cqe_t c[2];
        ring_collect(&r, c, 2); // one of them each time
        CHECK_EQ(c[0].res, -ECANCELED);
        CHECK_EQ(c[1].res, 0);
    }
    ring_exit(&r);
}

// proves: IORING_OP_TIMEOUT_REMOVE
TEST(updates)
{
    struct __kernel_timespec ts = ms(1000000), soon = ms(5);
    ring_init(&r, 8, 0);
    add_timeout(&r, &ts, 0, 0, 1);
    ring_submit(&r);
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    add_update(1, &soon, 0, 2);
    ring_submit(&r);
    expect(2, 0);
    expect(1, -ETIME);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 5 * MS);
    add_update(1, &soon, 0, 3);
    CHECK_EQ(ring_result(&r, 3), -ENOENT);
    add_timeout(&r, &ts, 0, 0, 4);
    ring_submit(&r);
    uint64_t until = mt_now_ns(CLOCK_MONOTONIC) + 5 * MS;
    struct __kernel_timespec at = {(long long)(until / 1000000000), (long long)(until % 1000000000)};
    add_update(4, &at, IORING_TIMEOUT_ABS, 5);
    ring_submit(&r);
    expect(5, 0);
    expect(4, -ETIME);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) >= until);
    add_update(4, (void *)8, 0, 6);
    CHECK_EQ(ring_result(&r, 6), -EFAULT);
    ring_exit(&r);
}

TEST(cancelled_by_the_general_request)
{
    struct __kernel_timespec ts = ms(1000000);
    ring_init(&r, 8, 0);
    add_timeout(&r, &ts, 0, 0, 1);
    ring_submit(&r);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[1].res, 0);
    ring_exit(&r);
}

// proves: IORING_OP_LINK_TIMEOUT
TEST(a_linked_one_hits)
{
    struct __kernel_timespec ts = ms(5);
    int p[2];
    char b[8];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    ADD(&r, READ, p[0], b, 8, -1, 1)->flags = IOSQE_IO_LINK;
    add_link_timeout(&ts, 0, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK(c[0].res == -ECANCELED || c[0].res == -EINTR);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[1].res, -ETIME);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 5 * MS);
    CHECK_EQ(write(p[1], "x", 1), 1); // the read is gone: the byte stays
    ring_quiet(&r);
    CHECK_EQ(read(p[0], b, 8), 1);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

// proves: IORING_OP_LINK_TIMEOUT
TEST(a_linked_one_misses)
{
    struct __kernel_timespec ts = ms(1000000);
    int p[2];
    char b[8];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    for (int later = 0; later < 2; later++) { // done at once; done after waiting
        ADD(&r, READ, p[0], b, 8, -1, 1)->flags = IOSQE_IO_LINK;
        add_link_timeout(&ts, 0, 2);
        ring_submit(&r);
        if (later)
            CHECK_EQ(write(p[1], "y", 1), 1);
        cqe_t c[2];
        ring_collect(&r, c, 2);
        CHECK_EQ(c[0].res, 1);
        CHECK_EQ(c[1].res, -ECANCELED);
    }
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(a_linked_one_of_a_poll_and_of_a_worker)
{
    struct __kernel_timespec ts = ms(5);
    int p[2], ev = OK(eventfd(0, 0));
    char b[8];
    cqe_t c[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1)->flags = IOSQE_IO_LINK;
    add_link_timeout(&ts, 0, 2);
    ring_submit(&r);
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[1].res, -ETIME);
    ADD(&r, READ, p[0], b, 8, -1, 1)->flags = IOSQE_IO_LINK | IOSQE_ASYNC;
    add_link_timeout(&ts, 0, 2);
    ring_submit(&r);
    ring_collect(&r, c, 2);
    CHECK(c[0].res == -ECANCELED || c[0].res == -EINTR);
    CHECK(c[1].res == -ETIME || c[1].res == -EALREADY); // -EALREADY: it runs, and is interrupted
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
    OK(close(ev));
}

TEST(a_chain_goes_on_after_it)
{
    struct __kernel_timespec ts = ms(1000000), soon = ms(5);
    int ev = OK(eventfd(0, 0));
    cqe_t c[3];
    ring_init(&r, 8, 0);
    add_nop(&r, 1)->flags = IOSQE_IO_LINK;
    add_link_timeout(&ts, 0, 2)->flags = IOSQE_IO_LINK;
    add_nop(&r, 3);
    ring_submit(&r);
    ring_collect(&r, c, 3);
    CHECK_EQ(c[0].res, 0);
    CHECK_EQ(c[1].res, -ECANCELED);
    CHECK_EQ(c[2].res, 0);
    add_poll(&r, ev, POLLIN, 1)->flags = IOSQE_IO_LINK;
    add_link_timeout(&soon, 0, 2)->flags = IOSQE_IO_LINK;
    add_nop(&r, 3);
    ring_submit(&r);
    ring_collect(&r, c, 3);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[1].res, -ETIME);
    CHECK_EQ(c[2].res, -ECANCELED);
    ring_exit(&r);
    OK(close(ev));
}

TEST(linked_ones_in_the_wrong_place)
{
    struct __kernel_timespec ts = ms(1000000);
    cqe_t c[3];
    ring_init(&r, 8, IORING_SETUP_SUBMIT_ALL);
    add_link_timeout(&ts, 0, 1); // after nothing
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    add_nop(&r, 1);
    add_link_timeout(&ts, 0, 2); // not linked
    ring_submit(&r);
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, 0);
    CHECK_EQ(c[1].res, -EINVAL);
    add_nop(&r, 1)->flags = IOSQE_IO_LINK;
    add_link_timeout(&ts, 0, 2)->flags = IOSQE_IO_LINK;
    add_link_timeout(&ts, 0, 3); // of a linked time-out
    ring_submit(&r);
    ring_collect(&r, c, 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(c[i].res, i == 2 ? -EINVAL : -ECANCELED);
    add_nop(&r, 1)->flags = IOSQE_IO_LINK;
    sqe_t *s = add_link_timeout(&ts, 0, 2);
    s->off = 5; // has no count
    ring_submit(&r);
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[1].res, -EINVAL);
    ring_exit(&r);
}

TEST(updates_of_linked_ones)
{
    struct __kernel_timespec ts = ms(1000000), soon = ms(5);
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1)->flags = IOSQE_IO_LINK;
    add_link_timeout(&ts, 0, 2);
    ring_submit(&r);
    add_update(2, &soon, 0, 3); // not among the plain ones
    CHECK_EQ(ring_result(&r, 3), -ENOENT);
    sqe_t *s = add_update(2, &soon, 0, 3);
    s->timeout_flags = IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE;
    ring_submit(&r);
    cqe_t c[3];
    ring_collect(&r, c, 3);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[1].res, -ETIME);
    CHECK_EQ(c[2].res, 0);
    ring_exit(&r);
    OK(close(ev));
}

TEST(a_race_that_either_wins)
{
    // Time-out and event at nearly one time: exactly one pair of results, always both completions.
    int p[2];
    char b[8];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    for (int i = 0; i < 200; i++) {
        struct __kernel_timespec ts = {0, (long)(i % 20) * 5000};
        ADD(&r, READ, p[0], b, 1, -1, 1)->flags = IOSQE_IO_LINK;
        add_link_timeout(&ts, 0, 2);
        ring_submit(&r);
        for (volatile int spin = 0; spin < i * 50; spin++) {}
        CHECK_EQ(write(p[1], "x", 1), 1);
        cqe_t c[2];
        ring_collect(&r, c, 2);
        if (c[0].res == 1) {
            CHECK(c[1].res == -ECANCELED || c[1].res == -ENOENT || c[1].res == -EALREADY || c[1].res == -ETIME);
        } else {
            CHECK_EQ(c[0].res, -ECANCELED);
            CHECK_EQ(c[1].res, -ETIME);
            CHECK_EQ(read(p[0], b, 8), 1); // not lost
        }
    }
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(many_at_once)
{
    enum { N = 200 };
    static struct __kernel_timespec ts[N];
    static bool seen[N];
    memset(seen, 0, sizeof seen);
    ring_init(&r, 256, 0);
    uint64_t base = mt_now_ns(CLOCK_MONOTONIC) + 20 * MS; // absolute: however long the submission takes
    for (int i = 0; i < N; i++) {
        uint64_t at = base + (1 + (i * 7) % 23) * 2 * MS;
        ts[i] = (struct __kernel_timespec){(long long)(at / 1000000000), (long long)(at % 1000000000)};
        add_timeout(&r, &ts[i], 0, IORING_TIMEOUT_ABS, i);
    }
    ring_submit(&r);
    int last = 0;
    for (int i = 0; i < N; i++) {
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, -ETIME);
        CHECK(c.user_data < N && !seen[c.user_data]);
        seen[c.user_data] = true;
        int at = 1 + (int)(c.user_data * 7) % 23;
        CHECK(at >= last);
        last = at;
    }
    ring_exit(&r);
}

// What the same submission has completed before a time-out counts for it.
TEST(counts_what_came_before_it)
{
    struct __kernel_timespec ts = {20, 0};
    cqe_t c[2];
    ring_init(&r, 8, 0);
    add_nop(&r, 1);
    add_timeout(&r, &ts, 1, 0, 2);
    ring_submit(&r);
    ring_collect(&r, c, 2);
    CHECK_EQ(c[1].res, 0);
    ring_exit(&r);
}
