// LINK, HARDLINK, DRAIN, failing chains, chains and submissions, CQE_SKIP_SUCCESS.
#include "uring.h"
#include <sys/eventfd.h>

#define LINK IOSQE_IO_LINK
#define HARD IOSQE_IO_HARDLINK
#define DRAIN IOSQE_IO_DRAIN
#define SKIP_OK IOSQE_CQE_SKIP_SUCCESS

static struct ring r;

static void put(int fd)
{
    uint64_t v = 1;
    CHECK_EQ(write(fd, &v, 8), 8);
}

// A request that fails with EBADF once it runs.
static sqe_t *add_failing(uint64_t data)
{
    static char b[1];
    return ADD(&r, READ, 250, b, 1, 0, data);
}

static void check_results(const int *expected, int n)
{
    cqe_t c[64];
    ring_collect(&r, c, n);
    for (int i = 0; i < n; i++)
        if (c[i].res != expected[i])
            FAIL("request %d: %d, expected %d", i + 1, c[i].res, expected[i]);
}

// proves: IOSQE_IO_LINK
TEST(a_chain_runs_in_order)
{
    int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
    char b[16] = "";
    ring_init(&r, 8, 0);
    for (int round = 0; round < 50; round++) {
        char text[16];
        snprintf(text, sizeof text, "round-%04d", round);
        ADD(&r, WRITE, fd, text, 10, 0, 1)->flags = LINK;
        ADD(&r, FSYNC, fd, NULL, 0, 0, 2)->flags = LINK;
        ADD(&r, READ, fd, b, 10, 0, 3)->flags = LINK | (round % 2 ? IOSQE_ASYNC : 0);
        add_nop(&r, 4);
        ring_submit(&r);
        for (int i = 1; i <= 4; i++) {
            cqe_t c = ring_wait(&r);
            CHECK_EQ(c.user_data, i); // also the order of completion
            CHECK(c.res >= 0);
        }
        CHECK_STR(b, text);
    }
    ring_exit(&r);
    OK(close(fd));
}

// proves: IOSQE_IO_LINK
TEST(a_failure_cancels_the_rest)
{
    ring_init(&r, 8, 0);
    add_nop(&r, 1)->flags = LINK;
    add_failing(2)->flags = LINK;
    add_nop(&r, 3)->flags = LINK;
    add_nop(&r, 4);
    add_nop(&r, 5); // another chain
    ring_submit(&r);
    check_results((int[]){0, -EBADF, -ECANCELED, -ECANCELED, 0}, 5);
    add_failing(1)->flags = LINK;
    add_nop(&r, 2);
    ring_submit(&r);
    check_results((int[]){-EBADF, -ECANCELED}, 2);
    ring_exit(&r);
}

// proves: IOSQE_IO_HARDLINK
TEST(a_hard_link_goes_on)
{
    ring_init(&r, 8, 0);
    add_failing(1)->flags = HARD;
    add_nop(&r, 2)->flags = HARD;
    add_failing(3)->flags = HARD;
    add_nop(&r, 4);
    ring_submit(&r);
    check_results((int[]){-EBADF, 0, -EBADF, 0}, 4);
    add_failing(1)->flags = HARD;
    add_failing(2)->flags = LINK; // soft from here
    add_nop(&r, 3);
    ring_submit(&r);
    check_results((int[]){-EBADF, -EBADF, -ECANCELED}, 3);
    ring_exit(&r);
}

TEST(a_short_transfer_breaks_a_link)
{
    int fd = mt_file("f", 100);
    char b[200];
    ring_init(&r, 8, 0);
    ADD(&r, READ, fd, b, 200, 0, 1)->flags = LINK;
    add_nop(&r, 2);
    ring_submit(&r);
    check_results((int[]){100, -ECANCELED}, 2);
    ADD(&r, READ, fd, b, 200, 0, 1)->flags = HARD;
    add_nop(&r, 2);
    ring_submit(&r);
    check_results((int[]){100, 0}, 2);
    ADD(&r, READ, fd, b, 100, 0, 1)->flags = LINK;
    add_nop(&r, 2);
    ring_submit(&r);
    check_results((int[]){100, 0}, 2);
    ring_exit(&r);
    OK(close(fd));
}

TEST(a_wrong_request_fails_its_chain)
{
    const uint32_t kinds[] = {0, IORING_SETUP_SUBMIT_ALL};
    for (int k = 0; k < 2; k++) {
        ring_init(&r, 8, kinds[k]);
        add_nop(&r, 1)->flags = LINK;
        sqe_t *s = add_nop(&r, 2);
        s->opcode = 200;
        s->flags = LINK;
        add_nop(&r, 3);
        ring_publish(&r);
        // Without SUBMIT_ALL the batch ends at the wrong one, but the chain is read to its end.
        int n = OK(u_enter(r.fd, 3, 0, 0, NULL, 0));
        int rest = OK(u_enter(r.fd, 3, 0, 0, NULL, 0));
        CHECK_EQ(n + rest, 3);
        if (k == 1)
            CHECK_EQ(n, 3);
        cqe_t c[3];
        ring_collect(&r, c, 3);
        CHECK_EQ(c[0].res, -ECANCELED);
        CHECK_EQ(c[1].res, -EINVAL);
        if (k == 1 || n == 3)
            CHECK_EQ(c[2].res, -ECANCELED);
        ring_exit(&r);
    }
}

// What was ready at once before it leaves nothing behind.
TEST(a_wrong_request_behind_a_poll_that_was_ready)
{
    uint32_t word = 0;
    int ev = OK(eventfd(1, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1);
    sqe_t *s = prep(ring_sqe(&r), 51, 2 | 128, &word, 0, 0, 2); // IORING_OP_FUTEX_WAIT
    s->addr3 = ~0u;
    s->flags = LINK;
    prep(ring_sqe(&r), 53, 0, &word, 1000, 0, 3); // FUTEX_WAITV of too many
    ring_submit(&r);
    check_results((int[]){POLLIN, -ECANCELED, -EINVAL}, 3);
    ring_exit(&r);
    OK(close(ev));
}

TEST(a_chain_waits_for_its_first)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1)->flags = LINK;
    add_nop(&r, 2)->flags = LINK;
    add_nop(&r, 3);
    add_nop(&r, 4); // outside: need not wait
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).user_data, 4);
    ring_quiet(&r);
    put(ev);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    CHECK_EQ(ring_wait(&r).user_data, 2);
    CHECK_EQ(ring_wait(&r).user_data, 3);
    ring_exit(&r);
    OK(close(ev));
}

TEST(a_chain_ends_with_the_submission)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1)->flags = LINK; // the last of this submission: its link leads nowhere
    ring_submit(&r);
    add_nop(&r, 2);
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).user_data, 2); // not part of it
    put(ev);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, 1);
    CHECK_EQ(c.res, POLLIN);
    ring_exit(&r);
    OK(close(ev));
}

TEST(a_chain_cut_by_to_submit)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1)->flags = LINK;
    add_nop(&r, 2)->flags = LINK;
    add_nop(&r, 3);
    ring_publish(&r);
    CHECK_EQ(u_enter(r.fd, 2, 0, 0, NULL, 0), 2);
    CHECK_EQ(u_enter(r.fd, 1, 0, 0, NULL, 0), 1);
    CHECK_EQ(ring_wait(&r).user_data, 3);
    put(ev);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    CHECK_EQ(ring_wait(&r).user_data, 2);
    ring_exit(&r);
    OK(close(ev));
}

TEST(long_chains)
{
    enum { N = 128 };
    int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
    static char letters[N];
    ring_init(&r, N, 0);
    for (int i = 0; i < N; i++) {
        letters[i] = (char)('a' + i % 26);
        ADD(&r, WRITE, fd, &letters[i], 1, -1, i)->flags = i < N - 1 ? LINK : 0; // at the position: order matters
    }
    ring_submit(&r);
    for (int i = 0; i < N; i++) {
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.user_data, i);
        CHECK_EQ(c.res, 1);
    }
    char b[N];
    CHECK_EQ(pread(fd, b, N, 0), N);
    CHECK_EQ(memcmp(b, letters, N), 0);
    ring_exit(&r);
    OK(close(fd));
}

TEST(chains_do_not_hold_each_other_up)
{
    int ev[4];
    ring_init(&r, 16, 0);
    for (int i = 0; i < 4; i++) {
        ev[i] = OK(eventfd(0, 0));
        add_poll(&r, ev[i], POLLIN, 2 * i + 1)->flags = LINK;
        add_nop(&r, 2 * i + 2);
    }
    ring_submit(&r);
    for (int i = 3; i >= 0; i--) {
        put(ev[i]);
        CHECK_EQ(ring_wait(&r).user_data, 2 * i + 1);
        CHECK_EQ(ring_wait(&r).user_data, 2 * i + 2);
        OK(close(ev[i]));
    }
    ring_exit(&r);
}

TEST(cancelling_the_head_of_a_chain)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1)->flags = LINK;
    add_nop(&r, 2);
    ring_submit(&r);
    add_cancel(&r, 1, 0, 3);
    ring_submit(&r);
    check_results((int[]){-ECANCELED, -ECANCELED, 0}, 3);
    ring_exit(&r);
    OK(close(ev));
}

// proves: IOSQE_IO_DRAIN
TEST(drain_waits_for_what_came_before)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1);
    add_nop(&r, 2);
    add_nop(&r, 3)->flags = DRAIN;
    add_nop(&r, 4); // and what comes after waits for it
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).user_data, 2);
    ring_quiet(&r);
    put(ev);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    CHECK_EQ(ring_wait(&r).user_data, 3);
    CHECK_EQ(ring_wait(&r).user_data, 4);
    add_nop(&r, 5)->flags = DRAIN; // nothing before it
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).user_data, 5);
    ring_exit(&r);
    OK(close(ev));
}

TEST(drain_across_submissions)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1);
    ring_submit(&r);
    add_nop(&r, 2)->flags = DRAIN;
    ring_submit(&r);
    add_nop(&r, 3);
    ring_submit(&r);
    ring_quiet(&r);
    put(ev);
    for (int i = 1; i <= 3; i++)
        CHECK_EQ(ring_wait(&r).user_data, i);
    ring_exit(&r);
    OK(close(ev));
}

TEST(drain_of_a_chain)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1);
    add_nop(&r, 2)->flags = DRAIN | LINK;
    add_nop(&r, 3);
    add_nop(&r, 4);
    ring_submit(&r);
    ring_quiet(&r);
    put(ev);
    for (int i = 1; i <= 4; i++)
        CHECK_EQ(ring_wait(&r).user_data, i);
    ring_exit(&r);
    OK(close(ev));
}

TEST(every_one_drained)
{
    enum { N = 64 };
    int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
    static char letters[N];
    ring_init(&r, N, 0);
    for (int i = 0; i < N; i++) {
        letters[i] = (char)('A' + i % 26);
        ADD(&r, WRITE, fd, &letters[i], 1, -1, i)->flags = DRAIN | (i % 3 == 0 ? IOSQE_ASYNC : 0);
    }
    ring_submit(&r);
    for (int i = 0; i < N; i++)
        CHECK_EQ(ring_wait(&r).user_data, i);
    char b[N];
    CHECK_EQ(pread(fd, b, N, 0), N);
    CHECK_EQ(memcmp(b, letters, N), 0);
    ring_exit(&r);
    OK(close(fd));
}

// proves: IOSQE_CQE_SKIP_SUCCESS, IORING_FEAT_CQE_SKIP
TEST(success_is_skipped)
{
    int fd = mt_file("f", 100);
    char b[10];
    ring_init(&r, 8, 0);
    add_nop(&r, 1)->flags = SKIP_OK;
    add_nop(&r, 2);
    ADD(&r, READ, fd, b, 10, 0, 3)->flags = SKIP_OK;
    ADD(&r, READ, fd, b, 10, 0, 4)->flags = SKIP_OK | IOSQE_ASYNC;
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).user_data, 2);
    ring_quiet(&r);
    add_failing(5)->flags = SKIP_OK; // failures are told
    CHECK_EQ(ring_result(&r, 5), -EBADF);
    ADD(&r, READ, fd, b, 10, 95, 6)->flags = SKIP_OK; // and so is a short transfer
    CHECK_EQ(ring_result(&r, 6), 5);
    ring_exit(&r);
    OK(close(fd));
}

TEST(success_skipped_in_chains)
{
    ring_init(&r, 8, 0);
    add_nop(&r, 9)->flags = LINK | SKIP_OK;
    add_nop(&r, 9)->flags = LINK | SKIP_OK;
    add_nop(&r, 1);
    ring_submit(&r);
    check_results((int[]){0}, 1);
    // One that skips and fails is told, and the rest of its chain is not.
    add_nop(&r, 9)->flags = LINK | SKIP_OK;
    add_failing(1)->flags = LINK | SKIP_OK;
    add_nop(&r, 9)->flags = LINK;
    add_nop(&r, 9);
    ring_submit(&r);
    check_results((int[]){-EBADF}, 1);
    ring_quiet(&r);
    // One that does not skip and fails brings out the whole chain, skipping or not.
    add_failing(1)->flags = LINK;
    add_nop(&r, 2)->flags = LINK | SKIP_OK;
    add_nop(&r, 3)->flags = SKIP_OK;
    ring_submit(&r);
    check_results((int[]){-EBADF, -ECANCELED, -ECANCELED}, 3);
    ring_quiet(&r);
    ring_exit(&r);
}

TEST(skipping_and_draining_exclude_each_other)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, IORING_SETUP_SUBMIT_ALL);
    add_nop(&r, 1)->flags = SKIP_OK | DRAIN;
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).res, -EOPNOTSUPP);
    add_nop(&r, 9)->flags = SKIP_OK; // a ring that has skipped cannot drain
    ring_submit(&r);
    add_nop(&r, 1)->flags = DRAIN;
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).res, -EOPNOTSUPP);
    ring_exit(&r);
    OK(close(ev));
}

TEST(reads_of_a_pipe_that_the_chain_fills)
{
    int p[2];
    char b[8] = "";
    OK(pipe(p));
    ring_init(&r, 8, 0);
    ADD(&r, READ, p[0], b, 5, -1, 1);
    ADD(&r, WRITE, p[1], "chain", 5, -1, 2)->flags = LINK;
    add_nop(&r, 3);
    ring_submit(&r);
    check_results((int[]){5, 5, 0}, 3);
    CHECK_STR(b, "chain");
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

// proves: IORING_FEAT_LINKED_FILE
TEST(a_file_opened_within_the_chain)
{
    // The descriptor of the second is looked up when its turn comes.
    int slots[4] = {-1, -1, -1, -1};
    char b[16] = "";
    OK(close(mt_file("f", 100)));
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, slots, 4));
    sqe_t *s = ADD(&r, OPENAT, AT_FDCWD, "f", 0, 0, 1);
    s->open_flags = O_RDONLY;
    s->file_index = 2 + 1;
    s->flags = LINK;
    ADD(&r, READ, 2, b, 10, 20, 2)->flags = LINK | IOSQE_FIXED_FILE;
    s = ADD(&r, CLOSE, 0, NULL, 0, 0, 3);
    s->file_index = 2 + 1;
    s->flags = LINK;
    ADD(&r, READ, 2, b, 10, 20, 4)->flags = IOSQE_FIXED_FILE;
    ring_submit(&r);
    check_results((int[]){0, 10, 0, -EBADF}, 4);
    CHECK_EQ(mt_differs(b, 10, 20), -1);
    ring_exit(&r);
}

TEST(errors_that_do_not_break_a_chain)
{
    // Plain calls on names and files: their error is a result like any other.
    struct ring r;
    struct statx stx;
    int p[2];
    OK(pipe(p));
    ring_init(&r, 16, 0);
    cqe_t c[8];
    ADD(&r, STATX, AT_FDCWD, "none", STATX_SIZE, (uintptr_t)&stx, 1)->flags = IOSQE_IO_LINK;
    ADD(&r, UNLINKAT, AT_FDCWD, "none", 0, 0, 2)->flags = IOSQE_IO_LINK;
    ADD(&r, MKDIRAT, AT_FDCWD, "none/x", 0755, 0, 3)->flags = IOSQE_IO_LINK;
    ADD(&r, FSYNC, p[0], NULL, 0, 0, 4)->flags = IOSQE_IO_LINK;
    ADD(&r, FALLOCATE, p[0], (void *)10, 0, 0, 5)->flags = IOSQE_IO_LINK;
    add_nop(&r, 6);
    ring_submit(&r);
    ring_collect(&r, c, 6);
    CHECK_EQ(c[0].res, -ENOENT);
    CHECK_EQ(c[1].res, -ENOENT);
    CHECK_EQ(c[2].res, -ENOENT);
    CHECK_EQ(c[3].res, -EINVAL);
    CHECK_EQ(c[4].res, -EBADF);
    CHECK_EQ(c[5].res, 0);
    // No file at all, or one that cannot be opened, does break it.
    ADD(&r, FSYNC, 250, NULL, 0, 0, 1)->flags = IOSQE_IO_LINK;
    add_nop(&r, 2);
    ADD(&r, OPENAT, AT_FDCWD, "none", 0, 0, 3)->flags = IOSQE_IO_LINK;
    add_nop(&r, 4);
    ADD(&r, FADVISE, p[0], NULL, 0, 0, 5)->flags = IOSQE_IO_LINK;
    add_nop(&r, 6);
    ring_submit(&r);
    ring_collect(&r, c, 6);
    for (int i = 1; i < 6; i += 2)
        CHECK_EQ(c[i].res, -ECANCELED);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

// A time-out that was never started ends with its request, and silently where that was asked for.
TEST(an_idle_timeout_is_silent)
{
    struct __kernel_timespec ts = {5, 0};
    ring_init(&r, 8, 0);
    add_nop(&r, 1)->flags = IOSQE_IO_LINK;
    ADD(&r, LINK_TIMEOUT, -1, &ts, 1, 0, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
    CHECK_EQ(ring_result(&r, 1), 0);
    ring_quiet(&r);
    ring_exit(&r);
}
