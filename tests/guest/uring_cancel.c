// ASYNC_CANCEL: by data, descriptor, operation; one, all, any; polls, time-outs, waiting reads, workers.
#include "uring.h"
#include <sys/eventfd.h>

#define ALL IORING_ASYNC_CANCEL_ALL
#define BY_FD IORING_ASYNC_CANCEL_FD
#define ANY IORING_ASYNC_CANCEL_ANY
#define FIXED IORING_ASYNC_CANCEL_FD_FIXED
#define BY_DATA IORING_ASYNC_CANCEL_USERDATA
#define BY_OP IORING_ASYNC_CANCEL_OP

static struct ring r;
static char sink[8][64];
static struct __kernel_timespec long_time = {1000000, 0};

// The results by user_data, 1..n; those of requests that were cancelled count as ECANCELED also when the request was
// interrupted in a worker.
static void check_results(const int *expected, int n)
{
    cqe_t c[64];
    ring_collect(&r, c, n);
    for (int i = 0; i < n; i++) {
        int res = c[i].res;
        if (res == -EINTR)
            res = -ECANCELED;
        if (res != expected[i])
            FAIL("request %d: %d, expected %d", i + 1, c[i].res, expected[i]);
    }
}

static void cancel_fd(int fd, uint32_t flags, uint64_t data)
{
    sqe_t *s = add_cancel(&r, 0, flags | BY_FD, data);
    s->fd = fd;
}

TEST(nothing_to_cancel)
{
    ring_init(&r, 8, 0);
    add_cancel(&r, 1, 0, 1);
    CHECK_EQ(ring_result(&r, 1), -ENOENT);
    add_cancel(&r, 1, BY_DATA, 2);
    CHECK_EQ(ring_result(&r, 2), -ENOENT);
    add_cancel(&r, 1, ALL, 3); // of all: the count
    CHECK_EQ(ring_result(&r, 3), 0);
    add_cancel(&r, 0, ANY, 4);
    CHECK_EQ(ring_result(&r, 4), 0);
    add_cancel(&r, 0, ANY | ALL, 5);
    CHECK_EQ(ring_result(&r, 5), 0);
    add_nop(&r, 6);
    CHECK_EQ(ring_result(&r, 6), 0);
    add_cancel(&r, 6, 0, 7); // over
    CHECK_EQ(ring_result(&r, 7), -ENOENT);
    ring_exit(&r);
}

TEST(bad_requests)
{
    ring_init(&r, 8, 0);
    add_cancel(&r, 1, 0x1000, 1);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    add_cancel(&r, 1, 0, 2)->off = 1;
    CHECK_EQ(ring_result(&r, 2), -EINVAL);
    add_cancel(&r, 1, 0, 3)->splice_fd_in = 1;
    CHECK_EQ(ring_result(&r, 3), -EINVAL);
    add_cancel(&r, 1, 0, 4)->len = 1; // an operation without CANCEL_OP is not looked at
    int n = ring_result(&r, 4);
    CHECK(n == -ENOENT || n == -EINVAL);
    add_cancel(&r, 0, ANY | BY_FD, 5);
    CHECK_EQ(ring_result(&r, 5), -EINVAL);
    cancel_fd(250, 0, 6);
    CHECK_EQ(ring_result(&r, 6), -EBADF);
    cancel_fd(0, FIXED, 7);
    CHECK_EQ(ring_result(&r, 7), -EBADF);
    ring_exit(&r);
}

TEST(a_poll)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1);
    ring_submit(&r);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    check_results((int[]){-ECANCELED, 0}, 2);
    ring_exit(&r);
    OK(close(ev));
}

// proves: IORING_OP_ASYNC_CANCEL
TEST(a_waiting_read)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    ADD(&r, READ, p[0], sink[0], 8, -1, 1);
    ring_submit(&r);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    check_results((int[]){-ECANCELED, 0}, 2);
    CHECK_EQ(write(p[1], "x", 1), 1);
    ring_quiet(&r);
    CHECK_EQ(read(p[0], sink[0], 8), 1); // it was the program's
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(a_read_in_a_worker)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    for (int i = 0; i < 20; i++) {
        ADD(&r, READ, p[0], sink[0], 8, -1, 1)->flags = IOSQE_ASYNC;
        ring_submit(&r);
        if (i % 2)
            mt_sleep_us(1000);
        add_cancel(&r, 1, 0, 2);
        ring_submit(&r);
        cqe_t c[2];
        ring_collect(&r, c, 2);
        CHECK(c[0].res == -ECANCELED || c[0].res == -EINTR);
        CHECK(c[1].res == 0 || c[1].res == -EALREADY); // EALREADY: it runs and is told to stop
    }
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(a_timeout)
{
    ring_init(&r, 8, 0);
    add_timeout(&r, &long_time, 0, 0, 1);
    add_timeout(&r, &long_time, 5, 0, 2);
    ring_submit(&r);
    add_cancel(&r, 2, 0, 3);
    add_cancel(&r, 1, BY_DATA, 4);
    ring_submit(&r);
    check_results((int[]){-ECANCELED, -ECANCELED, 0, 0}, 4);
    ring_exit(&r);
}

TEST(one_of_equals)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    for (int i = 0; i < 3; i++)
        add_poll(&r, ev, POLLIN, 1);
    ring_submit(&r);
    for (int i = 0; i < 3; i++) {
        add_cancel(&r, 1, 0, 2);
        ring_submit(&r);
        check_results((int[]){-ECANCELED, 0}, 2); // a single one each time
    }
    add_cancel(&r, 1, 0, 3);
    CHECK_EQ(ring_result(&r, 3), -ENOENT);
    ring_exit(&r);
    OK(close(ev));
}

TEST(all_of_equals)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 16, 0);
    for (int i = 0; i < 5; i++)
        add_poll(&r, ev, POLLIN, i < 4 ? 7 : 8);
    ring_submit(&r);
    add_cancel(&r, 7, ALL, 9);
    ring_submit(&r);
    int cancelled = 0, count = -1;
    for (int i = 0; i < 5; i++) {
        cqe_t c = ring_wait(&r);
        if (c.user_data == 9)
            count = c.res;
        else if (c.user_data == 7 && c.res == -ECANCELED)
            cancelled++;
    }
    CHECK_EQ(count, 4);
    CHECK_EQ(cancelled, 4);
    ring_quiet(&r); // the other waits on
    add_cancel(&r, 8, 0, 1);
    ring_submit(&r);
    ring_wait(&r);
    ring_wait(&r);
    ring_exit(&r);
    OK(close(ev));
}

TEST(by_descriptor)
{
    int a = OK(eventfd(0, 0)), b = OK(eventfd(0, 0));
    ring_init(&r, 16, 0);
    add_poll(&r, a, POLLIN, 1);
    add_poll(&r, b, POLLIN, 2);
    ADD(&r, READ, a, sink[0], 8, -1, 3);
    ring_submit(&r);
    cancel_fd(a, ALL, 4);
    ring_submit(&r);
    cqe_t c[4] = {0};
    for (int i = 0; i < 3; i++) {
        cqe_t x = ring_wait(&r);
        c[x.user_data - 1] = x;
    }
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[2].res, -ECANCELED);
    CHECK_EQ(c[3].res, 2);
    cancel_fd(a, 0, 5);
    CHECK_EQ(ring_result(&r, 5), -ENOENT);
    int copy = OK(dup(b)); // the file counts, not the number
    cancel_fd(copy, 0, 1);
    ring_submit(&r);
    check_results((int[]){0, -ECANCELED}, 2);
    ring_exit(&r);
    OK(close(a));
    OK(close(b));
    OK(close(copy));
}

TEST(by_fixed_descriptor)
{
    int ev[2] = {OK(eventfd(0, 0)), OK(eventfd(0, 0))};
    ring_init(&r, 16, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, ev, 2));
    add_poll(&r, 0, POLLIN, 1)->flags = IOSQE_FIXED_FILE;
    add_poll(&r, 1, POLLIN, 2)->flags = IOSQE_FIXED_FILE;
    ring_submit(&r);
    cancel_fd(1, FIXED, 3);
    ring_submit(&r);
    cqe_t c[3] = {0};
    for (int i = 0; i < 2; i++) {
        cqe_t x = ring_wait(&r);
        c[x.user_data - 1] = x;
    }
    CHECK_EQ(c[1].res, -ECANCELED);
    CHECK_EQ(c[2].res, 0);
    cancel_fd(1, FIXED, 4);
    CHECK_EQ(ring_result(&r, 4), -ENOENT);
    cancel_fd(9, FIXED, 5);
    CHECK_EQ(ring_result(&r, 5), -EBADF);
    cancel_fd(ev[0], 0, 6); // the same open file by its ordinary number
    ring_submit(&r);
    for (int i = 0; i < 2; i++) {
        cqe_t x = ring_wait(&r);
        CHECK(x.user_data == 1 ? x.res == -ECANCELED : x.user_data == 6 && x.res == 0);
    }
    ring_exit(&r);
    OK(close(ev[0]));
    OK(close(ev[1]));
}

TEST(any)
{
    int ev = OK(eventfd(0, 0)), p[2];
    OK(pipe(p));
    ring_init(&r, 16, 0);
    add_poll(&r, ev, POLLIN, 1);
    ADD(&r, READ, p[0], sink[0], 8, -1, 2);
    add_timeout(&r, &long_time, 0, 0, 3);
    ring_submit(&r);
    add_cancel(&r, 0, ANY | ALL, 4);
    ring_submit(&r);
    check_results((int[]){-ECANCELED, -ECANCELED, -ECANCELED, 3}, 4);
    add_poll(&r, ev, POLLIN, 1);
    ADD(&r, READ, p[0], sink[0], 8, -1, 2);
    ring_submit(&r);
    add_cancel(&r, 0, ANY, 3); // any means all
    ring_submit(&r);
    check_results((int[]){-ECANCELED, -ECANCELED, 2}, 3);
    ring_exit(&r);
    OK(close(ev));
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(by_operation)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 16, 0);
    add_poll(&r, ev, POLLIN, 1);
    ADD(&r, READ, ev, sink[0], 8, -1, 2);
    add_poll(&r, ev, POLLIN, 3);
    ring_submit(&r);
    sqe_t *s = add_cancel(&r, 0, BY_OP | ALL, 4);
    s->len = IORING_OP_POLL_ADD;
    ring_submit(&r);
    cqe_t c[4] = {0};
    for (int i = 0; i < 3; i++) {
        cqe_t x = ring_wait(&r);
        c[x.user_data - 1] = x;
    }
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[2].res, -ECANCELED);
    CHECK_EQ(c[3].res, 2);
    s = add_cancel(&r, 0, BY_OP | BY_FD, 5); // both must fit
    s->len = IORING_OP_POLL_ADD;
    s->fd = ev;
    CHECK_EQ(ring_result(&r, 5), -ENOENT);
    s = add_cancel(&r, 2, BY_OP | BY_DATA, 1);
    s->len = IORING_OP_READ;
    ring_submit(&r);
    check_results((int[]){0, -ECANCELED}, 2);
    ring_exit(&r);
    OK(close(ev));
}

TEST(by_data_and_descriptor)
{
    int a = OK(eventfd(0, 0)), b = OK(eventfd(0, 0));
    ring_init(&r, 16, 0);
    add_poll(&r, a, POLLIN, 1);
    add_poll(&r, b, POLLIN, 1);
    ring_submit(&r);
    sqe_t *s = add_cancel(&r, 1, BY_FD | BY_DATA, 2);
    s->fd = b;
    ring_submit(&r);
    check_results((int[]){-ECANCELED, 0}, 2);
    uint64_t v = 1;
    CHECK_EQ(write(a, &v, 8), 8); // the other one lives
    CHECK_EQ(ring_wait(&r).res, POLLIN);
    ring_exit(&r);
    OK(close(a));
    OK(close(b));
}

TEST(a_multishot_poll)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 16, 0);
    add_poll(&r, ev, POLLIN, 1)->len = IORING_POLL_ADD_MULTI;
    ring_submit(&r);
    uint64_t v = 1;
    CHECK_EQ(write(ev, &v, 8), 8);
    CHECK_EQ(ring_wait(&r).flags, IORING_CQE_F_MORE);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[0].flags, 0);
    CHECK_EQ(c[1].res, 0);
    ring_exit(&r);
    OK(close(ev));
}

TEST(in_one_submission_with_its_target)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 16, 0);
    for (int i = 0; i < 50; i++) {
        add_poll(&r, ev, POLLIN, 1);
        add_cancel(&r, 1, 0, 2);
        ring_submit(&r);
        check_results((int[]){-ECANCELED, 0}, 2);
    }
    ring_exit(&r);
    OK(close(ev));
}

static void *puts_often(void *arg)
{
    for (int i = 0; i < 300; i++) {
        uint64_t v = 1;
        if (write(*(int *)arg, &v, 8) != 8)
            return (void *)1;
        mt_sleep_us(50);
    }
    return NULL;
}

TEST(against_a_completion)
{
    // The event and the cancellation meet: the request ends exactly once, one way or the other.
    int ev = OK(eventfd(0, EFD_NONBLOCK));
    ring_init(&r, 16, 0);
    pthread_t t = mt_thread(puts_often, &ev);
    for (int i = 0; i < 500; i++) {
        uint64_t v;
        while (read(ev, &v, 8) == 8) {}
        if (i % 2)
            add_poll(&r, ev, POLLIN, 1);
        else
            ADD(&r, READ, ev, sink[0], 8, -1, 1);
        ring_submit(&r);
        add_cancel(&r, 1, 0, 2);
        ring_submit(&r);
        cqe_t c[2];
        ring_collect(&r, c, 2);
        if (c[0].res == -ECANCELED)
            CHECK(c[1].res == 0 || c[1].res == -EALREADY);
        else
            CHECK_EQ(c[0].res, i % 2 ? POLLIN : 8);
        if (c[1].res == -ENOENT)
            CHECK(c[0].res > 0);
    }
    OK0(pthread_join(t, NULL));
    ring_exit(&r);
    OK(close(ev));
}

TEST(many)
{
    enum { N = 200 };
    int p[2];
    OK(pipe(p));
    ring_init(&r, 256, 0);
    for (int i = 0; i < N; i++)
        ADD(&r, READ, p[0], sink[i % 8], 8, -1, i + 1);
    ring_submit(&r);
    for (int i = N; i > 0; i -= 2) { // every other one, backwards
        add_cancel(&r, i, 0, 1000 + i);
        if (r.tail % 64 == 0)
            ring_submit(&r);
    }
    ring_submit(&r);
    int cancelled = 0, done = 0;
    for (int i = 0; i < N; i++) {
        cqe_t c = ring_wait(&r);
        if (c.user_data > 1000) {
            CHECK_EQ(c.res, 0);
            done++;
        } else {
            CHECK_EQ(c.user_data % 2, 0);
            CHECK_EQ(c.res, -ECANCELED);
            cancelled++;
        }
    }
    CHECK_EQ(cancelled, N / 2);
    CHECK_EQ(done, N / 2);
    OK(close(p[1])); // the rest ends with the pipe
    for (int i = 0; i < N / 2; i++)
        CHECK_EQ(ring_wait(&r).res, 0);
    ring_exit(&r);
    OK(close(p[0]));
}

TEST(a_cancellation_in_a_worker)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 16, 0);
    add_poll(&r, ev, POLLIN, 1);
    ring_submit(&r);
    add_cancel(&r, 1, 0, 2)->flags = IOSQE_ASYNC;
    ring_submit(&r);
    check_results((int[]){-ECANCELED, 0}, 2);
    ring_exit(&r);
    OK(close(ev));
}

// A poll that is cancelled is found once more until it has completed; one that is removed is not.
TEST(twice)
{
    for (int defer = 0; defer < 2; defer++)
        for (int removes = 0; removes < 2; removes++) {
            struct ring r;
            cqe_t c[3];
            int e = OK(eventfd(0, 0));
            ring_init(&r, 8, defer ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN : 0);
            add_poll(&r, e, POLLIN, 1);
            ring_submit(&r);
            if (removes)
                ADD(&r, POLL_REMOVE, -1, (void *)1, 0, 0, 2);
            else
                add_cancel(&r, 1, 0, 2);
            add_cancel(&r, 1, 0, 3);
            ring_submit(&r);
            ring_collect(&r, c, 3);
            CHECK_EQ(c[0].res, -ECANCELED);
            CHECK_EQ(c[1].res, 0);
            CHECK_EQ(c[2].res, removes ? -ENOENT : 0);
            add_poll(&r, e, POLLIN, 1);
            add_cancel(&r, 1, 0, 2);
            ADD(&r, POLL_REMOVE, -1, (void *)1, 0, 0, 3);
            ring_submit(&r);
            ring_collect(&r, c, 3);
            CHECK_EQ(c[2].res, -EALREADY);
            ring_exit(&r);
            OK(close(e));
        }
}
